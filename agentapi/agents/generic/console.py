"""A program on a terminal: its process, its screen, and subscribers to its output.

Bytes go into `feed`; complete frames and signals come out in order. Terminal queries of the program
are answered here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agentapi.model.frames import Bell, Frame, Signal
from agentapi.terminal import Emulator, ExitStatus, LineMode, PtyProcess
from agentapi.timing.timer import Timer

if TYPE_CHECKING:
    from agentapi.terminal.recording import Recorder, Tape

SYNC_LIMIT = 1.0
"""Seconds without output after which an unfinished synchronized update is shown anyway."""
SYNC_CAP = 5.0
"""Seconds after which it is shown even though output goes on."""
FRAME_GAP = 0.002
"""Seconds without output that end a frame of a program without synchronized output."""
FRAME_LIMIT = 0.02
"""Seconds after which such a frame is shown even though output goes on."""


class Console:
    """One program on a terminal of `columns` by `rows`."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str],
        columns: int = 80,
        rows: int = 1000,
        record: Path | Tape | None = None,
        spare: Callable[[int], bool] = lambda pid: False,
    ) -> None:
        """`spare` returns whether a process is shared with other terminals."""
        self._argv = list(argv)
        self._cwd, self._env = cwd, env
        self._record = record
        self._spare = spare
        self._emulator = Emulator(columns, rows)
        self._recorder: Recorder | None = None
        self._process: PtyProcess | None = None
        self._watchers: set[Callable[[bytes], None]] = set()
        self._completed = 0
        self._unfocused = False
        self._on_frame: Callable[[], None] = lambda: None
        self._on_signal: Callable[[Signal], None] = lambda signal: None
        self._on_end: Callable[[ExitStatus], None] = lambda status: None
        self._report_unfocused = False
        self._frame_gap = Timer(FRAME_GAP, self.show, limit=FRAME_LIMIT)
        self._sync_limit = Timer(SYNC_LIMIT, self._end_synchronized, limit=SYNC_CAP)
        self.frame: Frame = self._emulator.take_frame()
        """The last complete frame."""
        self.shown_at = float("-inf")
        """When the screen last changed, in the loop's time."""

    def connect(
        self,
        on_frame: Callable[[], None],
        on_signal: Callable[[Signal], None],
        on_end: Callable[[ExitStatus], None],
        *,
        report_unfocused: bool = False,
    ) -> None:
        """Set the callbacks for new frames, signals and the end of the program.

        With `report_unfocused`, a program that requests focus events is told that its terminal has
        no focus."""
        self._on_frame, self._on_signal, self._on_end = on_frame, on_signal, on_end
        self._report_unfocused = report_unfocused

    # -- the process ---------------------------------------------------------------------------

    async def start(self, on_warning: Callable[[str], None]) -> None:
        """Start the program. Raises `OSError` when it cannot be started."""
        columns, rows = self._emulator.columns, self._emulator.rows
        if self._record is not None:
            from agentapi.terminal.recording import Tape

            self._recorder = Tape.of(self._record).run(columns, rows, on_error=on_warning)
        self._process = await PtyProcess.spawn(
            self._argv,
            cwd=self._cwd,
            env=self._env,
            columns=columns,
            rows=rows,
            on_output=self.feed,
            on_exit=self._on_exit,
            spare=self._spare,
        )

    async def stop(self, grace: float) -> None:
        """Send SIGINT to the process group, SIGKILL after `grace` seconds; return once reaped."""
        if self._process is not None:
            await self._process.stop(grace)

    @property
    def pid(self) -> int | None:
        """The process id of the program, once started."""
        return self._process.pid if self._process is not None else None

    def reading(self) -> bool:
        """Return whether the program's output still arrives; see `PtyProcess.reading`."""
        return self._process is None or self._process.reading()

    def busy(self) -> bool:
        """Return whether the program is certainly not waiting for input; see `PtyProcess.busy`."""
        return self._process is not None and self._process.busy()

    # -- keys ------------------------------------------------------------------------------------

    @property
    def line_mode(self) -> LineMode:
        """The current line mode of the terminal."""
        return self._process.line_mode() if self._process is not None else LineMode()

    @property
    def bracketed_paste(self) -> bool:
        """Whether the program uses bracketed paste."""
        return self._emulator.bracketed_paste

    def write(self, data: bytes) -> None:
        """Write to the program, in order."""
        if self._process is not None:
            self._process.write(data)

    def unread_input(self) -> int:
        """Return the number of typed bytes not read yet; see `PtyProcess.unread_input`."""
        return self._process.unread_input() if self._process is not None else 0

    def discard_input(self) -> None:
        """Discard unread input."""
        if self._process is not None:
            self._process.discard_input()

    async def drain(self) -> None:
        """Wait until all input was written."""
        if self._process is not None:
            await self._process.drain()

    def reply(self, data: bytes) -> None:
        """Write a terminal report, unless the program does not read its input."""
        if self._process is not None:
            self._process.reply(data)

    def resize(self, columns: int, rows: int) -> None:
        """Resize the terminal."""
        self._emulator.resize(columns, rows)
        if self._process is not None:
            self._process.resize(columns, rows)
        if self._recorder is not None:
            self._recorder.resize(columns, rows)
        self.show()

    # -- output ----------------------------------------------------------------------------------

    def screen(self) -> str:
        """Return the screen as text, without trailing blank lines."""
        return "\n".join(self.frame.lines).rstrip("\n")

    def highlighted(self, row: int) -> list[str]:
        """Return the highlighted words of a row; see `Emulator.highlighted`."""
        return self._emulator.highlighted(row)

    def repaint(self) -> bytes:
        """Return bytes that redraw the screen on a new terminal of the same size."""
        return self._emulator.dump()

    def watch(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Subscribe to the program's output; returns a function that unsubscribes."""
        self._watchers.add(listener)
        return lambda: self._watchers.discard(listener)

    @property
    def in_update(self) -> bool:
        """Whether the program is in the middle of a synchronized update."""
        return self._emulator.synchronized

    def catch_up(self) -> bool:
        """Read all pending output; return False if the program writes faster than it can be
        read."""
        read = self._process is None or self._process.read_pending()
        self.show()
        return read

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
        self._report_focus()
        self._schedule_frame()
        for signal in emulator.take_signals():
            if not isinstance(signal, Bell):
                self._on_signal(signal)

    def _schedule_frame(self) -> None:
        """Publish a complete frame now, or schedule it."""
        emulator = self._emulator
        completed, self._completed = self._completed, emulator.completed_frames
        if emulator.synchronized:
            self._sync_limit.restart()
            if completed != self._completed:
                self.show()
        elif self._completed:
            self._sync_limit.cancel()
            self.show()
        else:
            self._frame_gap.restart()

    def show(self) -> None:
        """Publish the last complete frame, if it is new."""
        self._frame_gap.cancel()
        frame = self._emulator.take_frame()
        if frame.version != self.frame.version:
            self.frame = frame
            self.shown_at = asyncio.get_running_loop().time()
            self._on_frame()

    def _end_synchronized(self) -> None:
        """Publish the screen although the program did not end its update."""
        self._emulator.end_synchronized()
        self.show()

    def _report_focus(self) -> None:
        """Report once that the terminal has no focus: Codex 0.80 and 0.125 announce the end of a
        turn only then."""
        if self._report_unfocused and self._emulator.focus_events != self._unfocused:
            self._unfocused = self._emulator.focus_events
            if self._unfocused:
                self.reply(b"\x1b[O")

    def _on_exit(self, status: ExitStatus) -> None:
        """Publish the last frame and the exit status of the ended program."""
        self._end_synchronized()
        self._sync_limit.cancel()
        if self._recorder is not None:
            self._recorder.close()
        self._on_end(status)
