"""Check whether the screen shows everything the agent said. Pure.

The recorded text is Markdown and the screen renders it: markup disappears, lines wrap, bullets and
rules change. Only letters, digits and non-ASCII symbols survive, in order. Both texts are reduced
to these, then the lines are searched for in order; equal lines must be found separately.

Codex draws the line being streamed before the lines waiting above it, so the presence of the last
line proves nothing. A text with every line is complete. One with missing lines may be complete too:
some are rendered differently (a wide table, the target of a link).
"""

from __future__ import annotations

import re

PAINT_LIMIT = 2.0
"""Seconds without a new frame after which to stop waiting for missing words."""
STALL_LIMIT = 10.0
"""The same while the screen still shows a working line: it has not reached the end of the turn."""

_LAYOUT = re.compile(
    r"[\s!-/:-@\[-`{-\x9f\xad\ufeff•◦▪☐☑─━\u0300-\u036f\u200b-\u200f\u20d0-\u20ff\ufe00-\ufe0f]+"
)
"""Markdown markup, characters that a terminal draws with, and zero-width characters."""
_FENCE = re.compile(r"[ >]*(`{3,}|~{3,})")


class ExpectedText:
    """The text of a turn that the screen should show."""

    def __init__(self) -> None:
        self._turn = ""
        self._lines: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, turn: str, markdown: str) -> None:
        """Add a complete message; the first message of another turn clears the previous ones."""
        if turn != self._turn:
            self._turn = turn
            self._lines.clear()
        lines = (line for line in markdown.splitlines() if not _FENCE.match(line))
        self._lines += filter(None, map(_significant, lines))

    def clear(self) -> None:
        """Expect nothing, as a new turn begins."""
        self._lines.clear()

    def is_shown_in(self, text: str) -> bool:
        """Return whether the rendered text contains every line."""
        return None not in self._ends(_significant(text))

    def end_is_shown_in(self, text: str) -> bool:
        """Return whether the rendered text ends with the last line."""
        shown = _significant(text)
        return not self._lines or self._ends(shown)[-1] == len(shown)

    def _ends(self, text: str) -> list[int | None]:
        """Return where each line ends in the text; None if it was not found."""
        ends: list[int | None] = []
        position = 0
        for line in self._lines:
            at = text.find(line, position)
            position = at + len(line) if at >= 0 else position
            ends.append(position if at >= 0 else None)
        return ends


def _significant(text: str) -> str:
    return _LAYOUT.sub("", text)
