"""A program under a pseudo-terminal, on the event loop: no thread, no signal handler, no polling.

Output is read when the loop says that there is some; the end is learnt from a pidfd. The program
leads a session and a process group of its own. When it ends, what it wrote last is read first
(the kernel hands a terminal's output over a little later than the death of its writer), then what
is left of its session is killed, then it is reaped, then `on_exit` is called: exactly once.
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
"""Bytes that one turn of the loop reads at most, so that a flood starves nobody."""
TURN_TIME = 0.002
"""Seconds of our own processor time after which a turn ends before that; the rest waits in the
terminal, which holds up the program."""
TURN_PAUSE = 0.001
"""Seconds without reading after such a turn: an answer to a client takes some six turns of the
loop, which pass meanwhile."""
PIECE = 1_024
"""Bytes that are passed on at once: the dearest of them take the emulator 5 ms."""
PENDING_LIMIT = 65_536
"""Bytes that are read at once where all that the program has written must be known; more than a
terminal holds."""
PENDING_TIME = 0.03
"""Seconds of our own processor time after which that is given up: a busy machine is no flood."""
WRITE_LIMIT = 8 << 20
"""Bytes that may wait for a program that does not read."""
REPLY_LIMIT = 65_536
"""The same of the terminal's own answers, which a program may ask for without end."""
LAST_OUTPUT_TIMEOUT = 0.2
"""Seconds without output after the program's death in which its last output is waited for; only
reached when another process keeps the terminal open."""
LAST_OUTPUT_CAP = 2.0
"""Seconds after its death in which output may go on."""


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a program ended: one of the two is set."""

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
    """How a terminal takes what is typed (`termios(3)`)."""

    canonical: bool = False
    """Whether the kernel collects a line and hands it over at its end (ICANON)."""
    echo: bool = False
    """Whether the kernel shows what is typed (ECHO); a program that edits its line shows it
    itself."""
    kill: bytes = b"\x15"
    """The key that erases the line."""
    interrupt: bytes = b""
    """The key by which the terminal itself interrupts its program; empty where it does not."""


class PtyProcess:
    """One running program and the master side of its terminal. Made by `spawn`."""

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
        """The terminal has no more output to give."""
        self._taken = self._passed_on = 0
        """Pieces of output that were read, and that `on_output` took."""
        self._waited_at = -1
        """`_taken` when `reading` last saw output wait."""
        self._dead: ExitStatus | None = None
        self._deadline: asyncio.TimerHandle | None = None
        mark_waited(self.pid)
        os.set_blocking(self._fd, False)
        self._strays = Strays(self.pid, spare=spare)
        self._pidfd = os.pidfd_open(self.pid)
        self._loop.add_reader(self._pidfd, self._died)
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

        `argv[0]` is looked up in `env`'s PATH. Both callbacks come from the event loop; `on_exit`
        is the last; `spare` names processes that outlive the program. Raises
        `FileNotFoundError`, `NotADirectoryError`, `PermissionError` or another `OSError` that says
        what could not be started, and why.
        """
        directory = _directory(cwd)
        program = _program(argv[0], directory, env)
        command = [str(program), *argv[1:]]
        child = _fork(command, directory, dict(env), (rows, columns))
        return cls(child, on_output, on_exit, spare)

    @property
    def status(self) -> ExitStatus | None:
        """How it ended; None while it runs."""
        return self._exited.result() if self._exited.done() else None

    # Input

    def write(self, data: bytes) -> None:
        """Give the program input, in order; returns at once.

        What the terminal cannot take yet waits here. Raises `BufferError`, and takes nothing of
        `data`, when more than `WRITE_LIMIT` bytes would wait. After the end it does nothing.
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
        """Give the program what its terminal answers. An answer is lost when more than
        `REPLY_LIMIT` bytes wait: who asks and never reads waits for none."""
        if len(self._unwritten) + len(data) <= REPLY_LIMIT:
            self.write(data)

    async def drain(self) -> None:
        """Wait until the terminal has taken everything written so far, or is gone."""
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
        """Pass on now what the program has written already, without waiting for the loop's turn:
        for a decision that must know everything (`on_output` is called from within). False when
        it writes faster than can be read."""
        end = thread_time() + PENDING_TIME
        while self._fd >= 0 and not self._at_end and _has_input(self._fd):
            if (left := end - thread_time()) <= 0:
                return False
            self._readable(PENDING_LIMIT, left)
        return True

    def reading(self) -> bool:
        """Whether output still arrives, for a watchdog that asks now and then. Not when the last
        piece could not be passed on, nor when some waits, did so the last time, and nothing was
        read between."""
        waits = self._fd >= 0 and not self._at_end and _has_input(self._fd)
        stuck = waits and self._waited_at == self._taken
        self._waited_at = self._taken if waits else -1
        return not stuck and self._passed_on == self._taken

    def _turn(self) -> None:
        if self._readable(TURN_LIMIT, TURN_TIME) and self._fd >= 0 and not self._at_end:
            self._loop.remove_reader(self._fd)
            self._loop.call_later(TURN_PAUSE, self._go_on)

    def _go_on(self) -> None:
        if self._fd >= 0 and not self._at_end:
            self._loop.add_reader(self._fd, self._turn)

    def _readable(self, room: int, patience: float) -> bool:
        """Pass on what there is, piece by piece: at most `room` bytes, for `patience` seconds of
        our own processor time. Returns whether that was up."""
        late = False
        end = thread_time() + patience
        while room > 0 and (piece := self._piece(min(room, PIECE))):
            room -= len(piece)
            self._taken += 1
            self._on_output(piece)
            self._passed_on = self._taken
            if late := thread_time() >= end:
                break
        if self._at_end and self._fd >= 0:
            self._loop.remove_reader(self._fd)
            if self._dead:
                self._finish()
        return late

    def _piece(self, size: int) -> bytes:
        """Some of the output; empty when there is none now, or (`_at_end`) ever again."""
        try:
            piece = os.read(self._fd, size)
        except BlockingIOError:
            return b""
        except OSError:  # EIO: the last process closed the terminal
            piece = b""
        self._at_end = not piece
        return piece

    def line_mode(self) -> LineMode:
        """How the terminal takes what is typed now."""
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
        """How many bytes of what was typed the program has not read, as far as that is known."""
        return unread(self._fd) if self._fd >= 0 else 0

    def discard_input(self) -> None:
        """Drop what was typed and not read."""
        if self._fd >= 0:
            discard(self._fd)

    def busy(self) -> bool:
        """Whether what runs in the foreground is known not to wait for input."""
        try:
            group = os.tcgetpgrp(self._fd)
        except OSError:  # it is gone
            return False
        return group > 0 and is_busy(group)

    # Life and death

    def resize(self, columns: int, rows: int) -> None:
        """Change the terminal's size; the program gets SIGWINCH."""
        if self._fd >= 0:
            self._child.setwinsize(rows, columns)

    def signal(self, number: int) -> None:
        """Send a signal to the program's process group, and to the group in the foreground of its
        terminal where that is another one. Does nothing after the end."""
        for group in self._groups():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)

    async def wait(self) -> ExitStatus:
        """Wait for the end. By then everything was read and `on_exit` was called."""
        return await asyncio.shield(self._exited)

    async def stop(self, grace: float) -> ExitStatus:
        """SIGINT, and SIGKILL after `grace` seconds; returns once the program is reaped. May be
        called again and while another call waits."""
        self._look_for_strays()
        self.signal(signal.SIGINT)
        try:
            return await asyncio.wait_for(self.wait(), grace)
        except TimeoutError:
            self._look_for_strays()
            self.signal(signal.SIGKILL)
            return await self.wait()

    def _look_for_strays(self) -> None:
        """Codex gives each command a session of its own, where no signal of ours reaches it."""
        if not self._exited.done():
            self._strays.update()

    def _groups(self) -> set[int]:
        """The process groups that a signal goes to. The program is not reaped yet, so that its
        number cannot have passed to a stranger."""
        if self._exited.done():
            return set()
        groups = {self.pid}
        with contextlib.suppress(OSError):
            group = os.tcgetpgrp(self._fd)
            if group > 0 and self._is_of_session(group):
                groups.add(group)
        return groups

    def _is_of_session(self, group: int) -> bool:
        """The terminal goes on naming a group that has ended, whose number may be a stranger's."""
        try:
            return os.getsid(group) == self.pid
        except ProcessLookupError:  # while it has members, nobody else gets its number
            return True

    def _died(self) -> None:
        """The program ended; it stays a zombie until its last output was read."""
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
        """Finish once nothing was read for a while (`taken` is as of the last look)."""
        if taken == self._taken or self._loop.time() >= end:
            self._finish()
        else:
            self._deadline = self._loop.call_later(
                LAST_OUTPUT_TIMEOUT, self._await_last_output, end, self._taken
            )

    def _finish(self) -> None:
        """Kill what is left of the session, reap, close, tell."""
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
    """The environment for an agent: `base` without what is only ours, and what a terminal sets.

    The service manager's variables would let the agent speak for us, ours hold a token, and a
    fixed size would outlive a resize. A locale that is not UTF-8 makes programs print `?`.
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
    """ptyprocess' fork, without a destructor that sleeps and waits for the child."""

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
    """Find the program as a shell in `directory` would, or say why there is none."""
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
    """Close and reap a child whose exec failed: it has ended already."""
    if child is not None:
        child.fileobj.close()
        os.waitpid(child.pid, 0)
