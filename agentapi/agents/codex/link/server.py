"""A private `codex app-server`: its folder, its process group, its end.

The socket stands in a folder that only this user may enter. npm's `codex` is a small program that
starts the native one as its child, so that every signal goes to the whole group; what the server
itself runs in sessions of their own (Codex's commands) is found and ended with it. Asked to end, it
waits for its turn to end, for ever if need be: so it is killed after a grace. A shell around the
server adopts what loses its parent; it kills all of them when a part of the server is killed, and
when this process is: then it sees the end of a pipe.
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
"""Seconds until the socket is there (0.2 to 0.4 s measured)."""
GRACE = 1.0
"""Seconds from SIGTERM to SIGKILL."""
_LAST_LINES = 12
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
"""Run a program for as long as standard input is open; then end all its descendants. End them, too,
when the program is lost: when it neither ended orderly nor by the signals that ask it to.

Each is stopped as it is found, so that it starts no other (proc_pid_stat(5): pid, name, state,
parent, group, session). The shell adopts what loses its parent: what is in another session then has
detached itself on purpose, and lives, unless the program is lost. For then it may as well be a
command cut off: Codex lets the shell of a command die with it, but not what the shell runs."""


class ServerFailed(OSError):
    """The app-server did not come up; the text says why."""


class AppServer:
    """One running app-server. Made by `start`; call `end`."""

    def __init__(self, folder: LinkFolder, process: asyncio.subprocess.Process) -> None:
        self._folder, self._process = folder, process
        mark_waited(process.pid)
        self.pid = process.pid
        """Also the id of its process group and session."""
        self._strays = Strays(process.pid, adopts=True, spare=is_daemon)
        self._said: deque[str] = deque(maxlen=_LAST_LINES)
        self._life = asyncio.create_task(self._live(), name="codex app-server")
        self._on_exit: Callable[[str], None] = lambda how: None
        self._ending = False
        self._gone = False
        """Whether it was reaped: its number, and its group's, may then be a stranger's."""

    @classmethod
    async def start(
        cls,
        command: Callable[[Path], list[str]],
        *,
        cwd: Path | None,
        env: Mapping[str, str],
        limit: float = START_LIMIT,
    ) -> AppServer:
        """Start `command(socket)` and wait until the socket is there. Raises `OSError`."""
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
                    preexec_fn=_adopting(),
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
        """Where it listens."""
        return self._folder.socket

    def on_exit(self, tell: Callable[[str], None]) -> None:
        """Be told how it ended, unless it was ended by `end`."""
        self._on_exit = tell
        if self._life.done() and not self._ending:
            tell(self._how())

    async def end(self, grace: float = GRACE) -> None:
        """SIGTERM to its group, SIGKILL after `grace` seconds; returns once all of it is gone.
        Idempotent."""
        self._ending = True
        self._strays.update()
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._life), grace)
        self._strays.update()
        self._signal(signal.SIGKILL)
        await asyncio.shield(self._life)
        self._strays.kill()
        self._folder.remove()

    async def _wait_for_socket(self, watch: Inotify, limit: float) -> None:
        seen = asyncio.create_task(_created(watch, self.socket))
        try:
            await asyncio.wait(
                (seen, self._life), timeout=limit, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            seen.cancel()  # and wait: it lets go of the watch's descriptor while that is ours
            await asyncio.gather(seen, return_exceptions=True)
        if not self.socket.exists():
            how = self._how() if self._life.done() else f"no socket within {limit:g} s"
            raise ServerFailed(f"the app-server did not start: {how}")

    async def _live(self) -> None:
        """Keep its last words until it ends."""
        assert self._process.stdout is not None
        while line := await _line(self._process.stdout):
            self._said.append(line.decode("utf-8", "replace").rstrip())
        await self._process.wait()
        self._signal(signal.SIGKILL)
        self._gone = True
        if not self._ending:
            self._strays.kill()
            self._on_exit(self._how())

    def _how(self) -> str:
        code = self._process.returncode
        how = (
            "it runs" if code is None else f"exit status {code}" if code >= 0 else f"signal {-code}"
        )
        words = " ".join(line for line in self._said if line)
        return f"{how}: {words[-500:]}" if words else how

    def _signal(self, number: int) -> None:
        if self._gone:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def _adopting() -> Callable[[], None]:
    """What makes a child adopt its descendants that lose their parents, as init does otherwise;
    its own children do not inherit that (PR_SET_CHILD_SUBREAPER(2const)). It gets back the limit
    of descriptors that we were given, too."""
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
    """The next line; a longer one than the reader takes comes as what it is, a piece."""
    try:
        return await stream.readuntil()
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.read(error.consumed)
