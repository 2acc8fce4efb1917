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
    *(
        Difference(
            f"codex/{version}/unicode.cast",
            tmux="👍 ",
            ours="👍🏽 ",
            why=f"tmux 3.3a gives a skin tone cells of its own, which {version} writes over",
        )
        for version in ("0.158.0", "0.169.0")
    ),
]
