"""Find the prompt of an unknown program: at the cursor, after a prompt sign.

In shells, interpreters and full-screen agents, the terminal's cursor is where the next character
goes, even if the program hides it and draws its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from agentapi.conversation.plain import SIDES
from agentapi.model.comparison import squeeze, visible
from agentapi.model.frames import Frame

BLANKS = " \xa0"

_SIGN = r"(?:[>❯›$#→]|(?<!\d)%)"
_EMPTY = re.compile(
    rf"(?:.{{0,12}}{_SIGN}|.{{13,}}[>❯›$#][{BLANKS}]|[{BLANKS}]{{0,4}}[┃▌])[{BLANKS}]{{0,3}}"
)
"""An empty prompt. One longer than twelve characters (`user@host:~/folder$ `) must end with an
unambiguous sign and a space."""
_DRAFT = re.compile(
    rf"[{BLANKS}{SIDES}]{{0,5}}(?:>>>|\.\.\.|[>❯›$┃])[{BLANKS}]{{1,2}}(?=[^{BLANKS}])"
)
"""A short prompt followed by text."""
_CONTINUATION = re.compile(rf"\.\.\.[{BLANKS}]{{1,2}}")
"""The continuation prompt of an interpreter."""
_BOX_ROW = re.compile(rf"[{BLANKS}]{{0,4}}[┃▌][{BLANKS}]{{1,2}}(?=[^{BLANKS}])")
_NAMED = re.compile(r"(?:In \[\d+\]|you|user|human|me): ", re.IGNORECASE)
"""The prompts of IPython and of chat programs. Other words before a colon are questions."""
MAX_ROWS = 60
"""Maximum rows of the text in an input box."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The prompt at the cursor."""

    row: int
    text: str
    """The text between the sign and the cursor."""


def left_of_cursor(frame: Frame) -> str:
    """Return the text left of the cursor in its row. In the last column the cursor may be after a
    full row."""
    column, row = frame.cursor
    line = frame.lines[row]
    return line if column == frame.columns - 1 < len(line) else line.ljust(column)[:column]


def prompt_at(frame: Frame) -> Prompt | None:
    """Return the prompt at the cursor, with or without text; None if there is none.

    Text right of the cursor does not count: it may be a placeholder."""
    row = frame.cursor[1]
    left = left_of_cursor(frame)
    if _CONTINUATION.fullmatch(left):
        return Prompt(row, "")
    if _EMPTY.fullmatch(left):
        return _in_box(frame, row) or Prompt(row, "")
    if found := _DRAFT.match(left) or _NAMED.match(left):
        return Prompt(row, left[found.end() :].rstrip())
    return _begun_above(frame, left)


def _in_box(frame: Frame, row: int) -> Prompt | None:
    """Return the text above the cursor's empty row in a box whose rows all have the same side."""
    side = frame.lines[row].strip()[:1]
    words: list[str] = []
    top = row
    while top > 0 and (found := _BOX_ROW.match(frame.lines[top - 1])) and found[0].strip() == side:
        top -= 1
        words.insert(0, frame.lines[top][found.end() :].rstrip())
    return Prompt(top, "\n".join([*words, ""])) if words else None


def _begun_above(frame: Frame, left: str) -> Prompt | None:
    """Return a prompt with text of several rows, whose sign is above the cursor. The rows below are
    indented, have their own sign, or continue a full row. In an empty row the cursor must be
    exactly below the text: some programs take an early Enter for a line break (gemini)."""
    column, row = frame.cursor
    rows = [left]
    empty = not left.strip(BLANKS + SIDES)
    for top in range(row - 1, max(-1, row - MAX_ROWS), -1):
        line = frame.lines[top]
        if found := _DRAFT.match(line):
            indent = found.end()
            if empty and column != indent:
                return None
            wraps = [len(text) >= frame.columns - 4 for text in (line, *rows)]
            if not all(
                _continues(text, indent, full) for text, full in zip(rows, wraps, strict=False)
            ):
                return None
            words = (text[indent:].strip(BLANKS + SIDES) for text in (line, *rows))
            return Prompt(top, "\n".join(words).strip())
        rows.insert(0, line)
    return None


def _continues(line: str, indent: int, wraps: bool) -> bool:
    return wraps or not line[:indent].strip(f"{BLANKS}{SIDES}.>")


_PASTED = re.compile(r"\[Past\w*\b[^\]]*\]$")
"""Placeholder of a long paste in an input box: `[Pasted text #1 +3 lines]`."""
END = 40
"""Number of characters at the end of a text to search for at the cursor."""


def ends_at_cursor(frame: Frame, typed: str) -> bool:
    """Return whether a text is directly before the cursor, with nothing after it. A text that is
    long or has several lines may be replaced by a placeholder."""
    row = frame.cursor[1]
    left = left_of_cursor(frame)
    if frame.lines[row][len(left) : len(left) + 1].strip(BLANKS + SIDES):
        return False
    above = frame.lines[max(0, row - MAX_ROWS) : row]
    if not left.strip(BLANKS + SIDES) and not (above and len(above[-1]) >= frame.columns):
        return False
    if ("\n" in typed or len(typed) > 200) and _PASTED.search(left.rstrip()):
        return True
    shown = "".join(line.strip(BLANKS + SIDES) for line in (*above, left))
    wanted = visible(typed)[-END:]
    return bool(wanted) and visible(shown).endswith(wanted)


def without_typed(frame: Frame, typed: str, part: bool = False) -> Frame:
    """Return the frame without `typed` (if `part`, its displayed beginning) before the cursor; the
    unchanged frame if it is not there."""
    row = frame.cursor[1]
    places = [
        (char, at, column)
        for at in range(max(0, row - MAX_ROWS), row + 1)
        for column, char in _text_cells(left_of_cursor(frame) if at == row else frame.lines[at])
    ]
    shown = squeeze("".join(char for char, _, _ in places))
    wanted = squeeze(typed)
    shortest = 1 if part else len(wanted)
    lengths = range(len(wanted), max(0, shortest - 1), -1)
    length = next((n for n in lengths if shown.endswith(wanted[:n])), 0)
    if not length:
        return frame
    _, top, column = places[-length]
    lines = list(frame.lines)
    lines[top : row + 1] = [lines[top][:column].rstrip(), *[""] * (row - top)]
    return replace(frame, lines=tuple(lines), cursor=(column, top))


def _text_cells(line: str) -> list[tuple[int, str]]:
    """Return the characters of a row with their columns, without blanks and the sides of a box."""
    start = len(line) - len(line.lstrip(BLANKS + SIDES))
    bare = line.strip(BLANKS + SIDES)
    return [(column, char) for column, char in enumerate(bare, start) if squeeze(char)]
