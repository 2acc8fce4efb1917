"""What a terminal shows and says: the values that cross from the emulator to everything above it.

A leaf module: it imports nothing of ours, so that the terminal (which makes these values), the
agents (which read them) and the conversation (which keeps them) need not know one another.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """One complete screen, never a half-drawn one.

    Strings of unchanged lines are the same objects from frame to frame, so that a reader may
    compare by identity first.
    """

    version: int
    """Grows by one with every visible change; equal versions mean equal screens."""
    columns: int
    rows: int
    lines: tuple[str, ...]
    """`rows` lines, without the blanks at their right end."""
    bright: tuple[str, ...]
    """The same lines with faint (SGR 2) characters blanked: a composer's placeholder is faint,
    what somebody typed there is not."""
    cursor: tuple[int, int]
    """(column, row), both from 0."""
    alternate: bool
    """Whether the alternate screen shows."""
    pushed: tuple[str, ...] = ()
    """Lines that left the top of the normal screen for the scrollback since the previous frame,
    oldest first."""
    cleared: bool = False
    """Whether the scrollback was erased (`CSI 3J`, RIS) since the previous frame; `pushed` then
    holds only what came after."""
    cursor_visible: bool = True
    """Whether the cursor shows: a program hides it where nothing can be typed."""


@dataclass(frozen=True, slots=True)
class Title:
    """OSC 0 or OSC 2: the window title."""

    text: str


@dataclass(frozen=True, slots=True)
class AgentState:
    """OSC 7501: the agent's own word on what it does (Codex 0.169, Claude Code 2.1.329)."""

    state: str
    """`idle`, `working`, `done`, `blocked` or `clear`; what else comes is passed on as it is."""
    app: str = ""
    kind: str = ""
    message: str = ""
    """Decoded from the base64 `msg=` parameter; empty when absent or undecodable."""


@dataclass(frozen=True, slots=True)
class Notification:
    """OSC 9: a desktop notification."""

    text: str


@dataclass(frozen=True, slots=True)
class Bell:
    """BEL outside a string."""


Signal = Title | AgentState | Notification | Bell
