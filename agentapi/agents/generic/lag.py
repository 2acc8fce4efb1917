"""Decide how long the screen may lag behind the session record.

If a TUI does not announce the end of a turn (0.107), the record has it first. On a busy machine it
was complete 4 s before the TUI showed it, and another second passed between the last working line
and the last words.
"""

from __future__ import annotations

from agentapi.conversation.completeness import PAINT_LIMIT, STALL_LIMIT, ExpectedText
from agentapi.conversation.tracker import Tracker
from agentapi.model.items import AgentMessage, Entry, Turn


class RecordLag:
    """Compares the recorded turn with the screen."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._expected = ExpectedText()

    def take(self, entry: Entry) -> None:
        """Take the next entry of the record."""
        match entry.item:
            case Turn("started"):
                self._expected.clear()
            case AgentMessage(text):
                self._expected.add("", text)

    def patience(self) -> float:
        """Return the seconds without a new frame after which to stop waiting."""
        if not self._tracker.fusion.ended_only_by_record:
            return 0.0
        if self._tracker.reading.working:
            return STALL_LIMIT
        complete = self._expected and self._expected.is_shown_in(self._tracker.message.text)
        return 0.0 if complete else PAINT_LIMIT
