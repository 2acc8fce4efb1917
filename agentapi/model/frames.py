"""Frames and signals: what the terminal emulator passes to the layers above.

A leaf module: the terminal, which creates these values, and the agents and the conversation, which
read them, need not import one another.
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
    """Incremented with every visible change; equal versions mean equal screens."""
    columns: int
    rows: int
    lines: tuple[str, ...]
    """`rows` lines, without trailing blanks."""
    bright: tuple[str, ...]
    """The same lines with faint (SGR 2) characters blanked: a composer's placeholder is faint,
    typed text is not."""
    cursor: tuple[int, int]
    """(column, row), both from 0."""
    alternate: bool
    """Whether the alternate screen is active."""
    pushed: tuple[str, ...] = ()
    """Lines that scrolled off the normal screen since the previous frame, oldest first."""
    cleared: bool = False
    """Whether the scrollback was erased (`CSI 3J`, RIS) since the previous frame; `pushed` then
    holds only later lines."""
    cursor_visible: bool = True
    """Whether the cursor is visible: a program hides it where nothing can be typed."""


@dataclass(frozen=True, slots=True)
class Title:
    """OSC 0 or OSC 2: the window title."""

    text: str


@dataclass(frozen=True, slots=True)
class AgentState:
    """OSC 7501: the agent reports its own state (Codex 0.169, Claude Code 2.1.329)."""

    state: str
    """`idle`, `working`, `done`, `blocked` or `clear`; other values are passed on unchanged."""
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
