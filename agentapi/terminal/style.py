"""Cell styles (SGR) as interned values, with cached transitions.

Colours are stored as SGR parameters (`31`, `38;5;208`, `48;2;1;2;3`), as they are only sent back to
a terminal.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

Groups = tuple[tuple[int, ...], ...]
"""SGR parameters with their sub-parameters: `4:3;1` is `((4, 3), (1,))`."""


class Style(NamedTuple):
    """The style of a cell. The empty style is the terminal's default."""

    foreground: str = ""
    background: str = ""
    underline: str = ""
    """`4`, `4:2` … `4:5` or `21`; empty if not underlined."""
    underline_colour: str = ""
    bold: bool = False
    faint: bool = False
    italic: bool = False
    blink: bool = False
    inverse: bool = False
    conceal: bool = False
    strike: bool = False
    overline: bool = False
    link: str = ""
    """The text between `OSC 8 ;` and the terminator; empty without a link. Not changed by SGR."""

    def sgr(self) -> str:
        """Return the SGR parameters that set this style from any other one."""
        flags = [code for code, on in zip(_FLAG_CODES, self[4:12], strict=True) if on]
        colours = [part for part in self[:4] if part]
        return ";".join(["0", *flags, *colours])


DEFAULT = Style()
_FLAG_CODES = ("1", "2", "3", "5", "7", "8", "9", "53")

_RESETS: dict[int, dict[str, object]] = {
    22: {"bold": False, "faint": False},
    23: {"italic": False},
    24: {"underline": ""},
    25: {"blink": False},
    27: {"inverse": False},
    28: {"conceal": False},
    29: {"strike": False},
    39: {"foreground": ""},
    49: {"background": ""},
    55: {"overline": False},
    59: {"underline_colour": ""},
}
_SETS: dict[int, dict[str, object]] = {
    1: {"bold": True},
    2: {"faint": True},
    3: {"italic": True},
    4: {"underline": "4"},
    5: {"blink": True},
    6: {"blink": True},
    7: {"inverse": True},
    8: {"conceal": True},
    9: {"strike": True},
    21: {"underline": "21"},
    53: {"overline": True},
}
_COLOURS = {38: "foreground", 48: "background", 58: "underline_colour"}


@lru_cache(maxsize=4096)
def restyle(style: Style, groups: Groups) -> Style:
    """Apply the parameters of `CSI … m` (none means 0); unknown ones are skipped."""
    plain = Style(link=style.link) if style.link else DEFAULT
    changes: dict[str, object] = {}
    index = 0
    groups = groups or ((0,),)
    while index < len(groups):
        group = groups[index]
        index += 1
        code = group[0]
        if code == 0:
            style, changes = plain, {}
        elif code in _COLOURS:
            colour, taken = _colour(group, groups[index : index + 4])
            index += taken
            if colour:
                changes[_COLOURS[code]] = colour
        elif code == 4 and len(group) > 1:
            changes["underline"] = f"4:{group[1]}" if 0 < group[1] <= 5 else ""
        elif 30 <= code <= 37 or 90 <= code <= 97:
            changes["foreground"] = str(code)
        elif 40 <= code <= 47 or 100 <= code <= 107:
            changes["background"] = str(code)
        else:
            changes.update(_SETS.get(code) or _RESETS.get(code) or {})
    return style._replace(**changes) if changes else style  # type: ignore[arg-type]


@lru_cache(maxsize=256)
def erased(style: Style) -> Style:
    """Return the style of an erased cell: only the background is kept (`bce` in terminfo)."""
    return Style(background=style.background) if style.background else DEFAULT


def _colour(group: tuple[int, ...], following: Groups) -> tuple[str, int]:
    """Return an extended colour as SGR parameters, and the number of further parameters consumed.

    Both spellings are in use: `38;5;N` and `38;2;R;G;B`, and with sub-parameters `38:5:N`,
    `38:2:R:G:B` and `38:2:COLOURSPACE:R:G:B`.
    """
    code = group[0]
    if len(group) > 1:
        values = list(group[1:])
        if values[0] == 2 and len(values) > 4:
            del values[1]
        return _spelled(code, values), 0
    values = [parameter[0] for parameter in following]
    taken = {5: 2, 2: 4}.get(values[0] if values else -1, 1)
    return _spelled(code, values[:taken]), taken


def _spelled(code: int, values: list[int]) -> str:
    wanted = {5: 2, 2: 4}.get(values[0] if values else -1)
    if wanted is None or len(values) < wanted or any(value > 255 for value in values[1:wanted]):
        return ""
    return ";".join(map(str, [code, *values[:wanted]]))
