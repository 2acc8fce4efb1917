"""A driver without an agent, controlled by the test, which can also inspect the calls it received.

It follows the rules of `Driver`: events are in order, the user's text precedes the answer, and a
send returns once its turn has begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agentapi.agents.driver import Sink
from agentapi.model.conversation import Dialog, Phase, PhaseState
from agentapi.model.errors import Busy, DialogOpen, SendError
from agentapi.model.events import (
    AgentText,
    DriverEvent,
    Exited,
    PhaseChanged,
    ScreenChanged,
    UserText,
)


class FixedDriver:
    """An agent controlled by a test."""

    def __init__(self, transport: str = "pty") -> None:
        self.transport = transport
        self.state = PhaseState(Phase.STARTING, "started")
        self.sent: list[str] = []
        self.typed: list[str] = []
        self.answered: list[tuple[str, str]] = []
        self.sizes: list[tuple[int, int]] = []
        self.interrupts = 0
        self.interrupted = asyncio.Event()
        """Awaited by an interrupt; initially set."""
        self.interrupted.set()
        self.unseen_turns = False
        """Whether a turn is over before it is seen to begin."""
        self.deaf = False
        """Whether interrupts have no effect."""
        self.silent = False
        """Whether it does not report that a dialog was answered."""
        self.stopped_with: list[float] = []
        self.fail_next: SendError | None = None
        """Error raised by the next send or answer, before anything is typed."""
        self.start_error: OSError | None = None
        self.hold = asyncio.Event()
        """A send waits for it before its turn begins, an answer before its dialog closes; set at
    first."""
        self.hold.set()
        self.sending = asyncio.Event()
        """Set while a send is in progress."""
        self._sink: Sink | None = None
        self._screen = ""
        self._watchers: list[Callable[[bytes], None]] = []

    # -- what a test does --------------------------------------------------------------------

    def emit(self, event: DriverEvent) -> None:
        """Publish any event."""
        assert self._sink is not None, "not started"
        if isinstance(event, PhaseChanged):
            self.state = event.state
        self._sink(event)

    def phase(self, phase: Phase, because: str = "told", dialog: Dialog | None = None) -> None:
        """Publish a phase."""
        self.emit(PhaseChanged(PhaseState(phase, because, dialog)))

    def idle(self) -> None:
        """Wait for the user."""
        self.phase(Phase.IDLE)

    def say(self, text: str) -> None:
        """Publish the agent's message so far."""
        self.emit(AgentText(text))

    def turn(self, text: str) -> None:
        """Publish an answer and the end of the turn."""
        self.say(text)
        self.idle()

    def paint(self, text: str, data: bytes = b"") -> None:
        """Set the screen and pass `data`, which draws it, to the listeners."""
        self._screen = text
        for watcher in tuple(self._watchers):
            watcher(data or text.encode())
        self.emit(ScreenChanged())

    def end(self, code: int | None = 0, signal: int | None = None) -> None:
        """Publish the exit of the agent."""
        self.emit(Exited(code, signal, self._screen))

    @property
    def watched(self) -> int:
        """The number of listeners to the terminal output."""
        return len(self._watchers)

    # -- Driver ------------------------------------------------------------------------------

    async def start(self, sink: Sink) -> None:
        if self.start_error is not None:
            raise self.start_error
        self._sink = sink
        self.emit(PhaseChanged(self.state))

    async def send(self, text: str) -> None:
        assert not self.sending.is_set(), "two sends at once"
        self.sending.set()
        try:
            await self.hold.wait()
            self._refuse()
            self.sent.append(text)
            self.emit(UserText(text))
            if not self.unseen_turns:
                self.phase(Phase.WORKING)
        finally:
            self.sending.clear()

    def _refuse(self) -> None:
        failure, self.fail_next = self.fail_next, None
        if failure is not None:
            raise failure
        if self.state.phase is Phase.BLOCKED:
            raise DialogOpen(self.state.reason)
        if self.state.phase is not Phase.IDLE:
            raise Busy

    async def keys(self, data: str) -> None:
        await asyncio.sleep(0)
        self.typed.append(data)

    async def interrupt(self) -> None:
        self.interrupts += 1
        await self.interrupted.wait()
        if not self.deaf and self.state.phase is Phase.WORKING:
            self.idle()

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        dialog = self.state.dialog
        if dialog is None or dialog.id != dialog_id:
            raise LookupError("that dialog is not open")
        if choice_id not in {choice.id for choice in dialog.choices}:
            raise LookupError(f"the dialog has no choice {choice_id!r}")
        failure, self.fail_next = self.fail_next, None
        if failure is not None:
            raise failure
        await self.hold.wait()
        self.answered.append((dialog_id, choice_id))
        if not self.silent:
            self.phase(Phase.WORKING)

    async def resize(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))

    def screen(self) -> str:
        return self._screen

    def repaint(self) -> bytes:
        return b"\x1b[2J\x1b[H" + self._screen.encode()

    def watch(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        self._watchers.append(listener)
        return lambda: self._watchers.remove(listener)

    async def stop(self, grace: float) -> None:
        self.stopped_with.append(grace)
        if len(self.stopped_with) == 1 and self._sink is not None:
            self.end(None, 2)
