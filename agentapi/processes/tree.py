"""Who descends from whom, as `/proc` tells it (proc_pid_stat(5))."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
TRIES = 5
"""Reads of a chain of parents, which changes when one of them ends while it is read."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What is read of one process. Two are equal when they are of the same one."""

    pid: int
    started: int
    """Clock ticks from the boot: with the pid, this names a process for good."""
    parent: int = field(compare=False)
    group: int = field(compare=False)
    """The process group."""
    session: int = field(compare=False)
    """The pid of the session's leader."""
    name: str = field(compare=False)
    state: str = field(compare=False)
    """`Z`: it has ended, and waits for its parent to ask how."""


def parse_stat(text: bytes) -> Stat:
    """The content of `/proc/PID/stat`. Raises `ValueError` where it is none."""
    before, _, after = text.rpartition(b")")  # a name may hold blanks and parentheses itself
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
    """What there is to read of a process; None when it is gone, or hidden from us."""
    try:
        return parse_stat((proc / str(pid) / "stat").read_bytes())
    except (OSError, ValueError):
        return None


def pids(proc: Path = PROC) -> list[int]:
    """The processes that we see, the highest number first: mostly the newest one."""
    try:
        names = os.listdir(proc)  # noqa: PTH208 (there are hundreds, and this is often called)
    except OSError:
        return []
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)


def everybody(proc: Path = PROC) -> Iterator[Stat]:
    """All processes that we see."""
    return (stat for pid in pids(proc) if (stat := stat_of(pid, proc)) is not None)


class Family:
    """What descends from a process but for what did so already when this was made: a shell that
    turned into the process by `exec` leaves it children that are none of its own."""

    def __init__(self, root: int | None = None, proc: Path = PROC) -> None:
        self.root = root or os.getpid()
        self._proc = proc
        self._before = frozenset(children(self.root, proc))

    def has(self, pid: int) -> bool | None:
        """Whether the process belongs to it; None when that cannot be seen."""
        chain = ancestors(pid, self._proc)
        if chain is None:
            return None
        above = [link.pid for link in chain[1:]]
        return self.root in above and self._before.isdisjoint(chain)

    def members(self, spare: Callable[[int], bool] = lambda pid: False) -> list[Stat]:
        """All, parents before children, without those whom `spare` names and their descendants."""

        def left_out(stat: Stat) -> bool:
            return stat in self._before or spare(stat.pid)

        return list(descendants(self.root, self._proc, left_out))

    def users(self) -> set[int]:
        """The effective user ids of all, and of the root."""
        found = (_user_of(stat.pid, self._proc) for stat in self.members())
        return {os.geteuid()} | {user for user in found if user is not None}


def ancestors(pid: int, proc: Path = PROC) -> list[Stat] | None:
    """The process, its parent and so on, up to the first that has none (a container's init, or
    what came into the container from outside). None when the chain cannot be read."""
    for _ in range(TRIES):
        chain = list(_chain(pid, proc))
        if chain and chain[-1].parent == 0:
            return chain
    return None


def _chain(pid: int, proc: Path) -> Iterator[Stat]:
    """From a process upwards, as far as the chain holds."""
    below = None
    while pid > 0:
        found = stat_of(pid, proc)
        # One that is younger than its child has only got the number of the parent, which ended.
        if found is None or (below is not None and found.started > below.started):
            return
        yield found
        below, pid = found, found.parent


def children(root: int, proc: Path = PROC) -> list[Stat]:
    """The children of a process."""
    try:
        lists = [path.read_text() for path in (proc / str(root) / "task").glob("*/children")]
    except OSError:
        lists = []
    if lists:
        found = (stat_of(int(pid), proc) for text in lists for pid in text.split())
        return [stat for stat in found if stat is not None]
    # A kernel without these lists (CONFIG_PROC_CHILDREN).
    return [stat for stat in everybody(proc) if stat.parent == root]


def descendants(
    root: int, proc: Path = PROC, left_out: Callable[[Stat], bool] = lambda stat: False
) -> Iterator[Stat]:
    """All that descend from a process, parents before children; without those whom `left_out`
    names and their descendants."""
    of_parent: dict[int, list[Stat]] = {}
    for pid in pids(proc):
        if (found := stat_of(pid, proc)) is not None:
            of_parent.setdefault(found.parent, []).append(found)
    waiting = [root]
    while waiting:
        for child in of_parent.pop(waiting.pop(), ()):
            if not left_out(child):
                yield child
                waiting.append(child.pid)


def family(root: int) -> set[int]:
    """The process `root`, what runs in the session that it leads, and all that descend from
    these."""
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
