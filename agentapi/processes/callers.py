"""Which process is at the other end of a connection, and is it one of ours?

*Ours* is the family of this process; where it adopts the orphans (`agentapi.processes.orphans`),
what detaches itself still belongs to it.

The holder of the other socket is looked for until it is found, and then its ancestors decide. Not
to find one among our own would not do: a process that passes the socket on from child to child, or
forbids others to look at its files, is not found either. So there are three answers; what cannot
be told is told so:

    OURS      the holder belongs to the family
    STRANGER  it does not; or the connection comes from another machine; or from another user, and
              nothing of the family runs as that one
    UNKNOWN   no holder is found, or the connection is closed already
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

REMEMBERED = 16
"""Processes that called last, and are looked at first: many clients call again and again."""


class Kin(Enum):
    """Whose a process is."""

    OURS = auto()
    STRANGER = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end."""

    kin: Kin
    says: str
    """Which process it is, or why that cannot be told: to be read by people."""


CLOSED = Caller(Kin.UNKNOWN, "the connection is closed already")


class Callers:
    """Names callers. A call blocks for 0.3 ms, and longer where there are many processes."""

    def __init__(
        self,
        family: Family,
        find: Callable[[sockets.Endpoint, sockets.Endpoint], sockets.Found | None] = sockets.find,
        proc: Path = PROC,
    ) -> None:
        self._family, self._find, self._proc = family, find, proc
        self._last: deque[int] = deque(maxlen=REMEMBERED)

    def identify(self, peer: tuple[object, ...], own: tuple[object, ...]) -> Caller:
        """Who is at the other end of the connection with these two ends, as `getpeername` and
        `getsockname` tell them."""
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
        """A process that has the socket open."""
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
        """Those who called last, then all: the newest is the likeliest."""
        last = tuple(self._last)
        yield from reversed(last)
        yield from (pid for pid in pids(self._proc) if pid not in last)


def cannot_tell(callers: Callers) -> str:
    """Why callers cannot be told on this machine, tried on a connection to ourselves; empty when
    they can."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
    ):
        theirs, peer = server.accept()
        with theirs:
            caller = callers.identify(peer, theirs.getsockname())
    return caller.says if caller.kin is Kin.UNKNOWN else ""


def holds(pid: int, link: str, proc: Path = PROC) -> bool:
    """Whether the process has open what the links of file descriptors name so, as far as we see."""
    try:
        folder = os.open(f"{proc}/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # gone, or not ours to look at
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
