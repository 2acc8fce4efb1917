"""Where our screen differs from tmux's on purpose, and why. A test holds that each is still true."""

from __future__ import annotations

from typing import NamedTuple


class Difference(NamedTuple):
    """In recordings whose path below this folder matches `casts`, tmux has `tmux` for our `ours`."""

    casts: str
    tmux: str
    ours: str
    why: str


DIFFERENCES = [
    Difference(
        "codex/*/unicode.cast",
        tmux="👨‍👩‍👧‍ ",
        ours="👨‍👩‍👧‍👦 ",
        why="tmux 3.3a keeps 21 bytes a cell and drops the fourth person of the family",
    ),
]
