"""The processes that a process group still runs outside of itself.

A coding agent gives each command a session of its own, so that no signal to the agent's group
reaches it; when the agent dies the command would go on for ever, adopted by init. They are found as
descendants while their parents live, and held by pidfd, which never names anybody else. What has
detached itself from its parents on purpose (a daemon) is not found, and lives; so does what is to
be spared, as others use it too.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

from agentapi.processes.identity import Process, start_time
from agentapi.processes.tree import everybody, pids


class Strays:
    """Descendants of a group that left it. With `adopts` its leader is the parent of what lost its
    own, instead of init (a subreaper): such a child is no more found than one of init's. `spare`
    names processes that others use, too: they are not found, nor what they started."""

    def __init__(
        self,
        group: int,
        *,
        adopts: bool = False,
        spare: Callable[[int], bool] = lambda pid: False,
    ) -> None:
        self._group, self._adopts, self._spare = group, adopts, spare
        self._pidfds: dict[int, int] = {}

    def look(self) -> None:
        """Hold those that there are now, besides those held already."""
        for pid, started in strays(self._group, self._spare, self._adopts).items():
            if pid in self._pidfds:
                continue
            with contextlib.suppress(OSError):
                pidfd = os.pidfd_open(pid)
                if start_time(pid) == started:
                    self._pidfds[pid] = pidfd
                else:  # it ended meanwhile, and its number may be a stranger's
                    os.close(pidfd)

    def kill(self) -> None:
        """SIGKILL to all that are held; then none is."""
        for pidfd in self._pidfds.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
        self._pidfds.clear()


def kill_session(session: int) -> None:
    """SIGKILL whatever still belongs to the session of a program that ended but is not reaped
    (its number cannot have been given to another one)."""
    for pid in pids():
        if pid != session:
            with contextlib.suppress(OSError):
                _kill_member(pid, session)


def _kill_member(pid: int, session: int) -> None:
    if os.getsid(pid) != session:
        return
    with Process(pid) as process:
        if os.getsid(pid) == session:  # of the process that we hold now, whoever it was before
            process.signal(signal.SIGKILL)


def strays(group: int, spare: Callable[[int], bool], adopts: bool = False) -> dict[int, int]:
    """The pids of all descendants of the group's members that are not members themselves, each with
    the time at which it started."""
    children: dict[int, list[int]] = {}
    members: set[int] = set()
    times = {}
    for process in everybody():
        times[process.pid] = process.started
        children.setdefault(process.parent, []).append(process.pid)
        if process.group == group:
            members.add(process.pid)
    found: set[int] = set()
    waiting = list(members - {group} if adopts else members)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found and not spare(child):
                found.add(child)
                waiting.append(child)
    return {pid: times[pid] for pid in found - members}
