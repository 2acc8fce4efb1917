"""Whether a screen shows all that an agent said. Pure.

The exact text is Markdown, and the screen draws it: marks vanish, lines wrap, bullets and rules
change. What stays of a line are its letters, digits and signs beyond ASCII, in their order. So the
lines are looked for one behind the other, with nothing else left of either text; equal lines are
found one after the other, not twice the same.

Codex paints the line that grows before those that wait to be shown above it: that the last line is
there proves nothing. Only a text with every line is sure; one without some may be complete all the
same, because these are drawn differently (a wide table, the target of a link).
"""

from __future__ import annotations

import re

PAINT_LIMIT = 2.0
"""Seconds without a new frame after which words that are still missing are not waited for."""
STALL_LIMIT = 10.0
"""The same while the screen says that the agent works: it has not even seen the end of the turn."""

_LAYOUT = re.compile(
    r"[\s!-/:-@\[-`{-\x9f\xad\ufeff•◦▪☐☑─━\u0300-\u036f\u200b-\u200f\u20d0-\u20ff\ufe00-\ufe0f]+"
)
"""What Markdown is written with and a terminal draws with, and what takes no room."""
_FENCE = re.compile(r"[ >]*(`{3,}|~{3,})")


class Owed:
    """What was said in a turn, and is to be seen on the screen."""

    def __init__(self) -> None:
        self._turn = ""
        self._lines: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, turn: str, markdown: str) -> None:
        """One more message of a turn, whole; what was said in another turn is of no interest."""
        if turn != self._turn:
            self._turn = turn
            self._lines.clear()
        lines = (line for line in markdown.splitlines() if not _FENCE.match(line))
        self._lines += filter(None, map(_kept, lines))

    def clear(self) -> None:
        """Another turn begins."""
        self._lines.clear()

    def whole(self, text: str) -> bool:
        """Whether every line stands in the text, as the screen shows it."""
        return None not in self._ends(_kept(text))

    def ended(self, text: str) -> bool:
        """Whether the last line stands at the end of the text."""
        kept = _kept(text)
        return not self._lines or self._ends(kept)[-1] == len(kept)

    def _ends(self, text: str) -> list[int | None]:
        """Where each line ends in the text; None for one that is not found."""
        ends: list[int | None] = []
        behind = 0
        for line in self._lines:
            at = text.find(line, behind)
            behind = at + len(line) if at >= 0 else behind
            ends.append(behind if at >= 0 else None)
        return ends


def _kept(text: str) -> str:
    return _LAYOUT.sub("", text)
