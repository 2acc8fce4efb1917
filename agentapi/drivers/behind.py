"""How long a screen may lag behind the record of its session.

Where a TUI tells nothing of its turns' ends (0.107), the record is the first to know. On a busy
machine it was whole 4 s before the TUI had seen as much, and another second passed between the last
working line and the last words.
"""

from __future__ import annotations

import re

from agentapi.conversation.tracker import Tracker
from agentapi.frames import Frame
from agentapi.transcript_items import AgentMessage, Entry, Turn

LAST_WORDS = 12
"""Letters of the end of an answer by which it is known on the screen."""
STALL_LIMIT = 10.0
"""Seconds without a new frame, while the screen says that the agent works."""
PAINT_LIMIT = 2.0
"""The same while it does not show the last words: Markdown may be drawn otherwise."""

_NO_LETTERS = re.compile(r"[\W_]+")


class Behind:
    """What the record told of the turn, against the screen."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._last_words = ""

    def take(self, entry: Entry) -> None:
        """The next entry of the record."""
        match entry.item:
            case Turn("started"):
                self._last_words = ""
            case AgentMessage(text):
                self._last_words = _letters(text)[-LAST_WORDS:]

    def patience(self, frame: Frame) -> float:
        """Seconds without a new frame after which none is waited for any more."""
        if not self._tracker.fusion.ended_by_record_alone:
            return 0.0
        if self._tracker.reading.working:
            return STALL_LIMIT
        shown = _letters("".join(frame.lines))
        return 0.0 if self._last_words and self._last_words in shown else PAINT_LIMIT


def _letters(text: str) -> str:
    return _NO_LETTERS.sub("", text)
