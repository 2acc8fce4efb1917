"""Find the scrolling part of a full-screen program's window.

A heading or footer stays in place while the other rows scroll. Status lines disappear with the
turn. A window that has just lost its text is being redrawn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise, takewhile

from agentapi.conversation.document import MARGIN, scrolled_by

_STATUS = re.compile(r"^[^\w\s]{1,4} +\w[^.…]{0,60}(?:…|\.\.\.)(?: +\(.*\))?$")
"""A status line after a spinner: `✻ Considering…`, `⠋ Thinking... (2s)`."""
STATUS_ROWS = 4
"""Rows with text at the end of a window that may belong to a status line and the tip below it."""
FAR = 20
"""Blank rows above the footer of a tall screen."""
FOOT_ROWS = 4
"""Maximum rows of such a footer above the input box, including the edge of the box."""
MANY = 5
"""Rows with text that do not change together by accident."""


class Window:
    """Compares successive windows of the same screen."""

    def __init__(self) -> None:
        self._rows: list[str] = []
        self.before: list[str] = []
        """The rows of the previous window that are now known to belong to the page."""
        self._head: list[str] = []
        """The fixed rows at the top."""
        self._foot: list[str] = []
        """The fixed rows at the end."""

    @property
    def rows(self) -> list[str]:
        """The last window, including fixed rows."""
        return self._rows

    def reset(self) -> None:
        """Start over with another screen."""
        self._rows, self._head, self._foot = [], [], []

    def scrolled_rows(self, rows: Sequence[str], working: bool) -> list[str] | None:
        """Return the rows of the next window that belong to the page; None while it is being
        redrawn. `working`: a turn is running."""
        now = without_status(rows) if working else list(rows)
        if _blanked(self._rows, now):
            return None
        before, self._rows = self._rows, now
        if before != now:
            self._learn(_filled(before), _filled(now))
        self.before = _filled(self.without_pinned(before))
        return self.without_pinned(now)

    def without_pinned(self, rows: Sequence[str]) -> list[str]:
        """Drop the fixed rows at both ends."""
        filled = _filled(rows)
        end = _same(filled[::-1], self._foot[::-1])
        kept = filled[: len(filled) - end] if end else list(rows)
        return kept[_same(kept, self._head) :]

    def _learn(self, before: Sequence[str], now: Sequence[str]) -> None:
        """Learn the rows that stayed in place while the page between them scrolled. A row at the
        end may have become longer: `Working`, `Working · 3 s`."""
        if len(now) + MARGIN < len(self._rows):
            return
        top = _same(before, now)
        end = _same(now[::-1], before[::-1], longer=True) if len(before) == len(now) else 0
        old, new = before[top : len(before) - end], now[top : len(now) - end]
        if min(_text_rows(old), _text_rows(new)) < MANY:
            return
        shift = scrolled_by(old, new, 0)
        sure = (top, end)
        if shift is not None:
            sure = (
                _fixed_rows(before, now, top, shift),
                _fixed_rows(now[::-1], before[::-1], end, shift),
            )
        self._head = _merge_fixed(self._head, now[:top], sure[0])
        self._foot = _merge_fixed(self._foot[::-1], before[::-1][:end], sure[1])[::-1]


def without_status(rows: Sequence[str]) -> list[str]:
    """Drop the status line at the end and everything below it."""
    filled = [row for row, line in enumerate(rows) if line]
    for row in reversed(filled[-STATUS_ROWS:]):
        if _STATUS.match(rows[row].strip()):
            return list(rows[:row])
    return list(rows)


def without_foot(lines: Sequence[str]) -> list[str]:
    """Drop the footer of a tall screen, far below the rest."""
    filled = [row for row, line in enumerate(lines) if line]
    for above, below in reversed(list(pairwise(filled))):
        if below - above > FAR:
            foot = len(_filled(lines)) - below
            return list(lines[: above + 1]) if foot <= FOOT_ROWS else list(lines)
    return list(lines)


def _filled(rows: Sequence[str]) -> list[str]:
    """Drop blank rows at the end."""
    kept = list(rows)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def _same(now: Sequence[str], before: Sequence[str], longer: bool = False) -> int:
    """Count the rows at the beginning that are unchanged, or (`longer`) were extended."""

    def as_before(pair: tuple[str, str]) -> bool:
        row, old = pair
        return row == old or (longer and bool(old) and row.startswith(old))

    return sum(1 for _ in takewhile(as_before, zip(now, before, strict=False)))


def _fixed_rows(before: Sequence[str], now: Sequence[str], rows: int, shift: int) -> int:
    """Count how many of the first `rows`, equal in both, would differ if they had scrolled by
    `shift`."""
    if shift <= 0:
        return 0
    moved = zip(before[shift:], now[:rows], strict=False)
    return max((row for row, (old, new) in enumerate(moved, 1) if old != new), default=0)


def _merge_fixed(known: Sequence[str], same: Sequence[str], sure: int) -> list[str]:
    """Return the fixed rows at one end: `sure` of the equal ones are certain, the others may be
    equal by accident, above all blank ones."""
    kept = known[: len(same)] if same else known
    return list(same[:sure] if any(same[len(kept) : sure]) else kept)


def _text_rows(rows: Sequence[str]) -> int:
    """Count the rows with text."""
    return sum(map(bool, rows))


def _blanked(before: Sequence[str], now: Sequence[str]) -> bool:
    """Return whether nearly all text is gone without replacement."""
    if (
        _text_rows(before) < MANY
        or _text_rows(now) > _text_rows(before) // 4
        or len(before) != len(now)
    ):
        return False
    return all(old and row.startswith(old) for row, old in zip(now, before, strict=True) if row)
