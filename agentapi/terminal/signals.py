"""Operating system commands that tell something: titles, states, notifications."""

from __future__ import annotations

import base64
import binascii

from agentapi.model.frames import AgentState, Notification, Signal, Title


def parse_osc(payload: str) -> Signal | None:
    """The signal in an OSC, None when it holds none.

    OSC 0 and 2 set the title, OSC 9 (iTerm2) and OSC 777 (rxvt) notify, OSC 7501 is an agent's
    own state. OSC 9 with a number first is ConEmu's (progress bars), not a notification.
    """
    number, _, rest = payload.partition(";")
    if number in ("0", "2"):
        return Title(rest)
    if number == "9" and not rest.partition(";")[0].isdigit():
        return Notification(rest)
    if number == "777" and rest.startswith("notify;"):
        return Notification(rest.removeprefix("notify;").replace(";", ": ", 1))
    if number == "7501":
        return _agent_state(rest)
    return None


def _agent_state(rest: str) -> AgentState | None:
    """`state=working:app=codex`; None for the query, and for what has no state."""
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(":"))
    state = fields.get("state", "clear" if "clear" in fields else "")
    if not state:
        return None
    message = _decoded(fields.get("msg", ""))
    return AgentState(state, fields.get("app", ""), fields.get("kind", ""), message)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
