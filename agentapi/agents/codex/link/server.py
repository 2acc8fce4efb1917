"""Run a private `codex app-server`: its folder, its process group, its shutdown.

The socket is in a folder that only this user can enter. npm's `codex` is a small program that
starts the native one as its child, so every signal goes to the whole group. Codex's commands run in
sessions of their own; they are found and ended with the server. On SIGTERM the server waits for its
turn to end, possibly forever, and is killed after a grace period. A shell around the server adopts
orphaned descendants. It kills all of them when a part of the server is killed, and when this
process is, which it detects by the end of a pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from asyncinotify import Inotify, Mask

from agentapi.agents.codex.daemon import is_daemon
from agentapi.agents.codex.link.folder import LinkFolder
from agentapi.processes import descriptors
from agentapi.processes.orphans import mark_waited
from agentapi.processes.strays import Strays

START_LIMIT = 10.0
"""Seconds until the socket exists (0.2 to 0.4 s measured)."""
GRACE = 1.0
"""Seconds from SIGTERM to SIGKILL."""
_MAX_LINES = 12
_PR_SET_CHILD_SUBREAPER = 36
_GUARD = """
exec 3<&0 </dev/null
trap : TERM INT HUP
end_kin() {
    read -r me _ </proc/self/stat
    lost=$1 kin=" $$ " grew=yes
    while [ "$grew" ]; do
        grew=
        for stat in /proc/[0-9]*/stat; do
            read -r line <"$stat" || continue
            pid=${line%% *}
            set -- ${line##*) }
            case $kin in *" $pid "*) continue ;; esac
            case $kin in *" $2 "*) ;; *) continue ;; esac
            case $lost$2:$4 in $$:$$) ;; $$:*) continue ;; esac
            [ "$pid" = "$me" ] && continue
            kill -STOP "$pid"
            kin="$kin$pid " grew=yes
        done
    done
    set -- $kin
    shift
    kill -KILL "$@"
}
{
    read -r _ <&3
    exec >/dev/null 2>&1
    end_kin
    kill -KILL 0
} &
guard=$!
"$@" 3<&-
code=$?
kill -KILL $guard
case $code in 0 | 130 | 143) ;; *) end_kin lost >/dev/null 2>&1 ;; esac
exit $code
"""
"""Run a program while standard input is open, then kill all its descendants. Kill them, too, when
the program crashes: when it ends neither normally nor by a termination signal.

Each is stopped when it is found, so that it cannot start another (proc_pid_stat(5): pid, name,
state, parent, group, session). The shell adopts orphans. An orphan in another session has detached
itself on purpose and is spared, unless the program crashed: then it may be part of an unfinished
command, since a command's shell dies with Codex, but not what that shell runs."""


class ServerFailed(OSError):
    """The app-server did not start; the message has the reason."""


class AppServer:
    """A running app-server, from `start` to `end`."""

    def __init__(self, folder: LinkFolder, process: asyncio.subprocess.Process) -> None:
        self._folder, self._process = folder, process
        mark_waited(process.pid)
        self.pid = process.pid
        """Also the id of its process group and session."""
        self._strays = Strays(process.pid, adopts=True, spare=is_daemon)
        self._output: deque[str] = deque(maxlen=_MAX_LINES)
        self._exit = asyncio.create_task(self._wait_for_exit(), name="codex app-server")
        self._on_exit: Callable[[str], None] = lambda how: None
        self._ending = False
        self._reaped = False
        """Whether it was reaped: its pid, and its group's, may then be reused."""

    @classmethod
    async def start(
        cls,
        command: Callable[[Path], list[str]],
        *,
        cwd: Path | None,
        env: Mapping[str, str],
        limit: float = START_LIMIT,
    ) -> AppServer:
        """Start `command(socket)` and wait until the socket exists. Raises `OSError`."""
        folder = LinkFolder.make(env)
        server = None
        try:
            with Inotify() as watch:
                watch.add_watch(folder.path, Mask.CREATE)
                process = await asyncio.create_subprocess_exec(
                    *("/bin/sh", "-c", _GUARD, "sh", *command(folder.socket)),
                    cwd=cwd,
                    env=dict(env),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=_become_subreaper(),
                )
                server = cls(folder, process)
                await server._wait_for_socket(watch, limit)
        except BaseException:
            try:
                if server is not None:
                    await server.end(0)
            finally:
                folder.remove()
            raise
        return server

    @property
    def socket(self) -> Path:
        """The socket that it listens on."""
        return self._folder.socket

    def on_exit(self, callback: Callable[[str], None]) -> None:
        """Call `callback` with the reason when it exits, unless by `end`."""
        self._on_exit = callback
        if self._exit.done() and not self._ending:
            callback(self._exit_reason())

    async def end(self, grace: float = GRACE) -> None:
        """Send SIGTERM to its group, SIGKILL after `grace` seconds, and wait until all of it has
        ended. Idempotent."""
        self._ending = True
        self._strays.update()
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._exit), grace)
        self._strays.update()
        self._signal(signal.SIGKILL)
        await asyncio.shield(self._exit)
        self._strays.kill()
        self._folder.remove()

    async def _wait_for_socket(self, watch: Inotify, limit: float) -> None:
        seen = asyncio.create_task(_created(watch, self.socket))
        try:
            await asyncio.wait(
                (seen, self._exit), timeout=limit, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            seen.cancel()  # and wait: it must stop using the watch before that is closed
            await asyncio.gather(seen, return_exceptions=True)
        if not self.socket.exists():
            how = self._exit_reason() if self._exit.done() else f"no socket within {limit:g} s"
            raise ServerFailed(f"the app-server did not start: {how}")

    async def _wait_for_exit(self) -> None:
        """Keep its last lines of output until it exits; then report that."""
        assert self._process.stdout is not None
        while line := await _line(self._process.stdout):
            self._output.append(line.decode("utf-8", "replace").rstrip())
        await self._process.wait()
        self._signal(signal.SIGKILL)
        self._reaped = True
        if not self._ending:
            self._strays.kill()
            self._on_exit(self._exit_reason())

    def _exit_reason(self) -> str:
        code = self._process.returncode
        how = (
            "it runs" if code is None else f"exit status {code}" if code >= 0 else f"signal {-code}"
        )
        output = " ".join(line for line in self._output if line)
        return f"{how}: {output[-500:]}" if output else how

    def _signal(self, number: int) -> None:
        if self._reaped:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def _become_subreaper() -> Callable[[], None]:
    """Return a `preexec_fn` that makes a child adopt its orphaned descendants instead of init
    (PR_SET_CHILD_SUBREAPER(2const), not inherited) and restores the limit of descriptors."""
    import ctypes

    prctl = ctypes.CDLL(None).prctl  # looked up here: the child only calls

    def prepare() -> None:
        prctl(_PR_SET_CHILD_SUBREAPER, *map(ctypes.c_ulong, (1, 0, 0, 0)))
        descriptors.restore_limit()

    return prepare


async def _created(watch: Inotify, path: Path) -> None:
    while not path.exists():  # noqa: ASYNC240 (a folder in memory or next to it)
        await watch.get()


async def _line(stream: asyncio.StreamReader) -> bytes:
    """Read the next line, or a part of one that exceeds the reader's limit."""
    try:
        return await stream.readuntil()
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.read(error.consumed)
