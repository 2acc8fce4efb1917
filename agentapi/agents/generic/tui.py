"""Drive any program on a terminal: keystrokes in, frames out, messages and phases made of them.

Every piece of output passes through `feed`: the emulator takes it, the tracker looks at each
complete frame, and the conversation is read from a frame at once, then at most forty times a
second. What a phase ends with is read before the phase is reported.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agentapi.agents.driver import Sink
from agentapi.agents.generic.evidence import EvidenceLog, SourceSaid
from agentapi.agents.generic.lag import Behind
from agentapi.agents.generic.plain_typist import PlainTypist
from agentapi.agents.generic.stopper import Stopper
from agentapi.agents.generic.typist import Typist
from agentapi.conversation.profile import AgentProfile
from agentapi.conversation.recorded import RecordedTurns
from agentapi.conversation.status import Evidence, Source
from agentapi.conversation.tracker import BLANK_QUIET, Said, Tracker
from agentapi.model.conversation import Dialog, Level, Phase, PhaseState
from agentapi.model.errors import SendError
from agentapi.model.events import (
    AgentText,
    DriverEvent,
    Exited,
    Noticed,
    PhaseChanged,
    QuestionPainted,
    ScreenChanged,
    UserText,
)
from agentapi.model.frames import Bell, Frame
from agentapi.model.items import Entry
from agentapi.terminal import Emulator, ExitStatus, LineMode, PtyProcess
from agentapi.timing.timer import Timer

if TYPE_CHECKING:
    from agentapi.terminal.recording import Recorder, Tape

READ_INTERVAL = 0.025
"""Seconds between two readings of the conversation."""
SYNC_LIMIT = 1.0
"""Seconds without output after which an unfinished synchronized update is shown as it is."""
SYNC_CAP = 5.0
"""Seconds after which it is shown even though output goes on."""
DRAIN = 0.4
"""Seconds without a new frame after which the screen is complete, when a turn is over but its end
is not on the screen yet: Codex says `done` up to 25 ms before it has painted the last lines, and
0.125 goes on painting for 0.4 s, on a busy machine with pauses of 0.5 s."""
DRAIN_CAP = 3.0
"""Seconds after which the end of a turn is told all the same; so long a message without words is
waited for, and after its end one whose end was not seen may still become longer."""
PAINT_CAP = 60.0
"""Seconds after which it is told whatever the record says that the screen should show."""
FRAME_GAP = 0.002
"""Seconds without output that end a frame of a program without synchronized output."""
FRAME_LIMIT = 0.02
"""Seconds after which such a frame is shown even though output goes on."""
DIALOG_REST = 0.15
"""Seconds for which keys wait after a dialog was painted: Codex 0.158 and 0.169 drop a key that
comes within its first tenth of a second."""
UNKNOWN_REST = 0.6
"""The same for programs of which nothing is known: claude drops keys for more than 0.3 s."""
STILL = 5.0
"""Seconds after which a screen without an input box, a known dialog or work that does not change
counts as a question."""
ANSWER_LIMIT = 5.0
"""Seconds that a dialog has to close after its answer."""
UNREADABLE = 0.8
"""Seconds for which a program's word that it is blocked waits for a question that can be read:
claude says so before it has painted it."""
BUSY_LOOK = 1.0
"""Seconds between two looks at a silent program that is known not to wait for input."""
ASKING = 0.3
"""Seconds for which what looks like a question must stand, where an agent's looks are not known."""


class TuiDriver:
    """One program on a terminal of `columns` by `rows`."""

    transport = "pty"

    def __init__(
        self,
        profile: AgentProfile,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str],
        columns: int = 80,
        rows: int = 1000,
        record: Path | Tape | None = None,
        spare: Callable[[int], bool] = lambda pid: False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`spare` names processes that the program shares with other terminals."""
        self.profile = profile
        self.tracker = Tracker(profile)
        self._turns = RecordedTurns(self.tracker.fusion, clock)
        self._heard = EvidenceLog(self.tracker.fusion)
        self._behind = Behind(self.tracker)
        self._shown_at = float("-inf")
        """When the screen last changed, in the loop's time."""
        self._argv = list(argv)
        self._cwd, self._env = cwd, env
        self._emulator = Emulator(columns, rows)
        self._record = record
        self._spare = spare
        self._recorder: Recorder | None = None
        self._process: PtyProcess | None = None
        self._sink: Sink = lambda event: None
        self._frame: Frame = self._emulator.take_frame()
        self._read_version = -1
        self._completed = 0
        self._reported = PhaseState(Phase.STARTING, "not started yet")
        self._question = ""
        self._watchers: set[Callable[[bytes], None]] = set()
        self._changed: asyncio.Event = asyncio.Event()
        self._unfocused = False
        self._dialog_at = float("-inf")
        """When the open dialog was painted, in the loop's time."""
        self.typist = Typist(self) if profile.has_composer else PlainTypist(self)
        self._stopper = Stopper(self)
        self._reading = Timer(READ_INTERVAL, self._read)
        self._frame_gap = Timer(FRAME_GAP, self._show, limit=FRAME_LIMIT)
        self._sync_limit = Timer(SYNC_LIMIT, self._end_synchronized, limit=SYNC_CAP)
        self._draining = Timer(DRAIN, self._drained, limit=DRAIN_CAP)
        self._standing = Timer(DRAIN_CAP, self.tracker.stand)
        self._complete = False
        self._in_turn = False
        """Whether a turn was told and its end was not; it may ask."""
        self._ending: Evidence | None = None
        """What ended the turn whose last words are still being painted."""
        self._began = 0.0
        self._settling = Timer(profile.settle, self._settle)
        self._quiet = Timer(profile.quiet, self._fell_quiet)
        self._still = Timer(STILL, self._stood_still)
        self._quiet_for = profile.quiet
        """Seconds for which the quiet time was set."""
        self._asking = Timer(ASKING, self._dialog_stood)
        self._stopping = False
        """Whether we end the program: what it still paints is no message."""
        self._timers = (
            *(self._reading, self._frame_gap, self._sync_limit, self._draining, self._standing),
            *(self._settling, self._quiet, self._asking, self._still),
        )

    # -- the driver's face --------------------------------------------------------------------

    async def start(self, sink: Sink) -> None:
        """Start the program. Raises `OSError` when it cannot be started."""
        await self.start_detached(sink)
        if self._record is not None:
            from agentapi.terminal.recording import Tape

            self._recorder = Tape.of(self._record).run(
                self._emulator.columns,
                self._emulator.rows,
                on_error=lambda why: self._emit(Noticed(Level.WARNING, why)),
            )
        self._process = await PtyProcess.spawn(
            self._argv,
            cwd=self._cwd,
            env=self._env,
            columns=self._emulator.columns,
            rows=self._emulator.rows,
            on_output=self.feed,
            on_exit=self._ended,
            spare=self._spare,
        )

    async def start_detached(self, sink: Sink) -> None:
        """Start without a program: `feed` takes its place (to replay a recording)."""
        self._sink = sink
        self._began = asyncio.get_running_loop().time()
        self._restart_quiet()

    async def send(self, text: str) -> None:
        """Paste, see the echo, press Enter, see the turn begin; see `Typist.send`."""
        await self.typist.send(text)

    async def keys(self, data: str) -> None:
        """Write keystrokes as they are; not into a message that is just being typed."""
        async with self.typist.keyboard:
            await self.rest()
            self.write(data.encode())
        if self._process is not None:
            await self._process.drain()

    async def interrupt(self) -> None:
        """Stop the turn and see it stop and told; see `Stopper.interrupt`."""
        await self._stopper.interrupt()

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        """Press the key of a choice and see the dialog close. Raises `LookupError`."""
        await self.typist.answer(dialog_id, choice_id, ANSWER_LIMIT)

    async def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        self._emulator.resize(columns, rows)
        if self._process is not None:
            self._process.resize(columns, rows)
        if self._recorder is not None:
            self._recorder.resize(columns, rows)
        self._show()

    def screen(self) -> str:
        """The screen as text, without blank lines at its end."""
        return "\n".join(self._frame.lines).rstrip("\n")

    def highlighted(self, row: int) -> list[str]:
        """The words of a row that stand on a ground of their own; see `Emulator.highlighted`."""
        return self._emulator.highlighted(row)

    @property
    def pid(self) -> int | None:
        """The program's process, once it was started."""
        return self._process.pid if self._process is not None else None

    def reading(self) -> bool:
        """Whether the program's output still arrives; see `PtyProcess.reading`."""
        return self._process is None or self._process.reading()

    def evidence(self) -> Sequence[SourceSaid]:
        """What each source said last of the phase; see `TellsEvidence`."""
        return self._heard.told()

    def recorded(self, entries: Sequence[Entry], anew: bool = False) -> None:
        """Take what the agent's record says; see `TakesRecord`."""
        if anew:
            self._turns.forget()
        for entry in entries:
            self._behind.take(entry)
            self._turns.take(entry)
            self._evaluate()

    def repaint(self) -> bytes:
        """Bytes that paint the screen on a fresh terminal of the same size."""
        return self._emulator.dump()

    def watch(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Pass the program's output on from now on; returns the unsubscriber."""
        self._watchers.add(listener)
        return lambda: self._watchers.discard(listener)

    async def stop(self, grace: float) -> None:
        """SIGINT to the process group, SIGKILL after `grace` seconds; returns once reaped."""
        with contextlib.suppress(SendError):  # it prints without end
            self.catch_up()
        self._read()
        self._stopping = True
        if self._process is not None:
            await self._process.stop(grace)

    # -- what the typist and the stopper use ----------------------------------------------------

    @property
    def phase(self) -> Phase:
        """The agent's phase."""
        return self.tracker.state.phase

    def told_over(self) -> bool:
        """Whether the end of the turn was told, which may wait until it is painted."""
        return self._reported.phase not in (Phase.WORKING, Phase.BLOCKED)

    @property
    def frame(self) -> Frame:
        """The last complete frame."""
        return self._frame

    @property
    def bracketed_paste(self) -> bool:
        """Whether the program takes a paste in brackets."""
        return self._emulator.bracketed_paste

    @property
    def line_mode(self) -> LineMode:
        """How the terminal takes a line just now."""
        return self._process.line_mode() if self._process is not None else LineMode()

    def write(self, data: bytes) -> None:
        """Write to the program, in order."""
        if self._process is not None:
            self._process.write(data)

    def unread_input(self) -> int:
        """How much of what was typed the program has not read."""
        return self._process.unread_input() if self._process is not None else 0

    def take_back(self) -> None:
        """Drop that."""
        if self._process is not None:
            self._process.take_back()

    def reply(self, data: bytes) -> None:
        """Write what a terminal tells of itself, unless the program reads none of it."""
        if self._process is not None:
            self._process.reply(data)

    def catch_up(self) -> None:
        """Read what the program has written up to now, so that the next decision knows it.

        Raises `SendError` when it writes faster than can be read."""
        read = self._process is None or self._process.read_pending()
        self._show()
        if not read:
            raise SendError("check", "the agent prints faster than can be read: try again later")

    async def rest(self) -> None:
        """Let a dialog that was painted just now get ready for keys."""
        if self.tracker.reading.dialog is not None:
            passed = asyncio.get_running_loop().time() - self._dialog_at
            rest = DIALOG_REST if self.profile.has_composer else UNKNOWN_REST
            await asyncio.sleep(max(0.0, rest - passed))

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

    def begin(self, because: str) -> None:
        """The submitted message's turn began: tell it before anything that answers it."""
        text = self.typist.submitted
        if text is not None:
            self.typist.submitted = None
            self.tracker.begin(because)
            self._emit(UserText(text))
            self._read_version = -1
            if self.phase is not Phase.WORKING and self._reported.phase is not Phase.WORKING:
                self._tell(PhaseState(Phase.WORKING, because))  # over before it was seen to begin
            elif not self.profile.has_composer:
                self._report()  # the answer may be there already
            self._reading.soon()
            self._restart_quiet()
            self._report()

    # -- from bytes to events -----------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take a piece of the program's output."""
        if self._recorder is not None:
            self._recorder.output(data)
        for watcher in tuple(self._watchers):
            watcher(data)
        emulator = self._emulator
        emulator.feed(data)
        if replies := emulator.take_replies():
            self.reply(replies)
        self._tell_focus()
        self._frames()
        for signal in emulator.take_signals():
            if not isinstance(signal, Bell):
                self.tracker.signal(signal)
                self._evaluate()

    def _frames(self) -> None:
        """Show a complete frame now, or see to it that it is shown soon."""
        emulator = self._emulator
        completed, self._completed = self._completed, emulator.completed_frames
        if emulator.synchronized:
            self._sync_limit.restart()
            if completed != self._completed:
                self._show()
        elif self._completed:
            self._sync_limit.cancel()
            self._show()
        else:
            self._frame_gap.restart()

    def _show(self) -> None:
        """Look at the last complete frame."""
        self._frame_gap.cancel()
        frame = self._emulator.take_frame()
        if frame.version == self._frame.version:
            return
        self._frame = frame
        self._shown_at = asyncio.get_running_loop().time()
        asked, unknown = self.tracker.reading.dialog, self.tracker.unknown
        self.tracker.take(frame)
        if self.tracker.unknown != unknown:
            self._still.cancel()
        if self._newly_asked(asked, self.tracker.reading.dialog):
            self._dialog_at = asyncio.get_running_loop().time()
        self._reading.soon()
        self._noted_output()
        self._emit(ScreenChanged())
        self._evaluate()

    def _newly_asked(self, before: Dialog | None, now: Dialog | None) -> bool:
        """Whether a dialog was painted just now; an unknown program may first only speak of it."""
        if now is None or before is None:
            return now is not None
        return not self.profile.has_composer and before.title != now.title

    def _evaluate(self) -> None:
        """Act on what the tracker believes now."""
        self._heard.look()
        self._tell_question()
        if self.typist.submitted is not None:
            if self.phase is Phase.WORKING:
                self.begin(self.tracker.state.because)
            elif self.tracker.announced_end:
                self.begin("a turn too short to be seen")
            elif self.tracker.taken:
                self.begin("the message stands in the conversation")
        fusion = self.tracker.fusion
        if self.tracker.needs_quiet:
            self._quiet.start(self._patience_now())
        if self.tracker.dialog_waits and not self.profile.has_composer:
            self._asking.start(ASKING if self.tracker.shaped else UNREADABLE)
        else:
            self._asking.cancel()
        if fusion.ready or fusion.at_work:
            self._settling.start(self._settling_time)
        else:
            self._settling.cancel()
        if self.tracker.lost:
            self._still.start()
        else:
            self._still.cancel()
        self._report()
        self.typist.tidy()
        self._changed.set()

    def _report(self) -> None:
        """Tell a change of the phase, after the text that belongs before it."""
        state, said = self.tracker.state, self.tracker.fusion.deciding
        ended, self._ending = self._ending, None
        if ended and said and self._overtaken(ended, said):
            self._end_turn(PhaseState(ended.phase, ended.because))  # painted behind the next one
        if state == self._reported:
            self._draining.cancel()
            return
        stopped = self._reported.phase is Phase.WORKING and state.phase is not Phase.WORKING
        if stopped or (self._in_turn and state.phase is Phase.IDLE):
            if not self._all_painted():
                self._ending = said if state.phase is Phase.IDLE else None
                self._tell_decided()
                return
            if state.phase is Phase.IDLE:
                self._end_turn(state)
                return
            self._read(again=True)
        self._tell(state)

    def _tell_decided(self) -> None:
        """A question that is gone is told at once, even if the end of its turn is not painted."""
        if self._reported.phase is Phase.BLOCKED:
            self._tell(PhaseState(Phase.WORKING, "the question is decided"))

    def _tell_question(self) -> None:
        """Tell how the screen shows the open question, when it shows it otherwise than before."""
        if self.tracker.question != self._question:
            self._question = self.tracker.question
            self._emit(QuestionPainted(self._question))

    def _end_turn(self, state: PhaseState) -> None:
        """Tell the turn's last words, then that it is over."""
        self._read(again=True, ended=True)
        self._say(self.tracker.finish())
        self._standing.restart()
        self._tell(state)

    def _tell(self, state: PhaseState) -> None:
        self._reported = state
        if state.phase is not Phase.BLOCKED:
            self._in_turn = state.phase is Phase.WORKING
        self._emit(PhaseChanged(state))

    def _overtaken(self, ended: Evidence, said: Evidence) -> bool:
        """Whether the next turn begins before the screen shows the last one's end. A title blinks
        in turns, too."""
        same = said.source is ended.source and said.source in (Source.LINK, Source.OSC)
        return same and said.phase is Phase.WORKING

    def _all_painted(self) -> bool:
        """Whether the screen shows the end of the turn; else wait for it, but not for ever."""
        if self._complete or self.tracker.complete or self.phase is Phase.EXITED:
            self._draining.cancel()
            self._complete = False
            return True
        self._draining.restart()
        return False

    def _drained(self) -> None:
        """No more frames came for a while: none is waited for, unless the screen lags behind what
        is known of the turn, or shows nothing whole."""
        unfinished = self._emulator.synchronized or self.tracker.wordless
        self._read()  # words that were found only now may have more behind them
        still = asyncio.get_running_loop().time() - self._shown_at
        cap = PAINT_CAP if still < self._patience() else DRAIN_CAP if unfinished else 0.0
        if self._draining.elapsed < cap:
            self._draining.restart()
            return
        self._complete = True
        self._evaluate()

    def _patience(self) -> float:
        """Seconds without a new frame after which the screen does not lag any more."""
        return self._behind.patience()

    def _read(self, again: bool = False, ended: bool = False) -> None:
        """Read the conversation from the frame, unless it was read already and not `again`. Until
        a turn has `ended` in our eyes too, its status line may stand on the screen."""
        if self._stopping:
            return
        if again or self._frame.version != self._read_version:
            self._read_version = self._frame.version
            open_turn = self._reported.phase is Phase.WORKING and not again
            self._say(self.tracker.read(open_turn, ended))

    def _say(self, said: Sequence[Said]) -> None:
        for part in said:
            self._emit(UserText(part.text) if part.by_user else AgentText(part.text))

    def _emit(self, event: DriverEvent) -> None:
        self._sink(event)

    # -- timers ------------------------------------------------------------------------------

    def _end_synchronized(self) -> None:
        """The program did not end its update: show what there is."""
        self._emulator.end_synchronized()
        self._show()

    @property
    def _settling_time(self) -> float:
        """A quarter of what the start took, within the profile's bounds."""
        elapsed = asyncio.get_running_loop().time() - self._began
        return max(self.profile.settle, min(elapsed / 4, self.profile.settle_at_most))

    def _settle(self) -> None:
        self.tracker.settle()
        self._evaluate()

    def _noted_output(self) -> None:
        """Output means work where nothing better tells, and puts off the quiet time."""
        self.tracker.saw_output()
        self._restart_quiet()

    def _restart_quiet(self) -> None:
        if not self.tracker.needs_quiet:
            self._quiet.cancel()
        elif self.profile.has_composer:
            self._quiet.restart()
        else:
            self._quiet.again(self._patience_now())

    def _patience_now(self) -> float:
        self._quiet_for = self.tracker.patience
        return self._quiet_for

    def _fell_quiet(self) -> None:
        if self._awaited():
            self._quiet.again(BUSY_LOOK)
            return
        line = self.line_mode
        self.tracker.fell_quiet(self._quiet_for, keys=not (line.canonical and line.echo))
        self._evaluate()

    def _awaited(self) -> bool:
        """Whether a program without a prompt is at work without a word: it is waited for."""
        if self.profile.has_composer or self.tracker.reading.composer is not None:
            return False
        silent = asyncio.get_running_loop().time() - max(self._shown_at, self._began)
        return silent < BLANK_QUIET and self._process is not None and self._process.busy()

    def _dialog_stood(self) -> None:
        self.tracker.dialog_stood()
        self._evaluate()

    def _stood_still(self) -> None:
        self.tracker.stood_still()
        self._evaluate()

    # -- beginning and end --------------------------------------------------------------------

    def _tell_focus(self) -> None:
        """Say once that nobody looks: Codex 0.80 and 0.125 announce the end of a turn only to a
        terminal without focus."""
        if self.profile.report_unfocused and self._emulator.focus_events != self._unfocused:
            self._unfocused = self._emulator.focus_events
            if self._unfocused:
                self.reply(b"\x1b[O")

    def _ended(self, status: ExitStatus) -> None:
        self._emulator.end_synchronized()
        self._show()
        self._read()
        if self._recorder is not None:
            self._recorder.close()
        self.tracker.fusion.exit(str(status))
        self._evaluate()
        self._heard.stop()
        for timer in self._timers:
            timer.cancel()
        self._emit(Exited(status.code, status.signal, self.screen()))
