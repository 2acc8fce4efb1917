"""Drive any program on a terminal: keystrokes in, frames out, messages and phases made of them.

    Console     bytes in, complete frames and signals out; keys and replies back
    Tracker     what frames, signals and sends say of the conversation and the phase
    Deadlines   the timeouts of the tracker
    Reporter    publishes texts and phases, in order, when they may be published
    Companion   what runs beside the program and knows more (Codex's app-server), if anything

Each piece of news goes through `evaluate`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from agentapi.agents.driver import Sink
from agentapi.agents.generic.companion import Alone, Companion
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
from agentapi.model.events import DriverEvent, Exited, Noticed, ScreenChanged
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
        self._companion = companion or Alone()
        self._turns = RecordedTurns(self.tracker.fusion, clock)
        self._heard = EvidenceLog(self.tracker.fusion)
        self._record_lag = RecordLag(self.tracker)
        self._changed: asyncio.Event = asyncio.Event()
        self._dialog_at = float("-inf")
        """When the open dialog was painted, in the loop's time."""
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

    # -- the driver's face --------------------------------------------------------------------

    async def start(self, sink: Sink) -> None:
        """Start the program. Raises `OSError` when it cannot be started."""
        await self.start_detached(sink)
        await self.console.start(lambda why: self.publish(Noticed(Level.WARNING, why)))

    async def start_detached(self, sink: Sink) -> None:
        """Start without a program: `feed` takes its place (to replay a recording)."""
        self._reporter.publish = sink
        self._deadlines.begin()

    async def send(self, text: str) -> None:
        """Send one message, by the companion or by keys; see `Typist.send`.

        Refused at once is what comes in the middle of a turn, or before its end was published.
        Whoever sends reads what the program has just written, and decides once more."""
        published = self.phase is Phase.IDLE and self.end_published()
        if not published and self.phase is not Phase.BLOCKED:
            raise Busy
        if not await self._companion.send(text):
            await self.typist.send(text)

    async def keys(self, data: str) -> None:
        """Write keystrokes as they are; not into a message that is just being typed."""
        async with self.typist.keyboard:
            await self.rest()
            self.write(data.encode())
        await self.console.drain()

    async def interrupt(self) -> None:
        """Stop the turn and see its end published; see `Stopper.interrupt`."""
        if not await self._companion.interrupt():
            await self._stopper.interrupt()

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        """Answer the open dialog and see it close. Raises `LookupError`."""
        if not await self._companion.answer(dialog_id, choice_id):
            await self.typist.answer(dialog_id, choice_id, ANSWER_LIMIT)

    async def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        self.console.resize(columns, rows)

    def screen(self) -> str:
        """The screen as text, without blank lines at its end."""
        return self.console.screen()

    @property
    def pid(self) -> int | None:
        """The program's process, once it was started."""
        return self.console.pid

    def reading(self) -> bool:
        """Whether the program's output still arrives."""
        return self.console.reading()

    def evidence(self) -> Sequence[SourceReport]:
        """What each source said last of the phase; see `ProvidesEvidence`."""
        return self._heard.told()

    def recorded(self, entries: Sequence[Entry], anew: bool = False) -> None:
        """Take what the agent's record says; see `TakesRecord`."""
        self._companion.recorded(entries)
        if anew:
            self._turns.reset()
        for entry in entries:
            self._record_lag.take(entry)
            self._turns.take(entry)
            self.evaluate()

    def repaint(self) -> bytes:
        """Bytes that paint the screen on a fresh terminal of the same size."""
        return self.console.repaint()

    def watch(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Pass the program's output on from now on; returns the unsubscriber."""
        return self.console.watch(listener)

    async def stop(self, grace: float) -> None:
        """SIGINT to the process group, SIGKILL after `grace` seconds; returns once reaped."""
        with contextlib.suppress(SendError):  # it prints without end
            self.catch_up()
        self.read()
        self._reporter.silence()
        await self.console.stop(grace)

    # -- what the typist, the stopper and the companion use --------------------------------------

    @property
    def phase(self) -> Phase:
        """The agent's phase."""
        return self.tracker.state.phase

    def end_published(self) -> bool:
        """Whether the end of the turn was published, which may wait until it is painted."""
        return self._reporter.end_published()

    @property
    def frame(self) -> Frame:
        """The last complete frame."""
        return self.console.frame

    @property
    def bracketed_paste(self) -> bool:
        """Whether the program takes a paste in brackets."""
        return self.console.bracketed_paste

    @property
    def line_mode(self) -> LineMode:
        """How the terminal takes a line just now."""
        return self.console.line_mode

    def highlighted(self, row: int) -> list[str]:
        """The words of a row that stand on a ground of their own; see `Emulator.highlighted`."""
        return self.console.highlighted(row)

    def write(self, data: bytes) -> None:
        """Write to the program, in order."""
        self.console.write(data)

    def unread_input(self) -> int:
        """How much of what was typed the program has not read; see `PtyProcess.unread_input`."""
        return self.console.unread_input()

    def take_back(self) -> None:
        """Drop that."""
        self.console.take_back()

    def catch_up(self) -> None:
        """Read what the program has written up to now, so that the next decision knows it.

        Raises `SendError` when it writes faster than can be read."""
        if not self.console.catch_up():
            raise SendError("check", "the agent prints faster than can be read: try again later")

    def read(self) -> None:
        """Publish what the last frame adds to the conversation."""
        self._reporter.read()

    async def rest(self) -> None:
        """Let a dialog that was painted just now get ready for keys."""
        if self.tracker.reading.dialog is not None:
            passed = asyncio.get_running_loop().time() - self._dialog_at
            await asyncio.sleep(max(0.0, self.typist.dialog_rest - passed))

    async def until(self, condition: Callable[[], bool], limit: float) -> bool:
        """Wait until `condition` holds after some output; False when `limit` seconds passed or
        the program ended."""
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
        """Let those who wait (`until`) look again."""
        self._changed.set()

    def begin(self, reason: str) -> None:
        """The submitted message's turn began: publish it before anything that answers it."""
        text, self.typist.submitted = self.typist.submitted, None
        if text is not None:
            self.open_turn(text, reason)

    def open_turn(self, text: str, reason: str) -> None:
        """Publish a sent message: its turn began."""
        self.tracker.begin(reason)
        self._reporter.open_turn(text, reason)
        self._deadlines.restart_quiet()

    def settle_anew(self) -> None:
        """Let the settling time begin again, at its length of now."""
        self._deadlines.settle_anew()

    def publish(self, event: DriverEvent) -> None:
        """Pass an event on as it is."""
        self._reporter.publish(event)

    # -- from output to events --------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take a piece of output, of a program that is replayed."""
        self.console.feed(data)

    def _on_signal(self, signal: Signal) -> None:
        self.tracker.signal(signal)
        self.evaluate()

    def _on_frame(self) -> None:
        """Look at a new frame."""
        screen = self.tracker.screen
        asked, unknown = screen.reading.dialog, screen.unknown
        self.tracker.take(self.frame)
        if screen.unknown != unknown:
            self._deadlines.moved()
        if screen.dialog_appeared(asked):
            self._dialog_at = asyncio.get_running_loop().time()
        self._reporter.read_soon()
        screen.saw_output()
        self._deadlines.restart_quiet()
        self.publish(ScreenChanged())
        self.evaluate()

    def evaluate(self) -> None:
        """Act on what the tracker knows now."""
        self._companion.evaluated()
        self._heard.look()
        self._reporter.publish_question()
        if self.typist.submitted is not None:
            if self.phase is Phase.WORKING:
                self.begin(self.tracker.state.because)
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
        self._heard.stop()
        self._deadlines.stop()
        self._reporter.stop()
        self.publish(Exited(status.code, status.signal, self.screen()))
