"""An agent process with piped standard streams, in its own process group.

The exit of the leader is detected through a pidfd, without reaping it. Until it is reaped its pid
cannot be reused, so the group can still be signalled by that number.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agentapi.processes import descriptors
from agentapi.processes.orphans import mark_waited
from agentapi.processes.strays import Strays

TAIL_LINES = 100
TAIL_LINE_LENGTH = 2_000
STYLE = re.compile(r"\x1b\[[0-9;:]*m")
"""Colours, which are stripped for logs and web pages."""
READ_SIZE = 65_536
DRAIN_SECONDS = 0.5
"""Seconds that the rest of a group may continue writing after its leader's exit."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended: either by an exit status or by a signal."""

    code: int | None
    signal: int | None

    def __str__(self) -> str:
        if self.signal is None:
            return f"exit status {self.code}"
        return f"signal {self.signal} ({signal.strsignal(self.signal) or 'unknown'})"


class LastLines:
    """The last lines of a program's output, limited in number and length."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=TAIL_LINES)
        self._open = b""

    def feed(self, data: bytes) -> None:
        """Add output, split anywhere."""
        *lines, self._open = (self._open + data).split(b"\n")
        for line in lines:
            self._keep(line)
        if len(self._open) > TAIL_LINE_LENGTH:
            self._open = self._open[:TAIL_LINE_LENGTH]

    def text(self) -> str:
        """Return the kept lines, without blank lines at either end."""
        rest = [self._readable(self._open)] if self._open else []
        return "\n".join([*self._lines, *rest]).strip("\n")

    def _keep(self, line: bytes) -> None:
        self._lines.append(self._readable(line))

    @staticmethod
    def _readable(line: bytes) -> str:
        return STYLE.sub("", line[:TAIL_LINE_LENGTH].decode(errors="replace")).rstrip()


class StdioProcess:
    """A child process in its own session and process group, with piped standard streams."""

    def __init__(
        self, child: subprocess.Popen[bytes], spare: Callable[[int], bool] = lambda pid: False
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._child = child
        mark_waited(child.pid)
        self._strays = Strays(child.pid, spare=spare)
        self._output = asyncio.StreamReader()
        self._input: asyncio.WriteTransport | None = None
        self._flow = _Flow()
        self._readers: list[asyncio.ReadTransport] = []
        self._errors = _TailProtocol()
        self._ended: asyncio.Future[Ending] = self._loop.create_future()
        self._cleanup: asyncio.Task[None] | None = None
        self.output_ended = asyncio.Event()
        """Set once `read` has returned everything the agent will ever write."""

    @classmethod
    async def spawn(
        cls,
        argv: Sequence[str],
        *,
        cwd: str | os.PathLike[str],
        env: Mapping[str, str],
        spare: Callable[[int], bool] = lambda pid: False,
    ) -> StdioProcess:
        """Start `argv` (looked up in the PATH of `env`); see `Strays` for `spare`. Raises
        `OSError`."""
        child = _popen(argv, cwd, env)
        process = cls(child, spare)
        try:
            await process._connect()
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        return process

    @property
    def pid(self) -> int:
        """The pid of the group leader, which is also the group id."""
        return self._child.pid

    @property
    def tail(self) -> LastLines:
        """The last lines of stderr, and of anything else the owner adds."""
        return self._errors.tail

    async def read(self) -> bytes:
        """Return the next bytes of its output; empty at the end."""
        data = await self._output.read(READ_SIZE)
        if not data:
            self.output_ended.set()
        return data

    async def write(self, data: bytes) -> None:
        """Write all data to its input. Raises `ConnectionError` if its input is closed."""
        if self._input is None or self._input.is_closing():
            raise ConnectionError("the agent has closed its input")
        self._input.write(data)
        await self._flow.drained()

    async def wait(self) -> Ending:
        """Wait until the whole group has ended and the leader is reaped."""
        return await asyncio.shield(self._ended)

    async def end(self, grace: float) -> Ending:
        """Close its input and interrupt the group; kill what is left after `grace` seconds."""
        if not self._ended.done():
            self._strays.update()
            if self._input is not None:
                self._input.close()
            self._signal_group(signal.SIGINT)
            try:
                return await asyncio.wait_for(self.wait(), grace)
            except TimeoutError:
                self._strays.update()
                self._signal_group(signal.SIGKILL)
        return await self.wait()

    async def _connect(self) -> None:
        child, loop = self._child, self._loop
        pidfd = os.pidfd_open(child.pid)
        loop.add_reader(pidfd, self._leader_ended, pidfd)
        reader = asyncio.StreamReaderProtocol(self._output)
        stdout, _ = await loop.connect_read_pipe(lambda: reader, child.stdout)
        stderr, _ = await loop.connect_read_pipe(lambda: self._errors, child.stderr)
        self._readers = [stdout, stderr]
        self._input, _ = await loop.connect_write_pipe(lambda: self._flow, child.stdin)

    def _leader_ended(self, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        self._strays.update()
        self._cleanup = self._loop.create_task(self._clean_up(), name="acp: end of the agent")

    async def _clean_up(self) -> None:
        """Kill the rest of the group and its descendants, read the remaining output, then reap the
        leader."""
        await self._drain()
        self._strays.update()
        self._signal_group(signal.SIGKILL)
        self._strays.kill()
        await self._drain()
        for transport in (*self._readers, self._input):
            if transport is not None:
                transport.close()
        self._output.feed_eof()
        status = self._child.wait()
        self._ended.set_result(Ending(status, None) if status >= 0 else Ending(None, -status))

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._errors.ended.wait()
                await self.output_ended.wait()

    def _signal_group(self, number: signal.Signals) -> None:
        if self._ended.done():
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)


def _popen(
    argv: Sequence[str], cwd: str | os.PathLike[str], env: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    # Blocks until the exec has succeeded or failed (milliseconds), as asyncio's own spawning does.
    pipe = subprocess.PIPE
    child = subprocess.Popen(
        list(argv),
        cwd=cwd,
        env=dict(env),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        bufsize=0,
        start_new_session=True,
    )
    descriptors.restore_limit(child.pid)
    return child


class _TailProtocol(asyncio.Protocol):
    """Keeps the tail of a stream."""

    def __init__(self) -> None:
        self.tail = LastLines()
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.tail.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


class _Flow(asyncio.BaseProtocol):
    """Pauses a writer while the pipe is full."""

    def __init__(self) -> None:
        self._lost = False
        self._free = asyncio.Event()
        self._free.set()

    def pause_writing(self) -> None:
        self._free.clear()

    def resume_writing(self) -> None:
        self._free.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._free.set()

    async def drained(self) -> None:
        """Wait until there is room. Raises `ConnectionError` if the reader is gone."""
        await self._free.wait()
        if self._lost:
            raise ConnectionError("the agent has closed its input")
