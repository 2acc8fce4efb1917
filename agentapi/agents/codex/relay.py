"""Forward calls to an agent's current program, which may be replaced while the agent runs.

There are two such drivers: `ResumingDriver` starts another run when a session cannot be resumed,
`CodexDriver` another TUI when the link is lost. Callers see one agent: calls go to the current
program, and output is watched across all runs.

Only a relay knows that a message must wait between two programs; otherwise the current program
decides whether to accept it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from agentapi.agents.driver import Driver, Sink
from agentapi.agents.generic.evidence import SourceReport
from agentapi.model.errors import Busy
from agentapi.model.items import Entry


class Program(Driver, Protocol):
    """A driver of one program on a terminal."""

    @property
    def pid(self) -> int | None:
        """Its process id, after the start."""

    def reading(self) -> bool:
        """Return whether its output is still being read."""

    def evidence(self) -> Sequence[SourceReport]:
        """Return the last evidence of each source for the phase."""

    def recorded(self, entries: Sequence[Entry], anew: bool = False) -> None:
        """Handle turns and messages that the agent has recorded."""


P = TypeVar("P", bound=Program)


class Relay(Generic[P]):
    """Forwards everything to the current program."""

    transport = "pty"

    def __init__(self) -> None:
        self.program: P | None = None
        """The current program, or the last one; None before the first and between two."""
        self.size: tuple[int, int] | None = None
        """Columns and rows of the terminal, once changed; also for later runs."""
        self._watchers: set[Callable[[bytes], None]] = set()

    @property
    def holds_messages(self) -> bool:
        """Whether to refuse messages although there is a program."""
        return False

    async def run(self, program: P, sink: Sink) -> None:
        """Start a program that replaces the current one. Raises `OSError`."""
        self.program = program
        program.watch(self._output)
        await program.start(sink)

    def _output(self, data: bytes) -> None:
        for watcher in tuple(self._watchers):
            watcher(data)

    async def send(self, text: str) -> None:
        """See `Driver.send`. Raises `Busy` while there is no program to send to."""
        if self.program is None or self.holds_messages:
            raise Busy
        await self.program.send(text)

    async def keys(self, data: str) -> None:
        """See `Driver.keys`."""
        if self.program is not None:
            await self.program.keys(data)

    async def interrupt(self) -> None:
        """See `Driver.interrupt`."""
        if self.program is not None:
            await self.program.interrupt()

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        """See `Driver.answer`."""
        if self.program is None:
            raise LookupError(f"no dialog {dialog_id!r} is open")
        await self.program.answer(dialog_id, choice_id)

    async def resize(self, columns: int, rows: int) -> None:
        """See `Driver.resize`."""
        self.size = (columns, rows)
        if self.program is not None:
            await self.program.resize(columns, rows)

    def screen(self) -> str:
        """See `Driver.screen`."""
        return self.program.screen() if self.program is not None else ""

    def repaint(self) -> bytes:
        """See `Driver.repaint`."""
        return self.program.repaint() if self.program is not None else b""

    def watch(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """See `Driver.watch`; continues across runs."""
        self._watchers.add(listener)
        return lambda: self._watchers.discard(listener)

    def reading(self) -> bool:
        """Return whether the program's output is still being read."""
        return self.program is None or self.program.reading()

    def evidence(self) -> Sequence[SourceReport]:
        """What each source said last of the phase; see `ProvidesEvidence`."""
        return self.program.evidence() if self.program is not None else ()

    def recorded(self, entries: Sequence[Entry], anew: bool = False) -> None:
        """What the agent's record says of turns; see `AcceptsRecord`."""
        if self.program is not None:
            self.program.recorded(entries, anew)
