"""What happens to an agent, in the words in which its driver reports it: text, phases, items.

The session turns these events into messages with ids; the transcript takes those of the exact
items (`ExactEvent`), which a link tells in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentapi.model.conversation import Level, PhaseState
from agentapi.model.items import Item


@dataclass(frozen=True, slots=True)
class UserText:
    """The user's words entered the conversation: a send whose turn began, or typing at the
    terminal. Always reported before any `AgentText` that answers it."""

    text: str


@dataclass(frozen=True, slots=True)
class AgentText:
    """The whole text, so far, of the agent's message after the last user message (or of the
    start-up screen, when there was no user message yet). Each replaces the one before it."""

    text: str


@dataclass(frozen=True, slots=True)
class PhaseChanged:
    """The phase, its reason or its dialog changed. The text that belongs to the phase before was
    reported first."""

    state: PhaseState


@dataclass(frozen=True, slots=True)
class QuestionPainted:
    """How the screen shows the question of the open dialog, whenever that is different; empty when
    it shows none. Only from drivers with a terminal; reported before the phase with the dialog."""

    text: str


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something the clients should be told."""

    level: Level
    message: str


@dataclass(frozen=True, slots=True)
class Forgot:
    """The agent cannot go on with the conversation so far, and begins another."""

    why: str


@dataclass(frozen=True, slots=True)
class ScreenChanged:
    """A new frame is on the screen (`Driver.screen` has it). Only from drivers with a terminal."""


@dataclass(frozen=True, slots=True)
class Exited:
    """The agent ended; the last event of a driver."""

    code: int | None
    """The exit status, None when a signal ended it."""
    signal: int | None = None
    screen: str = ""
    """The last screen (ACP: the last lines of its stderr)."""

    @property
    def failed(self) -> bool:
        """Whether the agent ended otherwise than with status 0."""
        return self.code != 0


@dataclass(frozen=True, slots=True)
class SessionKnown:
    """The agent's own id of its session became known, or is another one now: a link tells its
    items."""

    id: str
    record: Path | None = None
    """Where the agent records it, once there is something to record."""


@dataclass(frozen=True, slots=True)
class LinkEnded:
    """No link tells items, until another `SessionKnown`."""


@dataclass(frozen=True, slots=True)
class TurnChanged:
    """A turn began or ended, in the agent's own words."""

    turn: str
    """The agent's id of the turn."""
    event: str
    """`started`, `completed`, `interrupted` or `failed`."""
    reason: str = ""
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ItemChanged:
    """An item of the conversation, exact: new, grown, or whole. The same `id` again is a newer
    version of the same item; user messages are reported when their turn has begun."""

    turn: str
    id: str
    item: Item
    partial: bool
    """Whether it still grows."""


@dataclass(frozen=True, slots=True)
class UsageChanged:
    """The tokens so far, as `GET /session` shows them."""

    usage: Mapping[str, object]


ExactEvent = SessionKnown | LinkEnded | TurnChanged | ItemChanged | UsageChanged
"""What an agent tells of its conversation besides its screen."""
DriverEvent = (
    UserText
    | AgentText
    | PhaseChanged
    | QuestionPainted
    | Noticed
    | Forgot
    | ScreenChanged
    | Exited
    | ExactEvent
)
