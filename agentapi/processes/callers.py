"""Identify the process at the other end of a connection, and whether it is ours.

*Ours* is the family of this process, including adopted orphans (`agentapi.processes.orphans`).

The process that holds the other socket is searched, and its ancestors decide. It is not enough to
search our own processes: one that passes the socket from child to child, or hides its open files,
would not be found. So there are three results:

    OURS      the holder belongs to the family
    STRANGER  it does not; or the connection comes from another machine, or from a user that no
              member of the family runs as
    UNKNOWN   no holder was found, or the connection is already closed
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from agentapi.processes import sockets
from agentapi.processes.tree import PROC, Family, pids, stat_of

CACHED = 16
"""Number of recent callers, which are checked first: many clients call repeatedly."""


class Kin(Enum):
    """The relation of a process to ours."""

    OURS = auto()
    STRANGER = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Caller:
    """The process at the other end."""

    kin: Kin
    says: str
    """Description of the process, or of why it is unknown, for people."""


CLOSED = Caller(Kin.UNKNOWN, "the connection is closed already")


class Callers:
    """Identifies callers. A call blocks for 0.3 ms, or longer if there are many processes."""

    def __init__(
        self,
        family: Family,
        find: Callable[[sockets.Endpoint, sockets.Endpoint], sockets.Found | None] = sockets.find,
        proc: Path = PROC,
    ) -> None:
        self._family, self._find, self._proc = family, find, proc
        self._last: deque[int] = deque(maxlen=CACHED)

    def identify(self, peer: tuple[object, ...], own: tuple[object, ...]) -> Caller:
        """Identify the caller of a connection, given the results of `getpeername` and
        `getsockname`."""
        if not sockets.is_local(peer):
            return Caller(Kin.STRANGER, f"another machine, {peer[0]}")
        try:
            found = self._find(sockets.endpoint(peer), sockets.endpoint(own))
        except OSError as error:
            return Caller(Kin.UNKNOWN, f"the kernel does not tell: {error}")
        if found is None:
            return CLOSED
        return self._of_socket(found)

    def _of_socket(self, found: sockets.Found) -> Caller:
        holder = self._holder(found.inode)
        if holder is not None:
            return self._of_process(holder)
        if found.user not in self._family.users():
            return Caller(Kin.STRANGER, f"another user, {found.user}")
        return Caller(Kin.UNKNOWN, "no process is seen that holds the connection")

    def _of_process(self, pid: int) -> Caller:
        stat = stat_of(pid, self._proc)
        name = f"process {pid} ({stat.name if stat is not None else 'ended'})"
        ours = self._family.has(pid)
        if ours is None:
            return Caller(Kin.UNKNOWN, f"{name}, whose parents cannot be seen")
        return Caller(Kin.OURS if ours else Kin.STRANGER, name)

    def _holder(self, inode: int) -> int | None:
        """Return a process that has the socket open."""
        link = f"socket:[{inode}]"
        for pid in self._candidates():
            if holds(pid, link, self._proc):
                self._remember(pid)
                return pid
        return None

    def _remember(self, pid: int) -> None:
        with contextlib.suppress(ValueError):
            self._last.remove(pid)
        self._last.append(pid)

    def _candidates(self) -> Iterator[int]:
        """Yield recent callers, then all processes, newest first."""
        last = tuple(self._last)
        yield from reversed(last)
        yield from (pid for pid in pids(self._proc) if pid not in last)


def identification_problem(callers: Callers) -> str:
    """Test identification with a connection to ourselves; return the problem, or an empty
    string."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
    ):
        theirs, peer = server.accept()
        with theirs:
            caller = callers.identify(peer, theirs.getsockname())
    return caller.says if caller.kin is Kin.UNKNOWN else ""


def holds(pid: int, link: str, proc: Path = PROC) -> bool:
    """Return whether a visible file descriptor of the process links to `link`."""
    try:
        folder = os.open(f"{proc}/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # gone, or not visible to us
        return False
    try:
        return any(_link(name, folder) == link for name in os.listdir(folder))  # noqa: PTH208
    except OSError:
        return False
    finally:
        os.close(folder)


def _link(name: str, folder: int) -> str:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return ""
