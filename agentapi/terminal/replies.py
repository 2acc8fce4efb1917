"""Replies to terminal queries, as pure functions.

Every query seen at the start of an agent gets a reply, even if it is negative: a program that waits
in vain loses seconds. We report a terminal with 24-bit colour and without graphics.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable

from pyte.graphics import FG_BG_256

from agentapi import __version__
from agentapi.terminal.modes import ModalScreen
from agentapi.terminal.parser import String

CELL_WIDTH, CELL_HEIGHT = 10, 20
"""The cell size in pixels, for programs that query it."""
_SPECIAL_COLOURS = {10: "ffffff", 11: "000000", 12: "ffffff", 17: "444444", 19: "ffffff"}
_CAPABILITIES = {"TN": "xterm-256color", "Co": "256", "colors": "256", "RGB": "8", "name": ""}
_CAPABILITIES["name"] = _CAPABILITIES["TN"]

ST = "\x1b\\"


def primary_attributes(screen: ModalScreen, kind: int = 0) -> str:
    """DA1: a VT220 with colour."""
    return "\x1b[?62;22c" if kind == 0 else ""


def secondary_attributes(screen: ModalScreen, kind: int = 0) -> str:
    """DA2. A low version, so that programs do not expect all features of xterm."""
    return "\x1b[>1;10;0c" if kind == 0 else ""


def tertiary_attributes(screen: ModalScreen, kind: int = 0) -> str:
    """DA3."""
    return f"\x1bP!|00000000{ST}" if kind == 0 else ""


def version(screen: ModalScreen, kind: int = 0) -> str:
    """XTVERSION."""
    return f"\x1bP>|agentapi({__version__}){ST}" if kind == 0 else ""


def status(screen: ModalScreen, kind: int = 0) -> str:
    """DSR: 5 are you well, 6 where is the cursor."""
    if kind == 5:
        return "\x1b[0n"
    return "\x1b[" + _position(screen) + "R" if kind == 6 else ""


def private_status(screen: ModalScreen, kind: int = 0) -> str:
    """DSR with `?`: the cursor, no printer, no locked keys, the dark colour scheme."""
    if kind == 6:
        return "\x1b[?" + _position(screen) + "R"
    answers = {15: "13", 25: "21", 26: "27;1;0;0", 55: "53", 996: "997;1"}
    return f"\x1b[?{answers[kind]}n" if kind in answers else ""


def _position(screen: ModalScreen) -> str:
    top = screen.top if screen.has(6) else 0
    return f"{screen.cursor.y - top + 1};{min(screen.cursor.x, screen.columns - 1) + 1}"


def private_mode(screen: ModalScreen, mode: int = 0) -> str:
    """DECRQM for a private mode."""
    return f"\x1b[?{mode};{screen.mode_report(mode, private=True)}$y"


def ansi_mode(screen: ModalScreen, mode: int = 0) -> str:
    """DECRQM."""
    return f"\x1b[{mode};{screen.mode_report(mode, private=False)}$y"


def keyboard(screen: ModalScreen) -> str:
    """The kitty keyboard flags."""
    return f"\x1b[?{screen.keyboard_flags}u"


def key_modifiers(screen: ModalScreen, resource: int = 0) -> str:
    """XTQMODKEYS."""
    value = screen.modify_other_keys if resource == 4 else 0
    return f"\x1b[>{resource};{value}m"


def window(screen: ModalScreen, kind: int = 0) -> str:
    """XTWINOPS: state, place and sizes; never the title (it could hold anything)."""
    rows, columns = screen.lines, screen.columns
    pixels = f"{rows * CELL_HEIGHT};{columns * CELL_WIDTH}t"
    return {
        11: "\x1b[1t",
        13: "\x1b[3;0;0t",
        14: "\x1b[4;" + pixels,
        15: "\x1b[5;" + pixels,
        16: f"\x1b[6;{CELL_HEIGHT};{CELL_WIDTH}t",
        18: f"\x1b[8;{rows};{columns}t",
        19: f"\x1b[9;{rows};{columns}t",
        20: f"\x1b]L{ST}",
        21: f"\x1b]l{ST}",
    }.get(kind, "")


def graphics_attribute(screen: ModalScreen, item: int = 0) -> str:
    """XTSMGRAPHICS: no such graphics."""
    return f"\x1b[?{item};3;0S"


def string(screen: ModalScreen, asked: String) -> str:
    """The answer to a question in an OSC, DCS or APC; empty when it is none."""
    answer = {"]": _osc, "P": _dcs, "_": _apc}.get(asked.kind)
    return answer(screen, asked) if answer else ""


def _osc(screen: ModalScreen, asked: String) -> str:
    number, _, rest = asked.payload.partition(";")
    if number == "7501" and rest.strip() == "?":  # switches Claude Code's states on
        return f"\x1b]7501;?{asked.terminator}"
    if number == "1337" and rest == "ReportCellSize":
        return f"\x1b]1337;ReportCellSize={CELL_HEIGHT}.0;{CELL_WIDTH}.0;1.0{asked.terminator}"
    colours = _palette(rest) if number == "4" else _special_colours(number, rest)
    return "".join(f"\x1b]{colour}{asked.terminator}" for colour in colours)


def _palette(rest: str) -> list[str]:
    """OSC 4: pairs of an index and a colour, or `?` for it."""
    parts = rest.split(";")
    asked = [index for index, what in zip(parts[::2], parts[1::2], strict=False) if what == "?"]
    known = [int(index) for index in asked if re.fullmatch("[0-9]{1,3}", index)]
    return [f"4;{index};{_rgb(FG_BG_256[index])}" for index in known if index < 256]


def _special_colours(number: str, rest: str) -> list[str]:
    """OSC 10 to 19: a colour or `?`; further parts are about the numbers after it."""
    if not re.fullmatch("1[0-9]", number):
        return []
    numbered = enumerate(rest.split(";"), start=int(number))
    known = ((index, _SPECIAL_COLOURS.get(index)) for index, what in numbered if what == "?")
    return [f"{index};{_rgb(colour)}" for index, colour in known if colour]


def _rgb(colour: str) -> str:
    """`cd0000` as X11 spells it, with four digits a channel."""
    return "rgb:" + "/".join(colour[i : i + 2] * 2 for i in (0, 2, 4))


def _dcs(screen: ModalScreen, asked: String) -> str:
    if asked.payload.startswith("+q"):
        return "".join(map(_capability, asked.payload[2:].split(";")[:64]))
    if asked.payload.startswith("$q"):
        value = _setting(screen, asked.payload[2:])
        return f"\x1bP1$r{value}{ST}" if value else f"\x1bP0$r{ST}"
    return ""


def _capability(name: str) -> str:
    """XTGETTCAP: names and values are in hexadecimal."""
    try:
        value = _CAPABILITIES.get(binascii.unhexlify(name).decode("latin-1"))
    except (binascii.Error, ValueError):
        return f"\x1bP0+r{ST}"
    if value is None:
        return f"\x1bP0+r{name}{ST}"
    return f"\x1bP1+r{name}={value.encode().hex().upper()}{ST}"


def _setting(screen: ModalScreen, what: str) -> str:
    """DECRQSS: the SGR, the scroll region, the cursor's shape."""
    settings: dict[str, Callable[[], str]] = {
        "m": lambda: f"{screen.style.sgr()}m",
        "r": lambda: f"{screen.top + 1};{screen.bottom + 1}r",
        " q": lambda: f"{screen.cursor_shape} q",
    }
    return settings[what]() if what in settings else ""


def _apc(screen: ModalScreen, asked: String) -> str:
    """kitty graphics: a question (`a=q`) is answered, with no."""
    if not asked.payload.startswith("G"):
        return ""
    keys = dict(part.partition("=")[::2] for part in asked.payload[1:].partition(";")[0].split(","))
    image = keys.get("i", "")
    if keys.get("a") != "q" or not re.fullmatch("[0-9]{1,10}", image):
        return ""
    return f"\x1b_Gi={image};ENOTSUPPORTED:no graphics here{ST}"
