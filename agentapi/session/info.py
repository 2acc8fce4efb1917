"""The members of `GET /session`."""

from __future__ import annotations

from agentapi.agents.driver import Driver
from agentapi.agents.generic.evidence import ProvidesEvidence
from agentapi.model.conversation import Status
from agentapi.model.events import Exited
from agentapi.session.session import AgentSession


def session_info(session: AgentSession) -> dict[str, object]:
    """Return all members; times are datetimes, unknown values are None."""
    info: dict[str, object] = {
        "session_id": None,
        "agent_type": session.agent_type,
        "agent_version": None,
        "workdir": None,
        "phase": session.phase_state.phase.value,
        "phase_reason": session.phase_state.reason,
        "phase_since": session.phase_since,
        "turn": session.turn,
        "resumed": session.resumed,
        "started_at": session.started_at,
        "last_activity_at": session.active_at,
        "last_user_message_at": session.user_at,
        "idle_seconds": _idle_seconds(session),
        "clients": len(session.hub),
        "usage": None,
        "evidence": _evidence(session.driver),
    } | dict(session.about())
    info["usage"] = info["usage"] or session.transcript.usage
    return info


def _idle_seconds(session: AgentSession) -> float:
    if session.status is not Status.STABLE:
        return 0.0
    return max(0.0, (session.clock() - session.active_at).total_seconds())


def _evidence(driver: Driver) -> list[dict[str, object]] | None:
    if not isinstance(driver, ProvidesEvidence):
        return None
    return [
        {
            "source": item.source,
            "phase": item.phase.value,
            "detail": item.detail,
            "age_seconds": round(item.age, 3),
            "counts": item.counts,
        }
        for item in driver.evidence()
    ]


def failure(ending: Exited) -> str:
    """Describe how the agent failed, below its last screen; empty if it did not."""
    if not ending.failed:
        return ""
    cause = f"signal {ending.signal}" if ending.code is None else f"status {ending.code}"
    lines = [line.rstrip() for line in ending.screen.strip("\n").rstrip().split("\n")]
    return "\n".join(["=" * 8, *lines, "=" * 8, f"Error: the agent ended with {cause}."])
