"""Drive any program on a terminal: turn frames into messages and phases, and messages into keys.

    Console     bytes in, complete frames and signals out; keys and replies back
    Tracker     derives the conversation and the phase from frames, signals and sends
    Deadlines   timeouts of the tracker
    Reporter    publishes messages and phases in order, once they are complete
    Companion   optional second source about the program (Codex's app-server)

Every change goes through `evaluate`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from agentapi.agents.driver import Sink
from agentapi.agents.generic.companion import Companion, NoCompanion
from agentapi.agents.generic.console import Console
from agentapi.agents.generic.deadlines import Deadlines
from agentapi.agents.generic.evidence import EvidenceLog, SourceReport
from agentapi.agents.generic.lag import RecordLag
from agentapi.agents.generic.plain_typist import PlainTypist
from agentapi.agents.generic.reporter import Reporter
from agentapi.agents.generic.stopper import Stopper
from agentapi.agents.generic.typist import Typist
from agentapi.conversation.profile import AgentProfile
from agentapi.conversation.recorded import RecordedTurns
from agentapi.conversation.tracker import Tracker
from agentapi.model.conversation import Level, Phase
from agentapi.model.errors import Busy, SendError
from agentapi.model.events import DriverEvent, Exited, NoticeRaised, ScreenChanged
from agentapi.model.frames import Frame, Signal
from agentapi.model.items import Entry
from agentapi.terminal import ExitStatus, LineMode

ANSWER_LIMIT = 5.0
"""Seconds that a dialog has to close after its answer."""


class TuiDriver:
    """One program on a terminal."""

    transport = "pty"

    def __init__(
        self,
        profile: AgentProfile,
        console: Console,
        *,
        companion: Companion | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.profile = profile
        self.console = console
        self.tracker = Tracker(profile)
        self._companion = companion or NoCompanion()
        self._turns = RecordedTurns(self.tracker.fusion, clock)
        self._evidence = EvidenceLog(self.tracker.fusion)
        self._record_lag = RecordLag(self.tracker)
        self._changed: asyncio.Event = asyncio.Event()
        self._dialog_at = float("-inf")
        """When the open dialog appeared, in the loop's time."""
        self.typist = Typist(self) if profile.has_composer else PlainTypist(self)
        self._stopper = Stopper(self)
        self._deadlines = Deadlines(self.tracker, console, self._companion, self.evaluate)
        self._reporter = Reporter(
            self.tracker,
            console,
            self._companion,
            record_patience=self._record_lag.patience,
            evaluate=self.evaluate,
        )
        console.connect(
            self._on_frame, self._on_signal, self._on_end, report_unfocused=profile.report_unfocused
        )
        self._companion.attach(self)

    # -- driver interface --------------------------------------------------------------------

    async def start(self, sink: Sink) -> None:
        """Start the program. Raises `OSError` when it cannot be started."""
        await self.start_detached(sink)
        await self.console.start(lambda why: self.publish(NoticeRaised(Level.WARNING, why)))

    async def start_detached(self, sink: Sink) -> None:
        """Start without a program, to replay a recording by `feed`."""
        self._reporter.publish = sink
        self._deadlines.begin()

    async def send(self, text: str) -> None:
        """Send one message, by the companion or by keys; see `Typist.send`.

        Raises `Busy` during a turn, or before its end was published. The sender reads pending
        output and checks again."""
        published = self.phase is Phase.IDLE and self.end_published()
        if not published and self.phase is not Phase.BLOCKED:
            raise Busy
        if not await self._companion.send(text):
            await self.typist.send(text)

    async def keys(self, data: str) -> None:
        """Write keystrokes unchanged, but not while a message is being typed."""
        async with self.typist.keyboard:
            await self.rest()
            self.write(data.encode())
        await self.console.drain()

    async def interrupt(self) -> None:
        """Stop the turn and wait until its end is published; see `Stopper.interrupt`."""
        if not await self._companion.interrupt():
            await self._stopper.interrupt()

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        """Answer the open dialog and wait until it closes. Raises `LookupError`."""
        if not await self._companion.answer(dialog_id, choice_id):
            await self.typist.answer(dialog_id, choice_id, ANSWER_LIMIT)

    async def resize(self, columns: int, rows: int) -> None:
        """Resize the terminal."""
        self.console.resize(columns, rows)

    def screen(self) -> str:
        """Return the screen as text, without trailing blank lines."""
        return self.console.screen()

    @property
    def pid(self) -> int | None:
        """The process id of the program, once started."""
        return self.console.pid

    def reading(self) -> bool:
        """Return whether the program's output still arrives."""
        return self.console.reading()

    def evidence(self) -> Sequence[SourceReport]:
        """Return the last report of each source; see `ProvidesEvidence`."""
        return self._evidence.reports()

    def recorded(self, entries: Sequence[Entry], anew: bool = False) -> None:
        """Take entries of the agent's record; see `AcceptsRecord`."""
        self._companion.recorded(entries)
        if anew:
            self._turns.reset()
        for entry in entries:
            self._record_lag.take(entry)
            self._turns.take(entry)
            self.evaluate()

    def repaint(self) -> bytes:
        """Return bytes that redraw the screen on a new terminal of the same size."""
        return self.console.repaint()

    def watch(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Subscribe to the program's output; returns a function that unsubscribes."""
        return self.console.watch(listener)

    async def stop(self, grace: float) -> None:
        """Send SIGINT to the process group, SIGKILL after `grace` seconds; return once reaped."""
        with contextlib.suppress(SendError):  # it prints endlessly
            self.catch_up()
        self.read()
        self._reporter.silence()
        await self.console.stop(grace)

    # -- for the typist, the stopper and the companion -------------------------------------------

    @property
    def phase(self) -> Phase:
        """The agent's phase."""
        return self.tracker.state.phase

    def end_published(self) -> bool:
        """Return whether the end of the turn was published, which may wait until it is
        displayed."""
        return self._reporter.end_published()

    @property
    def frame(self) -> Frame:
        """The last complete frame."""
        return self.console.frame

    @property
    def bracketed_paste(self) -> bool:
        """Whether the program uses bracketed paste."""
        return self.console.bracketed_paste

    @property
    def line_mode(self) -> LineMode:
        """The current line mode of the terminal."""
        return self.console.line_mode

    def highlighted(self, row: int) -> list[str]:
        """Return the highlighted words of a row; see `Emulator.highlighted`."""
        return self.console.highlighted(row)

    def write(self, data: bytes) -> None:
        """Write to the program, in order."""
        self.console.write(data)

    def unread_input(self) -> int:
        """Return the number of typed bytes not read yet; see `PtyProcess.unread_input`."""
        return self.console.unread_input()

    def discard_input(self) -> None:
        """Discard unread input."""
        self.console.discard_input()

    def catch_up(self) -> None:
        """Read all pending output before the next decision.

        Raises `SendError` if the program writes faster than can be read."""
        if not self.console.catch_up():
            raise SendError("check", "the agent prints faster than can be read: try again later")

    def read(self) -> None:
        """Publish the changes in the last frame."""
        self._reporter.read()

    async def rest(self) -> None:
        """Wait until a dialog that has just appeared accepts keys."""
        if self.tracker.reading.dialog is not None:
            passed = asyncio.get_running_loop().time() - self._dialog_at
            await asyncio.sleep(max(0.0, self.typist.dialog_rest - passed))

    async def until(self, condition: Callable[[], bool], limit: float) -> bool:
        """Wait until `condition` holds; return False after `limit` seconds or when the program
        ends."""
        try:
            async with asyncio.timeout(limit):
                while not condition():
                    if self.phase is Phase.EXITED:
                        return False
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return condition()
        return True

    def wake(self) -> None:
        """Make pending `until` calls check their condition again."""
        self._changed.set()

    def begin(self, reason: str) -> None:
        """Publish the submitted message, whose turn began, before its answer."""
        text, self.typist.submitted = self.typist.submitted, None
        if text is not None:
            self.open_turn(text, reason)

    def open_turn(self, text: str, reason: str) -> None:
        """Publish a sent message whose turn began."""
        self.tracker.begin(reason)
        self._reporter.open_turn(text, reason)
        self._deadlines.restart_quiet()

    def restart_settling(self) -> None:
        """Restart the settling time with its current length."""
        self._deadlines.restart_settling()

    def publish(self, event: DriverEvent) -> None:
        """Forward an event unchanged."""
        self._reporter.publish(event)

    # -- from output to events --------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take a piece of replayed output."""
        self.console.feed(data)

    def _on_signal(self, signal: Signal) -> None:
        self.tracker.signal(signal)
        self.evaluate()

    def _on_frame(self) -> None:
        """Handle a new frame."""
        screen = self.tracker.screen
        asked, unknown = screen.reading.dialog, screen.unknown
        self.tracker.take(self.frame)
        if screen.unknown != unknown:
            self._deadlines.screen_changed()
        if screen.dialog_appeared(asked):
            self._dialog_at = asyncio.get_running_loop().time()
        self._reporter.read_soon()
        screen.saw_output()
        self._deadlines.restart_quiet()
        self.publish(ScreenChanged())
        self.evaluate()

    def evaluate(self) -> None:
        """Act on the current state of the tracker."""
        self._companion.evaluated()
        self._evidence.update()
        self._reporter.publish_question()
        if self.typist.submitted is not None:
            if self.phase is Phase.WORKING:
                self.begin(self.tracker.state.reason)
            elif self.tracker.announced_end:
                self.begin("a turn too short to be seen")
            elif self.tracker.taken:
                self.begin("the message stands in the conversation")
        self._deadlines.update()
        self._reporter.publish_phase()
        self.typist.tidy()
        self.wake()

    def _on_end(self, status: ExitStatus) -> None:
        self.read()
        self.tracker.fusion.exit(str(status))
        self.evaluate()
        self._evidence.stop()
        self._deadlines.stop()
        self._reporter.stop()
        self.publish(Exited(status.code, status.signal, self.screen()))
