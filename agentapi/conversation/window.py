"""What of a full-screen program's window is a page that scrolls.

Some rows stay where they are while the others move: a heading, a footer. Others tell that a turn is
running, and will be gone with it. And a window that has just lost its words is being painted anew.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise, takewhile

from agentapi.conversation.document import MARGIN, scrolled_by

_STATUS = re.compile(r"^[^\w\s]{1,4} +\w[^.…]{0,60}(?:…|\.\.\.)(?: +\(.*\))?$")
"""What a program says that it does, behind a spinner: `✻ Considering…`, `⠋ Thinking... (2s)`."""
STATUS_ROWS = 4
"""Rows with text at the end of a window that may belong to such a line: a tip hangs below it."""
FAR = 20
"""Blank rows above what a program keeps at the foot of a tall screen."""
FOOT_ROWS = 4
"""Rows that it may keep there above its input box, with an edge of that."""
MANY = 5
"""Rows with text that change together by no accident."""


class Window:
    """One window after the other of the same screen."""

    def __init__(self) -> None:
        self._rows: list[str] = []
        self.before: list[str] = []
        """The rows of the window before that belong to the page, as is known by now."""
        self._head: list[str] = []
        """The rows at the top that are known to stay."""
        self._foot: list[str] = []
        """Those at the end."""

    @property
    def rows(self) -> list[str]:
        """The last window, with the rows that stay."""
        return self._rows

    def forget(self) -> None:
        """The next window is of another screen."""
        self._rows, self._head, self._foot = [], [], []

    def scrolls(self, rows: Sequence[str], working: bool) -> list[str] | None:
        """The rows of the next window that belong to the page; None while it is being painted.
        `working`: a turn is running."""
        now = without_status(rows) if working else list(rows)
        if _blanked(self._rows, now):
            return None
        before, self._rows = self._rows, now
        if before != now:
            self._learn(_filled(before), _filled(now))
        self.before = _filled(self.without_pinned(before))
        return self.without_pinned(now)

    def without_pinned(self, rows: Sequence[str]) -> list[str]:
        """Rows without those at their ends that are known to stay."""
        filled = _filled(rows)
        end = _same(filled[::-1], self._foot[::-1])
        kept = filled[: len(filled) - end] if end else list(rows)
        return kept[_same(kept, self._head) :]

    def _learn(self, before: Sequence[str], now: Sequence[str]) -> None:
        """Rows that stay though the page between them moved: on the page they would have gone
        with it. At the end one may have become longer meanwhile: `Working`, `Working · 3 s`."""
        if len(now) + MARGIN < len(self._rows):
            return
        top = _same(before, now)
        end = _same(now[::-1], before[::-1], longer=True) if len(before) == len(now) else 0
        old, new = before[top : len(before) - end], now[top : len(now) - end]
        if min(_words(old), _words(new)) < MANY:
            return
        shift = scrolled_by(old, new, 0)
        sure = (top, end)
        if shift is not None:
            sure = _staying(before, now, top, shift), _staying(now[::-1], before[::-1], end, shift)
        self._head = _known(self._head, now[:top], sure[0])
        self._foot = _known(self._foot[::-1], before[::-1][:end], sure[1])[::-1]


def without_status(rows: Sequence[str]) -> list[str]:
    """Rows without the line at their end that tells what a running turn does, nor what hangs
    below it."""
    filled = [row for row, line in enumerate(rows) if line]
    for row in reversed(filled[-STATUS_ROWS:]):
        if _STATUS.match(rows[row].strip()):
            return list(rows[:row])
    return list(rows)


def without_foot(lines: Sequence[str]) -> list[str]:
    """Lines without what a program keeps at the foot of a tall screen, far below the rest."""
    filled = [row for row, line in enumerate(lines) if line]
    for above, below in reversed(list(pairwise(filled))):
        if below - above > FAR:
            foot = len(_filled(lines)) - below
            return list(lines[: above + 1]) if foot <= FOOT_ROWS else list(lines)
    return list(lines)


def _filled(rows: Sequence[str]) -> list[str]:
    """Rows without the blank ones at their end."""
    kept = list(rows)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def _same(now: Sequence[str], before: Sequence[str], longer: bool = False) -> int:
    """How many rows at the beginning are as they were before, or (`longer`) begin so."""

    def as_before(pair: tuple[str, str]) -> bool:
        row, old = pair
        return row == old or (longer and bool(old) and row.startswith(old))

    return sum(1 for _ in takewhile(as_before, zip(now, before, strict=False)))


def _staying(before: Sequence[str], now: Sequence[str], rows: int, shift: int) -> int:
    """How many of the first `rows`, which are the same in both, would not be if the page's move by
    `shift` had taken them along."""
    if shift <= 0:
        return 0
    moved = zip(before[shift:], now[:rows], strict=False)
    return max((row for row, (old, new) in enumerate(moved, 1) if old != new), default=0)


def _known(known: Sequence[str], same: Sequence[str], sure: int) -> list[str]:
    """The rows at one end that stay: of those that were the same in both windows `sure` do, the
    others may be equal by accident, blank ones above all."""
    kept = known[: len(same)] if same else known
    return list(same[:sure] if any(same[len(kept) : sure]) else kept)


def _words(rows: Sequence[str]) -> int:
    """How many rows have text."""
    return sum(map(bool, rows))


def _blanked(before: Sequence[str], now: Sequence[str]) -> bool:
    """Whether nearly all words are gone, and no others came."""
    if _words(before) < MANY or _words(now) > _words(before) // 4 or len(before) != len(now):
        return False
    return all(old and row.startswith(old) for row, old in zip(now, before, strict=True) if row)
