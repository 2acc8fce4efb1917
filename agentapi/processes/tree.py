"""The process tree, read from `/proc` (proc_pid_stat(5))."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
TRIES = 5
"""Attempts to read a chain of parents, which may change meanwhile."""


@dataclass(frozen=True, slots=True)
class Stat:
    """Status of one process. Two are equal if they belong to the same process."""

    pid: int
    started: int
    """Clock ticks since boot; identifies a process together with the pid."""
    parent: int = field(compare=False)
    group: int = field(compare=False)
    """The process group."""
    session: int = field(compare=False)
    """The pid of the session's leader."""
    name: str = field(compare=False)
    state: str = field(compare=False)
    """`Z`: it has ended and waits to be reaped."""


def parse_stat(text: bytes) -> Stat:
    """Parse the content of `/proc/PID/stat`. Raises `ValueError`."""
    before, _, after = text.rpartition(b")")  # a name may contain blanks and parentheses
    pid, _, name = before.partition(b" (")
    fields = after.split()
    try:
        return Stat(
            pid=int(pid),
            started=int(fields[19]),
            parent=int(fields[1]),
            group=int(fields[2]),
            session=int(fields[3]),
            name=name.decode("utf-8", "replace"),
            state=fields[0].decode("ascii"),
        )
    except IndexError:
        raise ValueError(f"no process status: {text!r}") from None


def stat_of(pid: int, proc: Path = PROC) -> Stat | None:
    """Read the status of a process; return None if it is gone or hidden."""
    try:
        return parse_stat((proc / str(pid) / "stat").read_bytes())
    except (OSError, ValueError):
        return None


def pids(proc: Path = PROC) -> list[int]:
    """Return the visible pids, highest (mostly newest) first."""
    try:
        names = os.listdir(proc)  # noqa: PTH208 (there are hundreds, and this is often called)
    except OSError:
        return []
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)


def all_processes(proc: Path = PROC) -> Iterator[Stat]:
    """Yield the status of all visible processes."""
    return (stat for pid in pids(proc) if (stat := stat_of(pid, proc)) is not None)


class Family:
    """The descendants of a process, except those that existed when this was created: a shell that
    became the process by `exec` may have left it children."""

    def __init__(self, root: int | None = None, proc: Path = PROC) -> None:
        self.root = root or os.getpid()
        self._proc = proc
        self._before = frozenset(children(self.root, proc))

    def has(self, pid: int) -> bool | None:
        """Return whether a process belongs to the family; None if unknown."""
        chain = ancestors(pid, self._proc)
        if chain is None:
            return None
        above = [link.pid for link in chain[1:]]
        return self.root in above and self._before.isdisjoint(chain)

    def members(self, spare: Callable[[int], bool] = lambda pid: False) -> list[Stat]:
        """Return all members, parents first, without spared processes and their descendants."""

        def excluded(stat: Stat) -> bool:
            return stat in self._before or spare(stat.pid)

        return list(descendants(self.root, self._proc, excluded))

    def users(self) -> set[int]:
        """Return the effective user ids of all members and the root."""
        found = (_user_of(stat.pid, self._proc) for stat in self.members())
        return {os.geteuid()} | {user for user in found if user is not None}


def ancestors(pid: int, proc: Path = PROC) -> list[Stat] | None:
    """Return the process, its parent and so on, up to one without a parent (a container's init, or
    a process that entered the container). None if the chain cannot be read."""
    for _ in range(TRIES):
        chain = list(_chain(pid, proc))
        if chain and chain[-1].parent == 0:
            return chain
    return None


def _chain(pid: int, proc: Path) -> Iterator[Stat]:
    """Yield the chain from a process upwards, as far as it is consistent."""
    below = None
    while pid > 0:
        found = stat_of(pid, proc)
        # A parent younger than its child has only reused the pid of the real one.
        if found is None or (below is not None and found.started > below.started):
            return
        yield found
        below, pid = found, found.parent


def children(root: int, proc: Path = PROC) -> list[Stat]:
    """Return the children of a process."""
    try:
        lists = [path.read_text() for path in (proc / str(root) / "task").glob("*/children")]
    except OSError:
        lists = []
    if lists:
        found = (stat_of(int(pid), proc) for text in lists for pid in text.split())
        return [stat for stat in found if stat is not None]
    # A kernel without these lists (CONFIG_PROC_CHILDREN).
    return [stat for stat in all_processes(proc) if stat.parent == root]


def descendants(
    root: int, proc: Path = PROC, excluded: Callable[[Stat], bool] = lambda stat: False
) -> Iterator[Stat]:
    """Yield the descendants of a process, parents first, without `excluded` ones and their
    descendants."""
    of_parent: dict[int, list[Stat]] = {}
    for pid in pids(proc):
        if (found := stat_of(pid, proc)) is not None:
            of_parent.setdefault(found.parent, []).append(found)
    waiting = [root]
    while waiting:
        for child in of_parent.pop(waiting.pop(), ()):
            if not excluded(child):
                yield child
                waiting.append(child.pid)


def family(root: int) -> set[int]:
    """Return the process `root`, the members of the session it leads, and all their descendants."""
    found = [stat for pid in pids() if (stat := stat_of(pid)) is not None]
    members = {root} | {stat.pid for stat in found if stat.session == root}
    grew = True
    while grew:
        more = {stat.pid for stat in found if stat.parent in members} - members
        members |= more
        grew = bool(more)
    return members


def _user_of(pid: int, proc: Path) -> int | None:
    with contextlib.suppress(OSError):
        return (proc / str(pid)).stat().st_uid
    return None
