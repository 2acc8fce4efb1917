"""One row of cells, with its text cached on it, so that scrolling moves objects and copies nothing.

A row is two lists of equal length, characters and styles. A wide character stands in its first
cell; its second cell holds the empty string. A cell may hold more than one code point (combining
marks, joiners).

Rows that are filled at once (blank, or with one letter) are one object in all the places where they
stand: to blank a screen costs no more than a list. Such a row is `shared`; who changes a cell of it
changes a copy.
"""

from __future__ import annotations

from functools import lru_cache

from agentapi.terminal.style import DEFAULT, Style

MAX_CELL = 32
"""Code points that one cell keeps: enough for any emoji sequence, a bound for hostile input."""


class Line:
    """A row, initially blank."""

    __slots__ = ("_faint", "bright", "chars", "fresh", "shared", "styles", "text")

    def __init__(self, columns: int, style: Style = DEFAULT) -> None:
        self.chars: list[str] = [" "] * columns
        self.styles: list[Style] = [style] * columns
        self.text = ""
        """The row without trailing blanks; valid only while `fresh`."""
        self.bright = ""
        """`text` with faint characters blanked."""
        self.fresh = True
        """Whether `text` and `bright` are valid; set to False by any change of a cell."""
        self.shared = False
        """Whether it may be used in several places, and so must not be changed."""
        self._faint = style.faint
        """Whether a faint character was written since the row was blank."""

    def copy(self) -> Line:
        """Return an independent row with the same cells."""
        copy = Line.__new__(Line)
        copy.chars, copy.styles = self.chars.copy(), self.styles.copy()
        copy.text, copy.bright, copy.fresh = self.text, self.bright, self.fresh
        copy.shared, copy._faint = False, self._faint
        return copy

    def render(self) -> str:
        """Update `text` and `bright`, keeping the old strings if unchanged; return `text`."""
        self.fresh = True
        text = "".join(self.chars).rstrip(" ")
        if text != self.text:
            self.text = text
        bright = self.text
        if self._faint:
            pairs = zip(self.chars, self.styles, strict=True)
            bright = "".join(
                " " * len(char) if style.faint else char for char, style in pairs
            ).rstrip(" ")
        if bright != self.bright:
            self.bright = bright if bright != self.text else self.text
        return self.text

    def put(self, column: int, text: str, style: Style) -> None:
        """Write narrow characters, one per cell."""
        chars = self.chars
        end = column + len(text)
        if chars[column] == "":
            chars[column - 1] = " "
        if end < len(chars) and chars[end] == "":
            chars[end] = " "
        chars[column:end] = text
        self.styles[column:end] = [style] * len(text)
        self.fresh = False
        if style.faint:
            self._faint = True

    def put_wide(self, column: int, char: str, count: int, style: Style) -> None:
        """Write a wide character into `column` and the cell after it, `count` times."""
        self.put(column, "  " * count, style)
        self.chars[column : column + 2 * count] = [char, ""] * count

    def character(self, column: int) -> str:
        """Return the character covering a cell; empty for column -1."""
        if column < 0:
            return ""
        return self.chars[column] or self.chars[column - 1]

    def combine(self, column: int, mark: str) -> None:
        """Attach zero-width characters to the character at `column`."""
        if self.chars[column] == "":
            column -= 1
        room = MAX_CELL - len(self.chars[column])
        if room > 0:
            self.chars[column] += mark[:room]
            self.fresh = False

    def erase(self, start: int, end: int, style: Style) -> None:
        """Blank the cells from `start` up to `end`, and halves of wide characters at the edges."""
        if start < end:
            self.put(start, " " * (end - start), style)

    def insert(self, column: int, count: int, style: Style) -> None:
        """Insert blanks; cells beyond the right edge are lost."""
        self._split_wide(column)
        columns = len(self.chars)
        self.chars[column:column] = [" "] * count
        self.styles[column:column] = [style] * count
        self._split_wide(columns)
        del self.chars[columns:], self.styles[columns:]
        self.fresh = False

    def delete(self, column: int, count: int, style: Style) -> None:
        """Delete cells; blanks are added at the right edge."""
        count = min(count, len(self.chars) - column)
        self._split_wide(column)
        self._split_wide(column + count)
        del self.chars[column : column + count], self.styles[column : column + count]
        self.chars += [" "] * count
        self.styles += [style] * count
        self.fresh = False

    def resize(self, columns: int) -> None:
        """Clip or pad on the right."""
        self._split_wide(columns)
        del self.chars[columns:], self.styles[columns:]
        missing = columns - len(self.chars)
        self.chars += [" "] * missing
        self.styles += [DEFAULT] * missing
        self.fresh = False

    def _split_wide(self, column: int) -> None:
        """Blank a wide character that a cut before `column` would split."""
        if column < len(self.chars) and self.chars[column] == "":
            self.chars[column - 1 : column + 1] = [" ", " "]


@lru_cache(maxsize=64)
def filled(char: str, columns: int, style: Style) -> Line:
    """Return the shared row filled with one narrow character in a style."""
    line = Line(columns, style)
    line.put(0, char * columns, style)
    line.render()
    line.shared = True
    return line
