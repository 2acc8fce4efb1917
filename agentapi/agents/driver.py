"""The face of a driver: start, send, keys, interrupt, answer, stop; typed events out.

A driver knows one way to drive an agent and nothing of ids, clients or files. It reports what
happens through one synchronous callback, in order, from the event loop's thread; the session turns
these events into messages with ids, keeps them and tells the clients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from agentapi.model.conversation import Level, PhaseState
from agentapi.model.items import Entry, Item


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


DriverEvent = (
    UserText
    | AgentText
    | PhaseChanged
    | QuestionPainted
    | Noticed
    | Forgot
    | ScreenChanged
    | Exited
    | SessionKnown
    | LinkEnded
    | TurnChanged
    | ItemChanged
    | UsageChanged
)
Sink = Callable[[DriverEvent], None]


class SendError(Exception):
    """A message did not reach the agent. `step` says how far it came: `check` (nothing was
    typed), `echo` (it never showed in the composer), `begin` (no turn began)."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason


class Busy(SendError):
    """The agent is not waiting for user input."""

    def __init__(self) -> None:
        super().__init__(
            "check", "message can only be sent when the agent is waiting for user input"
        )


class DialogOpen(SendError):
    """A dialog is open: a user message must not answer it."""

    def __init__(self, text: str) -> None:
        super().__init__(
            "check", f"the agent asks a question that only the user can answer:\n{text}"
        )
        self.text = text


class Driver(Protocol):
    """One live agent."""

    transport: str
    """`pty` or `acp`."""

    async def start(self, sink: Sink) -> None:
        """Start the agent. Raises `OSError` when the program cannot be started."""

    async def send(self, text: str) -> None:
        """Send one user message, literally; return once its turn has begun.

        Raises `SendError`; then nothing of it is left in the composer. The session never calls
        it twice at once."""

    async def keys(self, data: str) -> None:
        """Write keystrokes as they are, in any phase."""

    async def interrupt(self) -> None:
        """Ask the agent to stop its turn; a no-op when it has none. Never ends the agent."""

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        """Answer the open dialog. Raises `LookupError` when no such dialog (or choice) is open."""

    async def resize(self, columns: int, rows: int) -> None:
        """Resize the terminal (no-op without one)."""

    def screen(self) -> str:
        """The screen as text, lines joined by newlines (empty without a terminal)."""

    def repaint(self) -> bytes:
        """Bytes that paint the whole screen with colours and cursor on a fresh terminal."""

    def watch(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Pass every byte the agent writes to `listener` from now on; returns the unsubscriber."""

    async def stop(self, grace: float) -> None:
        """End the agent: SIGINT to its process group, SIGKILL after `grace` seconds. Returns once
        it is reaped. Idempotent."""


@runtime_checkable
class TakesRecord(Protocol):
    """A driver that takes the agent's own record of its session for evidence of the phase."""

    def recorded(self, entries: Sequence[Entry], anew: bool = False) -> None:
        """What was read of the record, in its order: turns, and what the agent said in them; late
        perhaps, and the past too. `anew`: what was read before is void, another record begins or
        the same from its first line."""
