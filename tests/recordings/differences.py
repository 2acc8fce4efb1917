"""Where our screen differs from tmux's on purpose, and why; a test keeps the list honest."""

from __future__ import annotations

from typing import NamedTuple


class Difference(NamedTuple):
    """In recordings that match `casts` (below this folder), tmux has `tmux` for our `ours`."""

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
    Difference(
        "programs/colours.cast",
        tmux="lqqk",
        ours="┌──┐",
        why="capture-pane prints the letters behind line drawing",
    ),
]
