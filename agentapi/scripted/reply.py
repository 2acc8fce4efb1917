"""The model's replies: lists of steps, streamed in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Say:
    """One message of text, streamed in deltas of `chunk` characters, `pause` seconds apart.

    `chunk` 0 sends the text as a single delta."""

    text: str
    chunk: int = 0
    pause: float = 0.0

    def deltas(self) -> list[str]:
        """Return the deltas of the text."""
        if self.chunk <= 0:
            return [self.text]
        return [self.text[i : i + self.chunk] for i in range(0, len(self.text), self.chunk)]


@dataclass(frozen=True, slots=True)
class Think:
    """A reasoning item with this summary (Markdown)."""

    summary: str


@dataclass(frozen=True, slots=True)
class Shell:
    """Run a command with whatever shell tool the request offers.

    `escalate` asks to leave the sandbox, giving the text as the justification: under
    `approval_policy = "on-request"` Codex then asks the user. With `permissions` (a profile of
    Codex's: `network`, `file_system`) it asks for these in the sandbox instead."""

    command: str
    escalate: str = ""
    permissions: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Patch:
    """Change files; `text` is in the format of Codex's `apply_patch`."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """Any other function tool, by its name and arguments."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing for this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Send nothing until `ScriptedModel.release()`."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with an HTTP error instead of a stream; only as the first step."""

    status: int = 500
    message: str = "The scripted model was asked to fail."


@dataclass(frozen=True, slots=True)
class Break:
    """Close the connection in the middle of the stream."""


Step = Say | Think | Shell | Patch | Call | Wait | Hold | Fail | Break
Reply = Sequence[Step]
