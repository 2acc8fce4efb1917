"""A program on a terminal: its process, the screen that it paints, and who watches its output.

Bytes come in by `feed`. Out go complete frames and signals, in the order in which they were
painted; what the program asks its terminal is answered here.
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
"""Seconds without output after which an unfinished synchronized update is shown as it is."""
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
        """`spare` names processes that the program shares with other terminals."""
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
        """Name who is called for each new frame, each signal and the program's end.

        With `report_unfocused` a program that asks for focus events learns that its terminal has
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
            on_exit=self.ended,
            spare=self._spare,
        )

    async def stop(self, grace: float) -> None:
        """SIGINT to the process group, SIGKILL after `grace` seconds; returns once reaped."""
        if self._process is not None:
            await self._process.stop(grace)

    @property
    def pid(self) -> int | None:
        """The program's process, once it was started."""
        return self._process.pid if self._process is not None else None

    def reading(self) -> bool:
        """Whether the program's output still arrives; see `PtyProcess.reading`."""
        return self._process is None or self._process.reading()

    def busy(self) -> bool:
        """Whether the program is known not to wait for input; see `PtyProcess.busy`."""
        return self._process is not None and self._process.busy()

    # -- keys ------------------------------------------------------------------------------------

    @property
    def line_mode(self) -> LineMode:
        """How the terminal takes a line just now."""
        return self._process.line_mode() if self._process is not None else LineMode()

    @property
    def bracketed_paste(self) -> bool:
        """Whether the program takes a paste in brackets."""
        return self._emulator.bracketed_paste

    def write(self, data: bytes) -> None:
        """Write to the program, in order."""
        if self._process is not None:
            self._process.write(data)

    def unread_input(self) -> int:
        """How much of what was typed the program has not read; see `PtyProcess.unread_input`."""
        return self._process.unread_input() if self._process is not None else 0

    def take_back(self) -> None:
        """Drop that."""
        if self._process is not None:
            self._process.take_back()

    async def drain(self) -> None:
        """Wait until the program has taken what was written."""
        if self._process is not None:
            await self._process.drain()

    def reply(self, data: bytes) -> None:
        """Write what a terminal reports of itself, unless the program reads none of it."""
        if self._process is not None:
            self._process.reply(data)

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        self._emulator.resize(columns, rows)
        if self._process is not None:
            self._process.resize(columns, rows)
        if self._recorder is not None:
            self._recorder.resize(columns, rows)
        self.show()

    # -- output ----------------------------------------------------------------------------------

    def screen(self) -> str:
        """The screen as text, without blank lines at its end."""
        return "\n".join(self.frame.lines).rstrip("\n")

    def highlighted(self, row: int) -> list[str]:
        """The words of a row that stand on a ground of their own; see `Emulator.highlighted`."""
        return self._emulator.highlighted(row)

    def repaint(self) -> bytes:
        """Bytes that paint the screen on a fresh terminal of the same size."""
        return self._emulator.dump()

    def watch(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Pass the program's output on from now on; returns the unsubscriber."""
        self._watchers.add(listener)
        return lambda: self._watchers.discard(listener)

    @property
    def painting(self) -> bool:
        """Whether the program is in the middle of a synchronized update."""
        return self._emulator.synchronized

    def catch_up(self) -> bool:
        """Read what the program has written up to now; False when it writes faster than that."""
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
        self._frames()
        for signal in emulator.take_signals():
            if not isinstance(signal, Bell):
                self._on_signal(signal)

    def _frames(self) -> None:
        """Show a complete frame now, or see to it that it is shown soon."""
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
        """Take the last complete frame, if it is a new one."""
        self._frame_gap.cancel()
        frame = self._emulator.take_frame()
        if frame.version != self.frame.version:
            self.frame = frame
            self.shown_at = asyncio.get_running_loop().time()
            self._on_frame()

    def _end_synchronized(self) -> None:
        """The program did not end its update: show what there is."""
        self._emulator.end_synchronized()
        self.show()

    def _report_focus(self) -> None:
        """Report once that the terminal has no focus: Codex 0.80 and 0.125 announce the end of a
        turn only then."""
        if self._report_unfocused and self._emulator.focus_events != self._unfocused:
            self._unfocused = self._emulator.focus_events
            if self._unfocused:
                self.reply(b"\x1b[O")

    def ended(self, status: ExitStatus) -> None:
        """The program has ended: show what it painted last, and pass its status on."""
        self._end_synchronized()
        self._sync_limit.cancel()
        if self._recorder is not None:
            self._recorder.close()
        self._on_end(status)
