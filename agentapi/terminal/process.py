"""A program on a pseudo-terminal, on the event loop: no threads, signal handlers or polling.

Output is read when the loop reports it; a pidfd reports the exit. The program leads its own session
and process group. After its exit the remaining output is read (the kernel delivers it with a short
delay), the rest of its session is killed, the program is reaped, and `on_exit` is called once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import signal
import termios
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import thread_time

import ptyprocess

from agentapi.processes import descriptors
from agentapi.processes.busy import is_busy
from agentapi.processes.orphans import mark_waited
from agentapi.processes.strays import Strays, kill_session
from agentapi.terminal.unread import discard, unread

READ_SIZE = 65_536
TURN_LIMIT = 16_384
"""Maximum bytes read per loop iteration, so that a flood does not block other tasks."""
TURN_TIME = 0.002
"""Maximum processor time per iteration in seconds; the rest waits in the terminal, which blocks the
program."""
TURN_PAUSE = 0.001
"""Seconds without reading after such an iteration: a response to a client takes about six of
them."""
PIECE = 1_024
"""Bytes passed on at once: in the worst case they take the emulator 5 ms."""
PENDING_LIMIT = 65_536
"""Maximum bytes read at once when all output must be known; more than a terminal buffers."""
PENDING_TIME = 0.03
"""Maximum processor time for that in seconds, so that a busy machine is not taken for a flood."""
WRITE_LIMIT = 8 << 20
"""Maximum bytes queued for a program that does not read."""
REPLY_LIMIT = 65_536
"""The same for terminal replies, which a program may request endlessly."""
LAST_OUTPUT_TIMEOUT = 0.2
"""Seconds without output to wait for the last output after the exit; only reached if another
process keeps the terminal open."""
LAST_OUTPUT_CAP = 2.0
"""Maximum seconds to read output after the exit."""


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a program ended: either by an exit status or by a signal."""

    code: int | None
    signal: int | None

    def __str__(self) -> str:
        if self.signal is None:
            return f"exit status {self.code}"
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(self.signal).name}"
        return f"killed by signal {self.signal}"


@dataclass(frozen=True, slots=True)
class LineMode:
    """How a terminal handles input (`termios(3)`)."""

    canonical: bool = False
    """Whether the kernel collects input until the end of a line (ICANON)."""
    echo: bool = False
    """Whether the kernel echoes input (ECHO); a program with a line editor echoes it itself."""
    kill: bytes = b"\x15"
    """The key that erases the line."""
    interrupt: bytes = b""
    """The key with which the terminal interrupts its program; empty if disabled."""


class PtyProcess:
    """One running program and the master side of its terminal. Created by `spawn`."""

    def __init__(
        self,
        child: ptyprocess.PtyProcess,
        on_output: Callable[[bytes], None],
        on_exit: Callable[[ExitStatus], None],
        spare: Callable[[int], bool],
    ) -> None:
        self.pid: int = child.pid
        """Also the id of its process group and session."""
        self._child = child
        self._fd: int = child.fd
        self._on_output, self._on_exit = on_output, on_exit
        self._loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[ExitStatus] = self._loop.create_future()
        self._unwritten = bytearray()
        self._drained: asyncio.Future[None] | None = None
        self._at_end = False
        """Whether the output has ended."""
        self._read_count = self._delivered_count = 0
        """Number of pieces read, and of those handled by `on_output`."""
        self._waiting_at = -1
        """`_read_count` when `reading` last found pending output."""
        self._dead: ExitStatus | None = None
        self._deadline: asyncio.TimerHandle | None = None
        mark_waited(self.pid)
        os.set_blocking(self._fd, False)
        self._strays = Strays(self.pid, spare=spare)
        self._pidfd = os.pidfd_open(self.pid)
        self._loop.add_reader(self._pidfd, self._on_program_exit)
        self._loop.add_reader(self._fd, self._turn)

    @classmethod
    async def spawn(
        cls,
        argv: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str],
        columns: int,
        rows: int,
        on_output: Callable[[bytes], None],
        on_exit: Callable[[ExitStatus], None],
        spare: Callable[[int], bool] = lambda pid: False,
    ) -> PtyProcess:
        """Start `argv` on a terminal of this size.

        `argv[0]` is looked up in `env`'s PATH. Both callbacks run on the event loop, `on_exit`
        last. Processes for which `spare` is true outlive the program. Raises `FileNotFoundError`,
        `NotADirectoryError`, `PermissionError` or another `OSError` with the reason."""
        directory = _directory(cwd)
        program = _program(argv[0], directory, env)
        command = [str(program), *argv[1:]]
        child = _fork(command, directory, dict(env), (rows, columns))
        return cls(child, on_output, on_exit, spare)

    @property
    def status(self) -> ExitStatus | None:
        """The exit status; None while it runs."""
        return self._exited.result() if self._exited.done() else None

    # Input

    def write(self, data: bytes) -> None:
        """Queue input for the program without blocking.

        Raises `BufferError`, and queues nothing, if more than `WRITE_LIMIT` bytes would be queued.
        Does nothing after the exit.
        """
        if self._fd < 0 or not data:
            return
        if len(self._unwritten) + len(data) > WRITE_LIMIT:
            raise BufferError(
                f"the program reads no input: {len(self._unwritten)} bytes wait already"
            )
        idle = not self._unwritten
        self._unwritten += data
        if idle:
            self._flush()
            if self._unwritten:
                self._loop.add_writer(self._fd, self._flush)

    def reply(self, data: bytes) -> None:
        """Queue a terminal reply. It is dropped if more than `REPLY_LIMIT` bytes would be queued:
        the program is not reading."""
        if len(self._unwritten) + len(data) <= REPLY_LIMIT:
            self.write(data)

    async def drain(self) -> None:
        """Wait until everything queued so far was written, or the terminal is gone."""
        if self._unwritten and self._fd >= 0:
            if self._drained is None:
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)

    def _flush(self) -> None:
        try:
            while self._unwritten:
                written = os.write(self._fd, self._unwritten[:READ_SIZE])
                del self._unwritten[:written]
        except BlockingIOError:
            return
        except OSError:  # nobody has the terminal open any more
            self._unwritten.clear()
        self._loop.remove_writer(self._fd)
        self._wake_drainers()

    def _wake_drainers(self) -> None:
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    # Output

    def read_pending(self) -> bool:
        """Read all pending output now, for decisions that depend on it; calls `on_output`. Returns
        False if the program writes faster than it can be read."""
        end = thread_time() + PENDING_TIME
        while self._fd >= 0 and not self._at_end and _has_input(self._fd):
            if (left := end - thread_time()) <= 0:
                return False
            self._readable(PENDING_LIMIT, left)
        return True

    def reading(self) -> bool:
        """Return whether output still arrives, for a periodic watchdog. False if the last piece
        could not be handled, or if output was pending in this and the last call with nothing read
        between."""
        waits = self._fd >= 0 and not self._at_end and _has_input(self._fd)
        stuck = waits and self._waiting_at == self._read_count
        self._waiting_at = self._read_count if waits else -1
        return not stuck and self._delivered_count == self._read_count

    def _turn(self) -> None:
        if self._readable(TURN_LIMIT, TURN_TIME) and self._fd >= 0 and not self._at_end:
            self._loop.remove_reader(self._fd)
            self._loop.call_later(TURN_PAUSE, self._go_on)

    def _go_on(self) -> None:
        if self._fd >= 0 and not self._at_end:
            self._loop.add_reader(self._fd, self._turn)

    def _readable(self, room: int, patience: float) -> bool:
        """Handle pending output in pieces: at most `room` bytes, for `patience` seconds of
        processor time. Returns whether the time was up."""
        late = False
        end = thread_time() + patience
        while room > 0 and (piece := self._piece(min(room, PIECE))):
            room -= len(piece)
            self._read_count += 1
            self._on_output(piece)
            self._delivered_count = self._read_count
            if late := thread_time() >= end:
                break
        if self._at_end and self._fd >= 0:
            self._loop.remove_reader(self._fd)
            if self._dead:
                self._finish()
        return late

    def _piece(self, size: int) -> bytes:
        """Read some output; return nothing if none is pending, or (`_at_end`) none will follow."""
        try:
            piece = os.read(self._fd, size)
        except BlockingIOError:
            return b""
        except OSError:  # EIO: the last process closed the terminal
            piece = b""
        self._at_end = not piece
        return piece

    def line_mode(self) -> LineMode:
        """Return the current line mode."""
        try:
            modes = termios.tcgetattr(self._fd)
        except (termios.error, ValueError):  # it is gone
            return LineMode()
        flags, keys = modes[3], modes[6]
        canonical, echo = bool(flags & termios.ICANON), bool(flags & termios.ECHO)
        interrupts = flags & termios.ISIG and keys[termios.VINTR] != b"\x00"
        interrupt = keys[termios.VINTR] if interrupts else b""
        return LineMode(canonical, echo, keys[termios.VKILL], interrupt)

    def unread_input(self) -> int:
        """Return the number of input bytes not read yet, as far as known."""
        return unread(self._fd) if self._fd >= 0 else 0

    def discard_input(self) -> None:
        """Discard unread input."""
        if self._fd >= 0:
            discard(self._fd)

    def busy(self) -> bool:
        """Return whether the foreground processes are certainly not waiting for input."""
        try:
            group = os.tcgetpgrp(self._fd)
        except OSError:  # it is gone
            return False
        return group > 0 and is_busy(group)

    # Life and death

    def resize(self, columns: int, rows: int) -> None:
        """Resize the terminal; the program receives SIGWINCH."""
        if self._fd >= 0:
            self._child.setwinsize(rows, columns)

    def signal(self, number: int) -> None:
        """Send a signal to the program's process group and to the terminal's foreground group. Does
        nothing after the exit."""
        for group in self._groups():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)

    async def wait(self) -> ExitStatus:
        """Wait for the exit, after all output was read and `on_exit` was called."""
        return await asyncio.shield(self._exited)

    async def stop(self, grace: float) -> ExitStatus:
        """Send SIGINT, and SIGKILL after `grace` seconds; return once the program is reaped. May be
        called repeatedly and concurrently."""
        self._update_strays()
        self.signal(signal.SIGINT)
        try:
            return await asyncio.wait_for(self.wait(), grace)
        except TimeoutError:
            self._update_strays()
            self.signal(signal.SIGKILL)
            return await self.wait()

    def _update_strays(self) -> None:
        """Find commands in other sessions, as started by Codex, which our signals do not reach."""
        if not self._exited.done():
            self._strays.update()

    def _groups(self) -> set[int]:
        """Return the process groups to signal. The program is not reaped yet, so its pid cannot
        have been reused."""
        if self._exited.done():
            return set()
        groups = {self.pid}
        with contextlib.suppress(OSError):
            group = os.tcgetpgrp(self._fd)
            if group > 0 and self._is_of_session(group):
                groups.add(group)
        return groups

    def _is_of_session(self, group: int) -> bool:
        """Return whether a group belongs to our session: the terminal may report an ended group,
        whose number may have been reused."""
        try:
            return os.getsid(group) == self.pid
        except ProcessLookupError:  # while it has members, its number is not reused
            return True

    def _on_program_exit(self) -> None:
        """Handle the exit; the program stays a zombie until its last output was read."""
        self._loop.remove_reader(self._pidfd)
        result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOWAIT)
        assert result is not None
        ended_by_itself = result.si_code == os.CLD_EXITED
        self._dead = ExitStatus(
            result.si_status if ended_by_itself else None,
            None if ended_by_itself else result.si_status,
        )
        if self._at_end:
            self._finish()
        else:
            self._await_last_output(self._loop.time() + LAST_OUTPUT_CAP, -1)

    def _await_last_output(self, end: float, taken: int) -> None:
        """Finish once nothing was read for a while (`taken`: the count at the last check)."""
        if taken == self._read_count or self._loop.time() >= end:
            self._finish()
        else:
            self._deadline = self._loop.call_later(
                LAST_OUTPUT_TIMEOUT, self._await_last_output, end, self._read_count
            )

    def _finish(self) -> None:
        """Kill the rest of the session, reap the program, close the terminal, call `on_exit`."""
        assert self._dead is not None
        if self._deadline:
            self._deadline.cancel()
        if not self._at_end:
            self._readable_for_the_last_time()
        self._strays.kill()
        kill_session(self.pid)
        os.waitpid(self.pid, 0)
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        os.close(self._pidfd)
        self._child.fileobj.close()
        self._fd = -1
        self._unwritten.clear()
        self._wake_drainers()
        self._exited.set_result(self._dead)
        self._on_exit(self._dead)

    def _readable_for_the_last_time(self) -> None:
        dead, self._dead = self._dead, None
        self._readable(PENDING_LIMIT, LAST_OUTPUT_TIMEOUT)
        self._dead = dead


def _has_input(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


# Starting


def child_environment(base: Mapping[str, str], **extra: str) -> dict[str, str]:
    """Return the environment for an agent: `base` without private variables, with those of a
    terminal.

    With the service manager's variables the agent could act for us, ours contain a token, and a
    fixed size would not follow a resize. Without a UTF-8 locale programs print `?`.
    """
    private = ("AGENTAPI_", "LISTEN_", "WATCHDOG_")
    names = {"NOTIFY_SOCKET", "COLUMNS", "LINES", "TMUX", "TMUX_PANE", "STY", "TERM_PROGRAM"}
    names |= {"TERM_PROGRAM_VERSION", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID"}
    names.add("CREDENTIALS_DIRECTORY")
    kept = {
        name: value
        for name, value in base.items()
        if name not in names and not name.startswith(private)
    }
    kept |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    locale = kept.get("LC_ALL") or kept.get("LC_CTYPE") or kept.get("LANG") or ""
    if "utf" not in locale.lower():
        kept.pop("LC_ALL", None)
        kept["LC_CTYPE"] = "C.UTF-8"
    return kept | extra


class _Child(ptyprocess.PtyProcess):  # type: ignore[misc]
    """The fork of ptyprocess, without its destructor, which sleeps and waits for the child."""

    newest: _Child | None = None

    def __init__(self, pid: int, fd: int) -> None:
        super().__init__(pid, fd)
        _Child.newest = self

    def __del__(self) -> None:
        pass


def _directory(cwd: Path | None) -> Path:
    directory = Path.cwd() if cwd is None else cwd.absolute()
    if not directory.exists():
        raise FileNotFoundError(f"the working directory does not exist: {directory}")
    if not directory.is_dir():
        raise NotADirectoryError(f"the working directory is not a directory: {directory}")
    return directory


def _program(name: str, directory: Path, env: Mapping[str, str]) -> Path:
    """Find the program as a shell in `directory` would. Raises `OSError` with the reason."""
    if "/" in name:
        path = directory / name
        if not path.exists():
            raise FileNotFoundError(f"no such program: {path}")
        if path.is_dir() or not os.access(path, os.X_OK):
            raise PermissionError(f"not an executable file: {path}")
        return path
    found = shutil.which(name, path=env.get("PATH", os.defpath))
    if found is None:
        raise FileNotFoundError(
            f"{name!r} was not found in PATH: install it, or give its full path"
        )
    return Path(found).absolute()


def _fork(
    command: list[str], directory: Path, env: dict[str, str], dimensions: tuple[int, int]
) -> ptyprocess.PtyProcess:
    def prepare() -> None:
        os.chdir(directory)
        descriptors.restore_limit()
        # Python ignores these, and ignored signals stay ignored across exec.
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])

    _Child.newest = None
    try:
        with warnings.catch_warnings():
            # Python 3.12 warns of a fork beside threads; the child only prepares and execs.
            warnings.simplefilter("ignore", DeprecationWarning)
            return _Child.spawn(command, env=env, preexec_fn=prepare, dimensions=dimensions)
    except OSError as error:
        _discard(_Child.newest)
        raise type(error)(f"cannot start {command[0]}: {error}") from error


def _discard(child: _Child | None) -> None:
    """Close and reap a child whose exec failed."""
    if child is not None:
        child.fileobj.close()
        os.waitpid(child.pid, 0)
