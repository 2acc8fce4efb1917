"""The events that a driver reports: text, phases, items.

The session turns them into messages with ids, and passes `TranscriptEvent`s on to the transcript.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentapi.model.conversation import Level, PhaseState
from agentapi.model.items import Item


@dataclass(frozen=True, slots=True)
class UserText:
    """A user message entered the conversation: it was sent and its turn began, or it was typed at
    the terminal. Always reported before any `AgentText` that answers it."""

    text: str


@dataclass(frozen=True, slots=True)
class AgentText:
    """The whole text so far of the agent's message after the last user message (or of the start-up
    screen before the first one). Each replaces the one before it."""

    text: str


@dataclass(frozen=True, slots=True)
class PhaseChanged:
    """The phase, its reason or its dialog changed. The text that belongs to the phase before was
    reported first."""

    state: PhaseState


@dataclass(frozen=True, slots=True)
class QuestionRendered:
    """The open dialog's question as the screen shows it, whenever that changes; empty when it shows
    none. Only from drivers with a terminal; reported before the phase with the dialog."""

    text: str


@dataclass(frozen=True, slots=True)
class NoticeRaised:
    """A notice for the clients."""

    level: Level
    message: str


@dataclass(frozen=True, slots=True)
class ConversationReset:
    """The agent cannot continue the conversation, and begins another."""

    reason: str


@dataclass(frozen=True, slots=True)
class ScreenChanged:
    """A new frame is on the screen (`Driver.screen` has it). Only from drivers with a terminal."""


@dataclass(frozen=True, slots=True)
class Exited:
    """The agent ended. A driver's last event."""

    code: int | None
    """The exit status, None when a signal ended it."""
    signal: int | None = None
    screen: str = ""
    """The last screen (ACP: the last lines of its stderr)."""

    @property
    def failed(self) -> bool:
        """Whether the exit status was not 0."""
        return self.code != 0


@dataclass(frozen=True, slots=True)
class SessionKnown:
    """The agent's own session id is known, or changed: a link reports its items from now on."""

    id: str
    record: Path | None = None
    """The path of the session's record, which need not exist yet."""


@dataclass(frozen=True, slots=True)
class LinkEnded:
    """No link reports items until another `SessionKnown`."""


@dataclass(frozen=True, slots=True)
class TurnChanged:
    """A turn began or ended, as the agent reports it."""

    turn: str
    """The agent's id of the turn."""
    event: str
    """`started`, `completed`, `interrupted` or `failed`."""
    reason: str = ""
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ItemChanged:
    """A new or updated item of the conversation. The same `id` again is a newer version of the same
    item. User messages are reported once their turn has begun."""

    turn: str
    id: str
    item: Item
    partial: bool
    """Whether it may still change."""


@dataclass(frozen=True, slots=True)
class UsageChanged:
    """The token usage so far, as in `GET /session`."""

    usage: Mapping[str, object]


TranscriptEvent = SessionKnown | LinkEnded | TurnChanged | ItemChanged | UsageChanged
"""What an agent reports of its conversation besides its screen."""
DriverEvent = (
    UserText
    | AgentText
    | PhaseChanged
    | QuestionRendered
    | NoticeRaised
    | ConversationReset
    | ScreenChanged
    | Exited
    | TranscriptEvent
)
