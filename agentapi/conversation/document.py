"""The conversation as one long page: frames in, lines with stable numbers out.

The terminal shows a window of the page. On the normal screen, the frame lists the lines that
scrolled off the top (`Frame.pushed`). On the alternate screen they are lost, so consecutive windows
are stitched together where they overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from operator import eq, ne

from agentapi.model.frames import Frame

GAP = "[…]"
"""Placeholder for lines that scrolled by unseen on the alternate screen. Omitted where a window
begins with a blank row, as none may be missing."""

MARGIN = 4
"""Rows that may be blank below the last line of a full window (padding, a tip)."""
MAX_COMPARED = 12
MAX_SHIFTS = 48
"""Maximum number of lines looked up in the previous window, and of shifts tried."""
MAX_LINES = 40_000
"""Lines kept above the screen; older ones are dropped. Reading this many takes 30 ms."""


class Document:
    """The page. Line numbers never change; `first` is the number of the oldest line kept."""

    def __init__(
        self,
        heading: Callable[[Sequence[str]], list[str]] | None = None,
        trim: Callable[[list[str]], list[str]] = lambda lines: lines,
    ) -> None:
        self._heading = heading
        """Returns what to keep of an alternate screen whose first row may be a pinned heading while
        the line it covers is unknown; empty if it is not a heading (Codex pins the prompt of a
        long turn). None if nothing is ever pinned."""
        self._trim = trim
        """Drops rows at the end of a window that are not part of the page (a status line)."""
        self._above: list[str] = []
        self._screen: list[str] = []
        self._alternate = False
        self._size = (0, 0)
        self.resized = False
        """Whether the last frame was the first one after a resize."""
        self.first = 0
        self.torn = False
        """Whether the last frame could not be joined to the page: the scrollback was erased, the
        screens were switched, the terminal was resized, or more than a screenful scrolled by."""

    @property
    def end(self) -> int:
        """The number after the last line."""
        return self.first + len(self._above) + len(self._screen)

    @property
    def top(self) -> int:
        """The number of the line in the first row of the screen."""
        return self.first + len(self._above)

    def lines(self, start: int, end: int | None = None) -> list[str]:
        """Return the lines from number `start` on that are still kept."""
        skip = max(0, start - self.first)
        above = self._above[skip:]
        page = above + self._screen[max(0, skip - len(self._above)) :]
        return page if end is None else page[: max(0, end - max(start, self.first))]

    def discard(self, before: int) -> None:
        """Drop the lines above the screen whose number is lower than `before`."""
        count = min(max(0, before - self.first), len(self._above))
        del self._above[:count]
        self.first += count

    def is_discontinuous(self, frame: Frame) -> bool:
        """Return whether a frame cannot be joined to the page, whatever it shows."""
        size = (frame.columns, frame.rows)
        return frame.cleared or (size, frame.alternate) != (self._size, self._alternate)

    def correct(self, shown: Sequence[str]) -> None:
        """Replace the last window once some of its rows turn out not to belong to the page."""
        self._screen = list(shown)

    def update(self, frame: Frame, rows: int) -> None:
        """Append the next frame, whose first `rows` rows belong to the page."""
        shown = list(frame.lines[:rows])
        while shown and not shown[-1]:
            shown.pop()
        size = (frame.columns, frame.rows)
        self.torn = self.is_discontinuous(frame)
        if self.torn:
            self._restart(frame.alternate)
        self.resized = self._size not in (size, (0, 0))
        self._size = size
        if frame.alternate:
            self._stitch(shown, full=len(shown) + MARGIN >= rows)
        else:
            self._above.extend(frame.pushed)
            self._screen = shown
        self.discard(self.first + len(self._above) - MAX_LINES)

    def scroll(self, frame: Frame) -> None:
        """Take only the lines that scrolled off the top: the rest is not the conversation."""
        self.torn = frame.cleared
        if self.torn:
            self._restart(self._alternate)
        if not frame.alternate and not self._alternate:
            self._above.extend(frame.pushed)
            del self._screen[: len(frame.pushed)]

    def _restart(self, alternate: bool) -> None:
        self.first = self.end
        self._above.clear()
        self._screen = []
        self._alternate = alternate

    def _stitch(self, shown: list[str], full: bool) -> None:
        """Join the next window. One that is not `full` has not scrolled."""
        before = self._screen
        shift = scrolled_by(before, shown, 1 if self._heading else 0) if full else 0
        heading = self._heading(shown) if shown and self._heading else []
        covered: str | None
        if shift is None:
            self.torn = True
            self._above.extend(self._trim(before))
            if not heading and shown and shown[0]:
                self._above.append(GAP)
            covered = GAP
        elif shift < 0:
            covered = self._move_up(min(-shift, self.top))
        else:
            self._above.extend(before[:shift])
            covered = before[shift] if shift < len(before) else None
        if heading and covered is not None:
            shown[0] = covered
        elif heading:
            self._above.extend(heading[:-1])
            shown[0] = heading[-1]
        self._screen = shown

    def _move_up(self, count: int) -> str | None:
        """Scroll back: something at the bottom became shorter. Return the first line that came
        back, if known."""
        known = self._above[-count:]
        del self._above[-count:]
        self.first -= count - len(known)
        return known[0] if known and len(known) == count else None


def scrolled_by(before: Sequence[str], now: Sequence[str], skip: int = 1) -> int | None:
    """Return how many lines the window moved down the page (negative: up), or None if the two do
    not overlap.

    The first `skip` rows are not compared, as something may be pinned there, and the end may have
    changed. The shift with the most matching lines wins, then the smallest. Many unmoved lines
    prove nothing: a page of equal answers matches itself when shifted. So a move up counts only if
    no move down explains the window as well, and one of several lines only if none comes close. A
    move that most lines contradict never counts.
    """
    changed = sum(map(ne, before[skip:], now[skip:])) + max(0, len(now) - len(before))
    if changed <= 1 or not any(before):  # a spinner, mostly
        return 0
    # Blank lines match nothing.
    solid = [line or None for line in before]
    shifts = _possible_shifts(before, now, skip)
    matching = {shift: _matching(solid, now, shift, skip) for shift in shifts}
    best = max(matching, key=lambda shift: (matching[shift], -abs(shift), shift))
    down = max((shift for shift in matching if shift >= 0), key=lambda s: (matching[s], -s))
    if best < 0:
        worse = _mismatching(solid, now, best, skip) > _mismatching(solid, now, down, skip)
        if worse or (best < -1 and matching[best] < 2 * matching[down]):
            best = down
    if best and matching[best] < _mismatching(solid, now, best, skip):
        best = 0
    return best if matching[best] else None


def _possible_shifts(before: Sequence[str], now: Sequence[str], skip: int) -> set[int]:
    """Return 0 and the shifts that align the rarest lines with their previous rows."""
    places: dict[str, list[int]] = {}
    for row, line in enumerate(before):
        if line:
            places.setdefault(line, []).append(row)
    known = [row for row in range(skip, len(now)) if now[row] in places]
    known.sort(key=lambda row: len(places[now[row]]))
    shifts = (
        place - row for row in known[:MAX_COMPARED] for place in places[now[row]] if place >= skip
    )
    return {0, *islice(shifts, MAX_SHIFTS)}


def _matching(before: Sequence[str | None], now: Sequence[str], shift: int, skip: int) -> int:
    old, new = before[skip + max(0, shift) :], now[skip + max(0, -shift) :]
    matching: int = sum(map(eq, old, new))
    return matching


def _mismatching(before: Sequence[str | None], now: Sequence[str], shift: int, skip: int) -> int:
    old, new = before[skip + max(0, shift) :], now[skip + max(0, -shift) :]
    return sum(map(bool, old[: len(new)])) - _matching(before, now, shift, skip)
