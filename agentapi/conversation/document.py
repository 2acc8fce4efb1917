"""The conversation as one long page: frames in, lines with lasting numbers out.

A terminal shows a window on the page. On the normal screen the lines that leave its top are told by
the frame (`Frame.pushed`); on the alternate screen they are gone, and the page is stitched together
from one window to the next where they overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from operator import eq, ne

from agentapi.model.frames import Frame

GAP = "[…]"
"""Stands for lines that scrolled by unseen on the alternate screen. Where a window begins with a
blank row, none may be missing."""

MARGIN = 4
"""Rows that may stay blank below the last line of a window that is full (padding, a tip)."""
MAX_COMPARED = 12
MAX_SHIFTS = 48
"""How many lines of a window are looked up in the one before it, and shifts tried at most."""
MAX_LINES = 40_000
"""Lines that a page keeps above the screen; older ones are forgotten. So many are read in 30 ms."""


class Document:
    """The page. A line's number never changes; `first` is the number of the oldest line kept."""

    def __init__(
        self,
        heading: Callable[[Sequence[str]], list[str]] | None = None,
        trim: Callable[[list[str]], list[str]] = lambda lines: lines,
    ) -> None:
        self._heading = heading
        """What to keep of an alternate screen whose first row may be a pinned heading, as long as
        the line that it would cover is not known; empty when it is none (Codex pins the prompt of
        a long turn). None where nothing is pinned."""
        self._trim = trim
        """Drops what is not of the page from the end of a window (a status line)."""
        self._above: list[str] = []
        self._screen: list[str] = []
        self._alternate = False
        self._size = (0, 0)
        self.resized = False
        """Whether the last frame was the first of another size."""
        self.first = 0
        self.torn = False
        """Whether the last frame could not be joined to the page before it: the scrollback was
        erased, the screens were switched, the terminal got another size, or more than a screenful
        went by."""

    @property
    def end(self) -> int:
        """The number after the last line's."""
        return self.first + len(self._above) + len(self._screen)

    @property
    def top(self) -> int:
        """The number of the line in the screen's first row."""
        return self.first + len(self._above)

    def lines(self, start: int, end: int | None = None) -> list[str]:
        """The lines from number `start` on, as far as they are still known."""
        skip = max(0, start - self.first)
        above = self._above[skip:]
        page = above + self._screen[max(0, skip - len(self._above)) :]
        return page if end is None else page[: max(0, end - max(start, self.first))]

    def forget(self, before: int) -> None:
        """Drop the lines above the screen whose number is lower than `before`."""
        count = min(max(0, before - self.first), len(self._above))
        del self._above[:count]
        self.first += count

    def is_anew(self, frame: Frame) -> bool:
        """Whether a frame cannot be joined to the page, whatever it shows."""
        size = (frame.columns, frame.rows)
        return frame.cleared or (size, frame.alternate) != (self._size, self._alternate)

    def correct(self, shown: Sequence[str]) -> None:
        """The last window, when it turns out that some of its rows are not of the page."""
        self._screen = list(shown)

    def update(self, frame: Frame, rows: int) -> None:
        """Take the first `rows` rows of the next frame as the page's last window."""
        shown = list(frame.lines[:rows])
        while shown and not shown[-1]:
            shown.pop()
        size = (frame.columns, frame.rows)
        self.torn = self.is_anew(frame)
        if self.torn:
            self._restart(frame.alternate)
        self.resized = self._size not in (size, (0, 0))
        self._size = size
        if frame.alternate:
            self._stitch(shown, full=len(shown) + MARGIN >= rows)
        else:
            self._above.extend(frame.pushed)
            self._screen = shown
        self.forget(self.first + len(self._above) - MAX_LINES)

    def scroll(self, frame: Frame) -> None:
        """Take only what left the top of the screen: the rest shows something else just now."""
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
        """Join a window that is `full` of lines; one that is not has not moved."""
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
        """Lines come back at the top: what stood at the bottom takes less room now. Returns the
        first of them, if it is known."""
        known = self._above[-count:]
        del self._above[-count:]
        self.first -= count - len(known)
        return known[0] if known and len(known) == count else None


def scrolled_by(before: Sequence[str], now: Sequence[str], skip: int = 1) -> int | None:
    """By how many lines the window moved down the page (up when negative); None when the two do
    not overlap.

    The first `skip` rows are not compared (something may be pinned there), and the end may have
    changed: of all shifts, the one under which most lines agree wins, the smallest first. That many
    lines stand where they stood proves nothing: a page of equal answers moves onto itself. For the
    same reason a move up is believed only where no move down explains the window as well, and one
    by more than a line only where none comes near it; and no move where most lines contradict it.
    """
    changed = sum(map(ne, before[skip:], now[skip:])) + max(0, len(now) - len(before))
    if changed <= 1 or not any(before):  # a spinner, mostly
        return 0
    # A blank line agrees with nothing.
    solid = [line or None for line in before]
    shifts = _possible_shifts(before, now, skip)
    agreeing = {shift: _agreeing(solid, now, shift, skip) for shift in shifts}
    best = max(agreeing, key=lambda shift: (agreeing[shift], -abs(shift), shift))
    down = max((shift for shift in agreeing if shift >= 0), key=lambda s: (agreeing[s], -s))
    if best < 0:
        worse = _differing(solid, now, best, skip) > _differing(solid, now, down, skip)
        if worse or (best < -1 and agreeing[best] < 2 * agreeing[down]):
            best = down
    if best and agreeing[best] < _differing(solid, now, best, skip):
        best = 0
    return best if agreeing[best] else None


def _possible_shifts(before: Sequence[str], now: Sequence[str], skip: int) -> set[int]:
    """0, and the shifts that bring the rarest lines back to where they were."""
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


def _agreeing(before: Sequence[str | None], now: Sequence[str], shift: int, skip: int) -> int:
    old, new = before[skip + max(0, shift) :], now[skip + max(0, -shift) :]
    agreeing: int = sum(map(eq, old, new))
    return agreeing


def _differing(before: Sequence[str | None], now: Sequence[str], shift: int, skip: int) -> int:
    old, new = before[skip + max(0, shift) :], now[skip + max(0, -shift) :]
    return sum(map(bool, old[: len(new)])) - _agreeing(before, now, shift, skip)
