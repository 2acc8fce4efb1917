"""What a driver's link tells, as the transcript takes it."""

from __future__ import annotations

from agentapi.model.events import (
    ExactEvent,
    ItemChanged,
    LinkEnded,
    SessionKnown,
    TurnChanged,
    UsageChanged,
)
from agentapi.model.items import Error, Turn
from agentapi.transcript.live import ENDED, STARTED
from agentapi.transcript.transcript import Transcript


def tell_live(transcript: Transcript, event: ExactEvent) -> None:
    """Tell the transcript."""
    match event:
        case SessionKnown(_, record):
            transcript.link(record)
        case LinkEnded():
            transcript.unlink()
        case ItemChanged(turn, id, item, partial):
            transcript.update_live(turn, id, item, partial=partial)
        case TurnChanged():
            _tell_turn(transcript, event)
        case UsageChanged(usage):
            transcript.update_live_usage(usage)


def _tell_turn(transcript: Transcript, event: TurnChanged) -> None:
    if event.event == "started":
        transcript.update_live(event.turn, STARTED, Turn("started"), partial=False)
        return
    what, reason = event.event, event.reason
    if what == "interrupted":  # as the rollout calls it
        what, reason = "aborted", reason or "interrupted"
    elif what == "failed" and reason:
        transcript.update_live(event.turn, "error", Error(reason), partial=False)
        reason = ""
    transcript.update_live(event.turn, ENDED, Turn(what, reason, event.duration_ms), partial=False)
