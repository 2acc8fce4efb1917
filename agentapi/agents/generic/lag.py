"""How long a screen may lag behind the record of its session.

Where a TUI does not announce the end of a turn (0.107), the record has it first. On a busy
machine it was whole 4 s before the TUI had seen as much, and another second passed between the last
working line and the last words.
"""

from __future__ import annotations

from agentapi.conversation.completeness import PAINT_LIMIT, STALL_LIMIT, ExpectedText
from agentapi.conversation.tracker import Tracker
from agentapi.model.items import AgentMessage, Entry, Turn


class RecordLag:
    """Compares what the record says of the turn with the screen."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._expected = ExpectedText()

    def take(self, entry: Entry) -> None:
        """The next entry of the record."""
        match entry.item:
            case Turn("started"):
                self._expected.clear()
            case AgentMessage(text):
                self._expected.add("", text)

    def patience(self) -> float:
        """Seconds without a new frame after which none is waited for any more."""
        if not self._tracker.fusion.ended_only_by_record:
            return 0.0
        if self._tracker.reading.working:
            return STALL_LIMIT
        complete = self._expected and self._expected.is_shown_in(self._tracker.message.text)
        return 0.0 if complete else PAINT_LIMIT
