"""A screen as bytes that paint it on a fresh terminal, so that a late one attaches in one step.

Only sequences that every xterm-like terminal knows. The state that later output depends on comes
along: both screens, cursors, region, modes, charsets, tab stops, keyboard flags. Left out are what
no sequence can set: the character that REP would repeat, and titles that wait on the stack.
"""

from __future__ import annotations

from itertools import groupby

from pyte import modes as mo

from agentapi.terminal.line import Line
from agentapi.terminal.modes import (
    AUTOWRAP,
    ORIGIN,
    PRIVATE_MODES,
    SYNCHRONIZED,
    VISIBLE_CURSOR,
    ModalScreen,
    Saved,
)
from agentapi.terminal.style import DEFAULT, Style

_START = "\x1b[!p\x1b[?1049l\x1b[H\x1b[2J"
_NO_LINK = "\x1b]8;;\x1b\\"
_PLAIN = f"\x1b[?6l\x1b[m{_NO_LINK}\x1b(B\x1b)B\x0f"


def dump(screen: ModalScreen, pending: bytes = b"") -> bytes:
    """The bytes. `pending` is what the parser read of an unfinished sequence."""
    parts = [
        _START,
        _other_keyboard(screen),
        _rows(screen.normal_rows()),
        _alternate(screen) if screen.alternate else "",
        _saved(screen, screen.buffer, "\x1b7"),
        _tab_stops(screen),
        _modes(screen),
        f"\x1b]2;{screen.title}\x1b\\" if screen.title else "",
        _cursor(screen),
        f"\x1b[?{SYNCHRONIZED}h" if screen.has(SYNCHRONIZED) else "",
    ]
    return "".join(parts).encode() + pending


# Contents


def _rows(rows: list[Line]) -> str:
    painted = ((number, _row(row)) for number, row in enumerate(rows, 1))
    return "".join(f"\x1b[{number}H{row}" for number, row in painted if row)


def _row(row: Line) -> str:
    """One row: runs of equal style, without the default blanks at its end."""
    cells = list(zip(row.chars, row.styles, strict=True))
    while cells and cells[-1] == (" ", DEFAULT):
        cells.pop()
    runs = groupby(cells, key=lambda cell: cell[1])
    painted = "".join(_written(style, "".join(char for char, _ in run)) for style, run in runs)
    return painted + "\x1b[m" if painted else ""


def _alternate(screen: ModalScreen) -> str:
    """Change over and paint. Mode 1049 saves the normal screen's cursor on the way, and fills the
    new screen with that cursor's background."""
    if screen.saved(False):
        change = _saved(screen, screen.normal_rows(), "\x1b[?1049h", of_alternate=False)
    else:
        change = "\x1b[?1047h"
    return change + "\x1b[2J" + _rows(screen.buffer)


# Cursors


def _saved(
    screen: ModalScreen, rows: list[Line], save: str, of_alternate: bool | None = None
) -> str:
    """Saves again, with the sequence `save`, the cursor that DECSC kept; the region is not set
    yet, so that origin mode moves nothing."""
    saved = screen.saved(screen.alternate if of_alternate is None else of_alternate)
    if saved is None:
        return ""
    origin = "\x1b[?6h" if saved.origin else ""
    return origin + _place(saved.x, saved.y, rows) + _cursor_state(saved) + save + _PLAIN


def _cursor(screen: ModalScreen) -> str:
    """Region, cursor, style and charsets."""
    region = ""
    if (screen.top, screen.bottom) != (0, screen.lines - 1):
        region = f"\x1b[{screen.top + 1};{screen.bottom + 1}r"
    origin = "\x1b[?6h" if screen.has(ORIGIN) else ""
    above = screen.top if origin else 0
    return (
        region + origin + _place(screen.cursor.x, screen.cursor.y, screen.buffer, above)
    ) + _cursor_state(screen.cursor_state())


def _place(x: int, y: int, rows: list[Line], above: int = 0) -> str:
    """Move to a cell; `above` rows are not counted. A due wrap is made by writing the last
    character of the row again."""
    y = min(y, len(rows) - 1)  # a cursor that was saved before the screen got smaller
    row = rows[y]
    column = x
    written = ""
    if x >= len(row.chars):
        column = len(row.chars) - (2 if row.chars[-1] == "" else 1)
        written = _written(row.styles[column], row.chars[column])
    return f"\x1b[{max(y - above, 0) + 1};{column + 1}H{written}"


def _cursor_state(saved: Saved) -> str:
    sets = "".join(
        f"\x1b{slot}{'0' if on else 'B'}" for slot, on in zip("()", saved.graphics, strict=True)
    )
    return _sgr(saved.style) + _link(saved.style) + sets + ("\x0e" if saved.charset else "\x0f")


def _written(style: Style, text: str) -> str:
    return _sgr(style) + (f"{_link(style)}{text}{_NO_LINK}" if style.link else text)


def _sgr(style: Style) -> str:
    return f"\x1b[{style.sgr()}m"


def _link(style: Style) -> str:
    return f"\x1b]8;{style.link}\x1b\\" if style.link else ""


# Everything else


def _tab_stops(screen: ModalScreen) -> str:
    if screen.tabstops == set(range(8, screen.columns, 8)):
        return ""
    return "\x1b[3g" + "".join(f"\x1b[{stop + 1}G\x1bH" for stop in sorted(screen.tabstops))


def _modes(screen: ModalScreen) -> str:
    """Every mode that differs from a fresh terminal's, and the keyboard protocols."""
    at_start = {AUTOWRAP, VISIBLE_CURSOR}
    modes = sorted(PRIVATE_MODES - {ORIGIN, SYNCHRONIZED})
    parts = [
        f"\x1b[?{mode}{'h' if screen.has(mode) else 'l'}"
        for mode in modes
        if screen.has(mode) != (mode in at_start)
    ]
    parts += [f"\x1b[{mode}h" for mode in (mo.IRM, mo.LNM) if mode in screen.mode]
    parts.append(_keyboard(screen.keyboards(screen.alternate)))
    if screen.modify_other_keys:
        parts.append(f"\x1b[>4;{screen.modify_other_keys}m")
    if screen.cursor_shape:
        parts.append(f"\x1b[{screen.cursor_shape} q")
    return "".join(parts)


def _keyboard(stack: list[int]) -> str:
    """The kitty flags: the base of the stack, and what was pushed on it."""
    base = f"\x1b[={stack[0]}u" if stack[0] else ""
    return base + "".join(f"\x1b[>{flags}u" for flags in stack[1:])


def _other_keyboard(screen: ModalScreen) -> str:
    """The flags of the screen that does not show."""
    keyboard = _keyboard(screen.keyboards(not screen.alternate))
    if not keyboard or screen.alternate:
        return keyboard
    return f"\x1b[?1047h{keyboard}\x1b[?1047l"
