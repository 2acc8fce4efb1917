"""Find and kill descendants of a process group that have left the group.

A coding agent runs each command in its own session, so signals to the agent's group do not reach
it. When the agent dies, the command would be adopted by init and run forever. Descendants are found
while their parents live, and held by pidfd, which is never reused. Daemons that detached themselves
are not found and survive, as do spared processes that others use, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

from agentapi.processes.identity import Process, start_time
from agentapi.processes.tree import all_processes, pids


class Strays:
    """Descendants that have left their group. With `adopts`, the leader is a subreaper; like those
    of init, its adopted children are not found. Processes for which `spare` is true, and their
    descendants, are not found either."""

    def __init__(
        self,
        group: int,
        *,
        adopts: bool = False,
        spare: Callable[[int], bool] = lambda pid: False,
    ) -> None:
        self._group, self._adopts, self._spare = group, adopts, spare
        self._pidfds: dict[int, int] = {}

    def update(self) -> None:
        """Hold the current ones, in addition to those already held."""
        for pid, started in strays(self._group, self._spare, self._adopts).items():
            if pid in self._pidfds:
                continue
            with contextlib.suppress(OSError):
                pidfd = os.pidfd_open(pid)
                if start_time(pid) == started:
                    self._pidfds[pid] = pidfd
                else:  # it has ended, and its pid may have been reused
                    os.close(pidfd)

    def kill(self) -> None:
        """Send SIGKILL to all held processes and release them."""
        for pidfd in self._pidfds.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
        self._pidfds.clear()


def kill_session(session: int) -> None:
    """Kill the rest of the session of a program that has ended but is not reaped (so its pid cannot
    have been reused)."""
    for pid in pids():
        if pid != session:
            with contextlib.suppress(OSError):
                _kill_member(pid, session)


def _kill_member(pid: int, session: int) -> None:
    if os.getsid(pid) != session:
        return
    with Process(pid) as process:
        if os.getsid(pid) == session:  # check again now that the pid cannot be reused
            process.signal(signal.SIGKILL)


def strays(group: int, spare: Callable[[int], bool], adopts: bool = False) -> dict[int, int]:
    """Return the pids and start times of all descendants of the group that are not its members."""
    children: dict[int, list[int]] = {}
    members: set[int] = set()
    times = {}
    for process in all_processes():
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
