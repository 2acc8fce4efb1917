"""A screen as bytes that paint it on a fresh terminal, so that a late one attaches in one step.

Only sequences that every xterm-like terminal knows. The state that later output depends on comes
along: both screens, cursors, region, modes, charsets, tab stops, and what the parser holds.
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


def dump(screen: ModalScreen, pending: bytes = b"") -> bytes:
    """The bytes. `pending` is what the parser read of an unfinished sequence."""
    parts = ["\x1b[!p\x1b[?1049l\x1b[H\x1b[2J", _rows(screen.normal_rows())]
    if screen.alternate:
        parts += [_saved(screen.saved(False), screen), "\x1b[?1049h\x1b[H"]
        if screen.saved(False):
            parts.append("")
        parts.append(_rows(screen.buffer))
    parts += [_saved(screen.saved(screen.alternate), screen), _tab_stops(screen), _modes(screen)]
    parts.append(f"\x1b]2;{screen.title}\x1b\\" if screen.title else "")
    parts.append(_cursor(screen))
    if screen.has(SYNCHRONIZED):
        parts.append(f"\x1b[?{SYNCHRONIZED}h")
    return "".join(parts).encode() + pending


def _rows(rows: list[Line]) -> str:
    return "".join(
        f"\x1b[{number}H{painted}" for number, row in enumerate(rows, 1) if (painted := _row(row))
    )


def _row(row: Line) -> str:
    """One row: runs of equal style, without the default blanks at its end."""
    cells = list(zip(row.chars, row.styles, strict=True))
    while cells and cells[-1] == (" ", DEFAULT):
        cells.pop()
    runs = groupby(cells, key=lambda cell: cell[1])
    painted = [(style, "".join(char for char, _ in run)) for style, run in runs]
    return "".join(f"{_sgr(style)}{text}" for style, text in painted) + "\x1b[m" if painted else ""


def _sgr(style: Style) -> str:
    return f"\x1b[{style.sgr()}m"


def _charsets(graphics: tuple[bool, ...], charset: int) -> str:
    sets = "".join(
        f"\x1b{slot}{'0' if on else 'B'}" for slot, on in zip("()", graphics, strict=True)
    )
    return sets + ("\x0e" if charset else "\x0f")


def _saved(saved: Saved | None, screen: ModalScreen) -> str:
    """The cursor that DECSC kept, saved again."""
    if saved is None:
        return ""
    origin = "\x1b[?6h" if saved.origin else "\x1b[?6l"
    place = _place(saved.x, saved.y, screen, screen.normal_rows())
    look = _sgr(saved.style) + _charsets(saved.graphics, saved.charset)
    return (
        f"\x1b[?6l{place}{look}\x1b7\x1b[?6l\x1b[m\x0f"
        if not saved.origin
        else (f"{origin}{place}{look}\x1b7\x1b[?6l\x1b[m\x0f")
    )


def _place(x: int, y: int, screen: ModalScreen, rows: list[Line]) -> str:
    return f"\x1b[{y + 1};{min(x, screen.columns - 1) + 1}H"


def _tab_stops(screen: ModalScreen) -> str:
    if screen.tabstops == set(range(8, screen.columns, 8)):
        return ""
    stops = sorted(stop for stop in screen.tabstops if stop < screen.columns)
    return "\x1b[3g" + "".join(f"\x1b[{stop + 1}G\x1bH" for stop in stops)


def _modes(screen: ModalScreen) -> str:
    """Every mode that differs from a fresh terminal's, and the keyboard protocols."""
    on_at_start = {AUTOWRAP, VISIBLE_CURSOR}
    later = {ORIGIN, SYNCHRONIZED}
    changed = [
        mode for mode in sorted(PRIVATE_MODES - later) if screen.has(mode) != (mode in on_at_start)
    ]
    parts = [f"\x1b[?{mode}{'h' if screen.has(mode) else 'l'}" for mode in changed]
    parts += [f"\x1b[{mode}h" for mode in (mo.IRM, mo.LNM) if mode in screen.mode]
    if screen.keyboard_flags:
        parts.append(f"\x1b[>{screen.keyboard_flags}u")
    if screen.modify_other_keys:
        parts.append(f"\x1b[>4;{screen.modify_other_keys}m")
    if screen.cursor_shape:
        parts.append(f"\x1b[{screen.cursor_shape} q")
    return "".join(parts)


def _cursor(screen: ModalScreen) -> str:
    """Region, cursor, style and charsets. A due wrap is made by writing the last cell again."""
    parts = []
    if (screen.top, screen.bottom) != (0, screen.lines - 1):
        parts.append(f"\x1b[{screen.top + 1};{screen.bottom + 1}r")
    parts.append(_due_wrap(screen) or f"\x1b[{screen.cursor.y + 1};{screen.cursor.x + 1}H")
    origin = screen.has(ORIGIN)
    if origin:
        row = screen.cursor.y - screen.top + 1
        parts.append(f"\x1b[?6h\x1b[{row};{min(screen.cursor.x, screen.columns - 1) + 1}H")
    parts += [_sgr(screen.style), _charsets(tuple(screen.graphics), screen.charset)]
    return "".join(parts)


def _due_wrap(screen: ModalScreen) -> str:
    if screen.cursor.x < screen.columns:
        return ""
    row = screen.buffer[screen.cursor.y]
    column = screen.columns - (2 if row.chars[-1] == "" else 1)
    return f"\x1b[{screen.cursor.y + 1};{column + 1}H{_sgr(row.styles[column])}{row.chars[column]}"
