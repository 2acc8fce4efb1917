"""Interface of a driver: start, send, keys, interrupt, answer, stop; typed events out.

A driver controls one agent and knows nothing of ids, clients or files. It publishes events in order
through one synchronous callback, in the event loop's thread. The session turns them into messages
with ids, stores them and publishes them to clients.
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
        """Start the agent. Raises `OSError` if the program cannot be started."""

    async def send(self, text: str) -> None:
        """Send one user message literally; return once its turn has begun.

        Only this method decides whether the agent accepts a message, just before it is sent.
        Raises `Busy` if it does not, `DialogOpen` if a dialog must be answered first, and
        `SendError` if sending fails; then nothing is left in the composer. The session makes no
        concurrent calls."""

    async def keys(self, data: str) -> None:
        """Write keystrokes unchanged, in any phase."""

    async def interrupt(self) -> None:
        """Ask the agent to stop its turn, if any. Never ends the agent."""

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        """Answer the open dialog. Raises `LookupError` if no such dialog or choice is open."""

    async def resize(self, columns: int, rows: int) -> None:
        """Resize the terminal, if any."""

    def screen(self) -> str:
        """Return the screen as text, lines joined by newlines (empty without a terminal)."""

    def repaint(self) -> bytes:
        """Return bytes that redraw the whole screen, with colours and cursor, on a new terminal."""

    def watch(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Subscribe to all output of the agent; returns a function that unsubscribes."""

    async def stop(self, grace: float) -> None:
        """Stop the agent: SIGINT to its process group, SIGKILL after `grace` seconds. Returns once
        it is reaped. Idempotent."""


@runtime_checkable
class AcceptsRecord(Protocol):
    """A driver that accepts the agent's session record as evidence of the phase."""

    def recorded(self, entries: Sequence[Entry], anew: bool = False) -> None:
        """Take recorded entries in order: turns and agent messages, possibly late or from the past.
        `anew`: discard earlier entries, as the record was replaced or is read from its
        beginning."""
