"""The grid of cells: pyte's screen with rows as objects, and with fixes.

A cursor column equal to `columns` means that the last column was just written and the next
character wraps (the convention of pyte and tmux).
"""

from __future__ import annotations

import re
from collections import deque

from pyte import modes as mo
from pyte.screens import Cursor, Margins, wcwidth
from pyte.screens import Screen as PyteScreen

from agentapi.terminal.line import Line, filled
from agentapi.terminal.style import DEFAULT, Groups, Style, erased, restyle

# Code points that are one column wide in every version of Unicode: what programs print nearly
# always, found without asking for the width of each.
_NARROW = (
    " -~\xa0-\xac\xae-\u02ff\u0370-\u0377\u0391-\u03a1\u0400-\u0482\u2010-\u2027\u2030-\u205e"
    "\u2190-\u2319\u231c-\u2328\u23f4-\u25fc\u2758-\u2794\u27c0-\u2b1a"
)
_ALL_NARROW = re.compile(f"[{_NARROW}]+")
_PARTS = re.compile(rf"([{_NARROW}]+)|(.)\2*", re.DOTALL)
# DEC special graphics stand at 0x5f to 0x7e.
_LINE_DRAWING = str.maketrans(
    "_`abcdefghijklmnopqrstuvwxyz{|}~", "\xa0◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·"
)
_FLAG_LETTERS = frozenset(map(chr, range(0x1F1E6, 0x1F200)))
_SKIN_TONES = frozenset(map(chr, range(0x1F3FB, 0x1F400)))


class Screen(PyteScreen):
    """One screen of cells, with cursor, scroll region and the lines scrolled off the top."""

    buffer: list[Line]  # type: ignore[assignment]
    title: str

    def __init__(self, columns: int, rows: int, scrollback: int) -> None:
        self.pushed: deque[str] = deque(maxlen=scrollback)
        """Text of the lines scrolled off the top since the last commit, oldest first."""
        self.cleared = False
        """Whether the scrollback was erased since the last commit."""
        self.alternate = False
        super().__init__(columns, rows)

    def reset(self) -> None:
        """RIS: reset everything and erase the scrollback."""
        self.buffer = self._blank(self.lines)
        self.cursor = Cursor(0, 0)
        self.cursor.attrs = DEFAULT  # type: ignore[assignment]
        self.mode = {mo.DECAWM, mo.DECTCEM}
        self.title = self.icon_name = ""
        self.tabstops = set(range(8, self.columns, 8))
        self._reset_region()
        self._reset_charsets()
        self.erase_scrollback()

    def soft_reset(self) -> None:
        """DECSTR: reset modes that a crashed program may have left set, but not the content."""
        self.cursor.attrs = DEFAULT  # type: ignore[assignment]
        self.mode -= {mo.DECOM, mo.IRM, 1 << 5, 66 << 5}
        self.mode |= {mo.DECTCEM, mo.DECAWM}
        self.cursor.hidden = False
        self._reset_region()
        self._reset_charsets()

    def erase_scrollback(self) -> None:
        self.pushed.clear()
        self.cleared = True

    def _reset_region(self) -> None:
        self.top, self.bottom = 0, self.lines - 1
        self.margins = None

    def _reset_charsets(self) -> None:
        self.charset = 0
        self.graphics = [False, False]
        """Whether G0 and G1 are the line-drawing set."""

    @property
    def style(self) -> Style:
        """The style of the next characters."""
        return self.cursor.attrs  # type: ignore[return-value]

    # Rows

    def _row(self, y: int) -> Line:
        """Return a row that may be modified."""
        line = self.buffer[y]
        if line.shared:
            line = self.buffer[y] = line.copy()
        return line

    def _blank(self, count: int, style: Style = DEFAULT) -> list[Line]:
        """Return blank rows."""
        return [filled(" ", self.columns, style)] * count

    # Drawing

    def draw(self, data: str) -> None:
        """Write text without control characters at the cursor."""
        if self.graphics[self.charset]:
            data = data.translate(_LINE_DRAWING)
        if data.isascii() or _ALL_NARROW.fullmatch(data):
            self._draw_narrow(data)
            return
        for part in _PARTS.finditer(data):
            if part[1]:
                self._draw_narrow(part[1])
            else:
                self._draw_other(part[2], part.end() - part.start())

    def _draw_narrow(self, text: str) -> None:
        cursor = self.cursor
        columns = self.columns
        style = self.style
        while text:
            x = cursor.x
            if x >= columns:
                x = self._wrap()
            part = text[: columns - x]
            text = text[columns - x :]
            line = self.buffer[cursor.y]
            if line.shared:
                line = self._row(cursor.y)
            if mo.IRM in self.mode:
                line.insert(x, len(part), style)
            line.put(x, part, style)
            cursor.x = x + len(part)

    def _draw_other(self, char: str, count: int) -> None:
        """Write a character that may not be narrow, `count` times."""
        width = wcwidth(char)
        if width == 1:
            self._draw_narrow(char * count)
        elif width == 0 and self.cursor.x:
            self._row(self.cursor.y).combine(self.cursor.x - 1, char * count)
        elif width == 2:
            self._draw_wide_run(char, count)

    def _draw_wide_run(self, char: str, count: int) -> None:
        """Write wide characters that may join the cell before: the second of a flag, any skin
        tone."""
        count = self._join(char, count)
        if char in _FLAG_LETTERS:
            self._draw_wide(char * 2, count // 2)
            self._draw_wide(char, count % 2)
        elif char in _SKIN_TONES and count:
            self._draw_wide(char, 1)
            self._join(char, count - 1)
        else:
            self._draw_wide(char, count)

    def _join(self, char: str, count: int) -> int:
        """Join characters to the cell before the cursor; return how many are left."""
        if not (count and self.cursor.x and self._joins(char)):
            return count
        joined = count if char in _SKIN_TONES else 1
        self._row(self.cursor.y).combine(self.cursor.x - 1, char * joined)
        return count - joined

    def _joins(self, char: str) -> bool:
        """Return whether a wide character joins the cell before it: after a joiner, as the second
        half of a flag, or as the skin tone of an emoji."""
        before = self.buffer[self.cursor.y].character(self.cursor.x - 1)
        if char in _SKIN_TONES:
            return wcwidth(before[:1] or " ") == 2
        return before.endswith("\u200d") or (
            len(before) == 1 and before in _FLAG_LETTERS and char in _FLAG_LETTERS
        )

    def _draw_wide(self, char: str, count: int) -> None:
        cursor = self.cursor
        while count:
            if cursor.x + 2 > self.columns:
                if mo.DECAWM not in self.mode or self.columns < 2:
                    return
                self._row(cursor.y).erase(cursor.x, self.columns, self.style)
                cursor.x = self._wrap()
            line = self._row(cursor.y)
            fitting = min(count, (self.columns - cursor.x) // 2)
            if mo.IRM in self.mode:
                line.insert(cursor.x, 2 * fitting, self.style)
            line.put_wide(cursor.x, char, fitting, self.style)
            cursor.x += 2 * fitting
            count -= fitting

    def _wrap(self) -> int:
        """Wrap at the right edge; return the column to write at."""
        if mo.DECAWM not in self.mode:
            return self.columns - 1
        self.cursor.x = 0
        self.index()
        return 0

    def alignment_display(self) -> None:
        """DECALN: fill the screen with E."""
        self._reset_region()
        self.cursor.x = self.cursor.y = 0
        self.buffer = [filled("E", self.columns, DEFAULT)] * self.lines

    def select_graphic_rendition(self, groups: Groups) -> None:  # type: ignore[override]
        """SGR."""
        style = restyle(self.style, groups)
        self.cursor.attrs = style  # type: ignore[assignment]

    def set_link(self, link: str) -> None:
        """OSC 8: begin a link, or end it if empty."""
        style = self.style._replace(link=link)
        self.cursor.attrs = style  # type: ignore[assignment]

    def define_charset(self, code: str, mode: str) -> None:
        """`ESC (` and `ESC )`: G0 and G1; only line drawing differs from plain text."""
        self.graphics["()".index(mode)] = code == "0"

    # Scrolling

    def index(self) -> None:
        """IND: down one row; at the bottom of the region, scroll it."""
        cursor = self.cursor
        if cursor.x >= self.columns:
            cursor.x = self.columns - 1
        if cursor.y == self.bottom:
            self.scroll_up(1)
        elif cursor.y < self.lines - 1:
            cursor.y += 1

    def linefeed(self) -> None:
        """LF, VT and FF."""
        self.index()
        if mo.LNM in self.mode:
            self.cursor.x = 0

    def next_line(self) -> None:
        """NEL."""
        self.cursor.x = 0
        self.index()

    def reverse_index(self) -> None:
        """RI: up one row; at the top of the region, scroll it down."""
        self.ensure_hbounds()
        if self.cursor.y == self.top:
            self.scroll_down(1)
        elif self.cursor.y > 0:
            self.cursor.y -= 1

    def scroll_up(self, count: int = 1) -> None:
        """SU: scroll the region up, into the scrollback if it begins at row 0."""
        count = min(count or 1, self.bottom - self.top + 1)
        if self.top == 0 and not self.alternate:
            leaving = self.buffer[:count]
            self.pushed.extend([row.text if row.fresh else row.render() for row in leaving])
        self._shift(self.top, self.bottom, count)

    def scroll_down(self, count: int = 1) -> None:
        """SD: scroll the region down; lines at the bottom are lost."""
        count = min(count or 1, self.bottom - self.top + 1)
        self._shift(self.top, self.bottom, -count)

    def _shift(self, top: int, bottom: int, count: int) -> None:
        """Move rows `top` to `bottom` up (negative: down), filling with blank rows."""
        rows = self.buffer
        blank = self._blank(abs(count), erased(self.style))
        if count > 0:
            rows[bottom + 1 : bottom + 1] = blank
            del rows[top : top + count]
        else:
            del rows[bottom + 1 + count : bottom + 1]
            rows[top:top] = blank

    def insert_lines(self, count: int | None = None) -> None:
        """IL."""
        y = self.cursor.y
        if self.top <= y <= self.bottom:
            self._shift(y, self.bottom, -min(count or 1, self.bottom + 1 - y))
            self.cursor.x = 0

    def delete_lines(self, count: int | None = None) -> None:
        """DL."""
        y = self.cursor.y
        if self.top <= y <= self.bottom:
            self._shift(y, self.bottom, min(count or 1, self.bottom + 1 - y))
            self.cursor.x = 0

    def set_margins(self, top: int | None = None, bottom: int | None = None) -> None:
        """DECSTBM: set the scroll region, rows from 1, and go home. Invalid regions are ignored."""
        first = max((top or 1) - 1, 0)
        last = min(bottom or self.lines, self.lines) - 1
        if first < last:
            self.top, self.bottom = first, last
            whole = (first, last) == (0, self.lines - 1)
            self.margins = None if whole else Margins(first, last)
            self.cursor_position()

    # Erasing and editing

    def erase_in_display(self, how: int = 0, *_: int, **__: bool) -> None:
        """ED: 0 below, 1 above, 2 all, 3 the scrollback (not on the alternate screen)."""
        y = self.cursor.y
        style = erased(self.style)
        if how == 3 and not self.alternate:
            self.erase_scrollback()
        elif how in (0, 1):
            self.erase_in_line(how)
        start, end = {0: (y + 1, self.lines), 1: (0, y), 2: (0, self.lines)}.get(how, (0, 0))
        self.buffer[start:end] = self._blank(end - start, style)

    def erase_in_line(self, how: int = 0, private: bool = False) -> None:
        """EL: 0 to the right, 1 to the left, 2 the row."""
        x = min(self.cursor.x, self.columns)
        start, end = {0: (x, self.columns), 1: (0, x + 1), 2: (0, self.columns)}.get(how, (0, 0))
        self._row(self.cursor.y).erase(start, min(end, self.columns), erased(self.style))

    def erase_characters(self, count: int | None = None) -> None:
        """ECH."""
        self.ensure_hbounds()
        x = self.cursor.x
        end = min(x + (count or 1), self.columns)
        self._row(self.cursor.y).erase(x, end, erased(self.style))

    def insert_characters(self, count: int | None = None) -> None:
        """ICH."""
        self.ensure_hbounds()
        x = self.cursor.x
        count = min(count or 1, self.columns - x)
        self._row(self.cursor.y).insert(x, count, erased(self.style))

    def delete_characters(self, count: int | None = None) -> None:
        """DCH."""
        self.ensure_hbounds()
        self._row(self.cursor.y).delete(self.cursor.x, count or 1, erased(self.style))

    # Moving

    def cursor_up(self, count: int | None = None) -> None:
        """CUU: stops at the region's top only from inside or below it."""
        self.ensure_hbounds()
        limit = self.top if self.cursor.y >= self.top else 0
        self.cursor.y = max(self.cursor.y - (count or 1), limit)

    def cursor_down(self, count: int | None = None) -> None:
        """CUD: stops at the region's bottom only from inside or above it."""
        self.ensure_hbounds()
        limit = self.bottom if self.cursor.y <= self.bottom else self.lines - 1
        self.cursor.y = min(self.cursor.y + (count or 1), limit)

    def row_forward(self, count: int | None = None) -> None:
        """VPR: down, whatever the region."""
        self.ensure_hbounds()
        self.cursor.y += count or 1
        self.ensure_vbounds()

    def cursor_forward(self, count: int | None = None) -> None:
        """CUF."""
        self.cursor.x = min(self.cursor.x + (count or 1), self.columns - 1)

    def cursor_position(self, line: int | None = None, column: int | None = None) -> None:
        """CUP: row and column from 1; in origin mode the row counts from the region's top."""
        self.cursor.x = (column or 1) - 1
        self.cursor.y = (line or 1) - 1 + (self.top if mo.DECOM in self.mode else 0)
        self.ensure_hbounds()
        self.ensure_vbounds()

    def cursor_to_line(self, line: int | None = None) -> None:
        """VPA."""
        self.cursor_position(line, min(self.cursor.x, self.columns - 1) + 1)

    def tab(self) -> None:
        """HT: go to the next tab stop or the last column, unless a wrap is pending."""
        self.tab_forward(1)

    def tab_forward(self, count: int = 1) -> None:
        """CHT."""
        if self.cursor.x >= self.columns:
            return
        stops = [stop for stop in sorted(self.tabstops) if stop > self.cursor.x]
        index = (count or 1) - 1
        self.cursor.x = stops[index] if index < len(stops) else self.columns - 1

    def set_tab_stop(self) -> None:
        """HTS."""
        self.tabstops.add(min(self.cursor.x, self.columns - 1))

    def tab_back(self, count: int = 1) -> None:
        """CBT."""
        self.ensure_hbounds()
        stops = [stop for stop in sorted(self.tabstops, reverse=True) if stop < self.cursor.x]
        index = (count or 1) - 1
        self.cursor.x = stops[index] if index < len(stops) else 0

    # Size

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Resize the screen. Rows scroll off the top if the cursor would be below the bottom; new
        rows are added at the bottom. Text is not rewrapped."""
        lines, columns = lines or self.lines, columns or self.columns
        self.buffer = self._resized(self.buffer, lines, columns, self.cursor, self.alternate)
        self.tabstops = {stop for stop in self.tabstops if stop < columns}
        self.tabstops.update(range((self.columns + 7) // 8 * 8, columns, 8))
        self.lines, self.columns = lines, columns
        self._reset_region()
        self.cursor.x = min(self.cursor.x, columns)
        self.ensure_vbounds()

    def _resized(
        self, rows: list[Line], lines: int, columns: int, cursor: Cursor, alternate: bool
    ) -> list[Line]:
        """Return `rows` in the new size; `cursor` moves with its row."""
        excess = max(cursor.y - (lines - 1), 0)
        if not alternate:
            self.pushed.extend([row.text if row.fresh else row.render() for row in rows[:excess]])
        cursor.y -= excess
        kept = [row.copy() if row.shared else row for row in rows[excess : excess + lines]]
        for line in kept:
            line.resize(columns)
        return kept + [filled(" ", columns, DEFAULT)] * (lines - len(kept))
