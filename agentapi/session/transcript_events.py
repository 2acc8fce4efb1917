"""Applies a driver's transcript events to the transcript."""

from __future__ import annotations

from agentapi.model.events import (
    ItemChanged,
    LinkEnded,
    SessionKnown,
    TranscriptEvent,
    TurnChanged,
    UsageChanged,
)
from agentapi.model.items import Error, Turn
from agentapi.transcript.live import ENDED, STARTED
from agentapi.transcript.transcript import Transcript


def apply_event(transcript: Transcript, event: TranscriptEvent) -> None:
    """Apply one event."""
    match event:
        case SessionKnown(_, record):
            transcript.link(record)
        case LinkEnded():
            transcript.unlink()
        case ItemChanged(turn, id, item, partial):
            transcript.update_live(turn, id, item, partial=partial)
        case TurnChanged():
            _apply_turn(transcript, event)
        case UsageChanged(usage):
            transcript.update_live_usage(usage)


def _apply_turn(transcript: Transcript, event: TurnChanged) -> None:
    if event.event == "started":
        transcript.update_live(event.turn, STARTED, Turn("started"), partial=False)
        return
    name, reason = event.event, event.reason
    if name == "interrupted":  # as the rollout calls it
        name, reason = "aborted", reason or "interrupted"
    elif name == "failed" and reason:
        transcript.update_live(event.turn, "error", Error(reason), partial=False)
        reason = ""
    transcript.update_live(event.turn, ENDED, Turn(name, reason, event.duration_ms), partial=False)
