"""Adopt, reap and finally end orphaned descendants of this process.

An orphan is adopted by the nearest ancestor that is a child subreaper
(PR_SET_CHILD_SUBREAPER(2const)), else by init, where its origin is lost. As a subreaper, we keep
descendants that use a double fork or `setsid`.

Children whose starter waits for them must be marked with `mark_waited`; they are not reaped here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from agentapi.processes.tree import Family, Stat, children, stat_of

REAP_DELAY = 1.0
"""Seconds from the exit of a child to the next reaping, which handles many exits at once."""
LIMIT = 2.0
"""Seconds that killed processes have to exit."""
_PR_SET_CHILD_SUBREAPER = 36

_waited: set[Stat] = set()


def mark_waited(pid: int) -> None:
    """Mark a child that its starter waits for."""
    if (stat := stat_of(pid)) is not None:  # else it was already reaped
        _waited.add(stat)


class Orphans:
    """Adopts the orphans of this process until `end`. Create it on the event loop."""

    def __init__(self, family: Family, spare: Callable[[int], bool] = lambda pid: False) -> None:
        """`end` leaves processes running for which `spare` is true, as others use them, too."""
        _set_subreaper(True)
        self._family, self._spare = family, spare
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._child_ended = asyncio.Event()
        self._loop.add_signal_handler(signal.SIGCHLD, self._on_end)

    async def end(self, grace: float = 1.0) -> None:
        """Send SIGTERM to the rest of the family, and SIGKILL after `grace` seconds."""
        await self._signal_and_wait(signal.SIGTERM, grace)
        await self._signal_and_wait(signal.SIGKILL, LIMIT)
        _set_subreaper(False)
        self._loop.remove_signal_handler(signal.SIGCHLD)
        if self._timer is not None:
            self._timer.cancel()

    async def _signal_and_wait(self, number: signal.Signals, patience: float) -> None:
        signalled: set[int] = set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                # Twice: a process may be missed while it changes its parent.
                while left := self._running() or self._running():
                    for pid in left - signalled:
                        with contextlib.suppress(ProcessLookupError, PermissionError):
                            os.kill(pid, number)
                    signalled |= left
                    await self._child_ended.wait()

    def _running(self) -> set[int]:
        """Reap exited processes and return the running ones."""
        self._child_ended.clear()
        self._reap()
        members = self._family.members(self._spare)
        return {process.pid for process in members if process.state != "Z"}

    def _on_end(self) -> None:
        self._child_ended.set()
        if self._timer is None:
            self._timer = self._loop.call_later(REAP_DELAY, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._reap()

    def _reap(self) -> None:
        for child in children(self._family.root):
            if child.state == "Z" and child not in _waited:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(child.pid, os.WNOHANG)


def _set_subreaper(adopts: bool) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, *map(ctypes.c_ulong, (adopts, 0, 0, 0)))
