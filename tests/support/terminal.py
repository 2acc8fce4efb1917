"""A terminal for tests: runs a program on a PTY, answers its queries, and can record it.

It is independent of `agentapi.terminal`: recordings, and measurements of Codex alone, must not
depend on the code under test. Its screen is stock pyte behind a filter, good enough to wait for
text; nothing is asserted about it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte
from ptyprocess import PtyProcess

from tests.support.cast import CastWriter

ESCAPE = re.compile(
    rb"\x1b\](?P<osc>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    rb"|\x1b[P_^X][^\x1b]*\x1b\\"
    rb"|\x1b\[(?P<csi>[0-?]*[ -/]*[@-~])"
    rb"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"
)
# What stock pyte would paint or trip over; it gets everything else.
FOREIGN_CSI = re.compile(rb"[<=>].*|\?.*[unp$]|.*:.*|.*[ !$\"'].*|!p", re.DOTALL)

REPLIES = {b"?u": b"\x1b[?0u", b"c": b"\x1b[?1;2c", b"0c": b"\x1b[?1;2c", b"5n": b"\x1b[0n"}


class Terminal:
    """A running program and its screen. `listeners` receive every chunk of its output."""

    def __init__(
        self, process: PtyProcess, columns: int, rows: int, cast: CastWriter | None
    ) -> None:
        self.columns, self.rows = columns, rows
        self.process = process
        self.cast = cast
        self.last_output_at = time.monotonic()
        self._last_change = self.last_output_at
        self.title = ""
        self.states: list[str] = []
        """All OSC 7501 payloads so far."""
        self.listeners: list[Callable[[bytes], None]] = []
        self.exit_status: int | None = None
        """The exit status, negative for a signal; None while it runs."""
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._rest = b""
        self._output = asyncio.Event()
        self._ended = False
        asyncio.get_running_loop().add_reader(process.fd, self._readable)

    @classmethod
    def spawn(
        cls,
        command: Sequence[str],
        environment: dict[str, str],
        cwd: Path,
        columns: int = 80,
        rows: int = 24,
        cast: CastWriter | None = None,
    ) -> Terminal:
        """Start a program as the leader of its own process group."""
        process = PtyProcess.spawn(
            list(command), cwd=str(cwd), env=environment, dimensions=(rows, columns)
        )
        os.set_blocking(process.fd, False)
        return cls(process, columns, rows, cast)

    def lines(self) -> list[str]:
        """Return the screen, without trailing blanks."""
        cells = self._screen.buffer
        width = range(self.columns)
        return ["".join(cells[row][x].data for x in width).rstrip() for row in range(self.rows)]

    def text(self) -> str:
        """Return the screen as one string, without trailing empty lines."""
        return "\n".join(self.lines()).rstrip()

    def write(self, text: str, what: str = "keys") -> None:
        """Write input; `what` labels it in the recording (`prompt`, `enter`, `keys`)."""
        data = text.encode()
        self._last_change = time.monotonic()
        while data:
            data = data[os.write(self.process.fd, data) :]
        if self.cast:
            self.cast.input(text, what)

    async def until(self, wanted: str | Callable[[str], bool], limit: float = 30.0) -> str:
        """Wait until the screen contains a text (or satisfies a function); return the screen.

        Raises `TimeoutError` with the screen, also if the program exits first."""
        holds = (lambda text: wanted in text) if isinstance(wanted, str) else wanted
        deadline = time.monotonic() + limit
        while not holds(screen := self.text()):
            left = deadline - time.monotonic()
            if left <= 0 or self._ended:
                raise TimeoutError(f"waited for {wanted!r}; the screen was:\n{screen}")
            await self._next_output(left)
        return screen

    async def quiet(self, seconds: float, limit: float = 60.0) -> None:
        """Wait until neither side has written anything for `seconds`."""
        deadline = time.monotonic() + limit
        while not self._ended:
            left = self._last_change + seconds - time.monotonic()
            if left <= 0:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"never quiet for {seconds} s; the screen was:\n{self.text()}")
            await self._next_output(left)

    async def ended(self, limit: float = 10.0) -> int:
        """Wait for the exit; return the status, negative for a signal."""
        async with asyncio.timeout(limit):
            while not self._ended:
                await self._next_output(limit)
        return await self._reap()

    async def close(self) -> None:
        """End the program and everything in its process group."""
        for number, patience in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
            if self.exit_status is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(TimeoutError):
                await self.ended(patience)
        asyncio.get_running_loop().remove_reader(self.process.fd)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.close(force=True)

    async def _reap(self) -> int:
        if self.exit_status is None:
            _, status = await asyncio.to_thread(os.waitpid, self.process.pid, 0)
            self.exit_status = os.waitstatus_to_exitcode(status)
            self.process.terminated = True
        return self.exit_status

    async def _next_output(self, limit: float) -> None:
        self._output.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._output.wait(), limit)

    def _readable(self) -> None:
        try:
            data = os.read(self.process.fd, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(data)
        else:
            self._ended = True
            asyncio.get_running_loop().remove_reader(self.process.fd)
        self._output.set()

    def _take(self, data: bytes) -> None:
        self.last_output_at = self._last_change = time.monotonic()
        if self.cast:
            self.cast.output(data)
        for listener in self.listeners:
            listener(data)
        text, self._rest = _whole(self._rest + data)
        start = 0
        for match in ESCAPE.finditer(text):
            self._stream.feed(text[start : match.start()])
            self._sequence(match)
            start = match.end()
        self._stream.feed(text[start:])

    def _sequence(self, match: re.Match[bytes]) -> None:
        if (osc := match["osc"]) is not None:
            self._osc(osc.decode(errors="replace"))
        elif match["csi"] is None:
            self._stream.feed(match[0])
        elif reply := self._reply(match["csi"]):
            os.write(self.process.fd, reply)
        elif match["csi"] in (b"?1049h", b"?1049l"):
            self._screen.reset()
        elif not FOREIGN_CSI.fullmatch(match["csi"]):
            self._stream.feed(match[0])

    def _osc(self, text: str) -> None:
        number, _, rest = text.partition(";")
        if rest == "?" and number in ("10", "11"):
            colour = "ffff/ffff/ffff" if number == "10" else "0000/0000/0000"
            os.write(self.process.fd, f"\x1b]{number};rgb:{colour}\x1b\\".encode())
        elif number in ("0", "2"):
            self.title = rest
        elif number == "7501":
            self.states.append(rest)

    def _reply(self, csi: bytes) -> bytes | None:
        if csi == b"6n":
            cursor = self._screen.cursor
            return b"\x1b[%d;%dR" % (cursor.y + 1, min(cursor.x, self.columns - 1) + 1)
        return REPLIES.get(csi)


def _whole(data: bytes) -> tuple[bytes, bytes]:
    """Split off an incomplete escape sequence."""
    start = data.rfind(b"\x1b")
    if start > 0 and data[start : start + 2] in (b"\x1b", b"\x1b\\"):
        previous = data.rfind(b"\x1b", 0, start)
        if previous >= 0 and not ESCAPE.match(data, previous):
            start = previous
    if start >= 0 and not ESCAPE.match(data, start) and not data.startswith(b"\x1b\\", start):
        return data[:start], data[start:]
    return data, b""
