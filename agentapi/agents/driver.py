"""The face of a driver: start, send, keys, interrupt, answer, stop; typed events out.

A driver knows one way to drive an agent and nothing of ids, clients or files. It reports what
happens through one synchronous callback, in order, from the event loop's thread; the session turns
these events into messages with ids, keeps them and tells the clients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from agentapi.model.events import DriverEvent
from agentapi.model.items import Entry

Sink = Callable[[DriverEvent], None]


class Driver(Protocol):
    """One live agent."""

    transport: str
    """`pty` or `acp`."""

    async def start(self, sink: Sink) -> None:
        """Start the agent. Raises `OSError` when the program cannot be started."""

    async def send(self, text: str) -> None:
        """Send one user message, literally; return once its turn has begun.

        Whether the agent takes a message is decided here and nowhere else, right before it is sent.
        Raises `Busy` when it does not, `DialogOpen` when it asks something first, and `SendError`
        for what fails on the way; then nothing of it is left in the composer. The session never
        calls it twice at once."""

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
