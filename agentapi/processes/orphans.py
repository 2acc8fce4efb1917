"""What our children leave behind when they end: adopted, reaped, and ended with us.

A process that loses its parent goes to the nearest ancestor that adopts (a child subreaper,
PR_SET_CHILD_SUBREAPER(2const)), else to init, where nothing would say any more whose it was. So no
descendant of ours gets away from us by a double fork or by `setsid`.

Who starts a child and waits for it must name it with `own`: it is not reaped here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from agentapi.processes.tree import Family, Stat, children, stat_of

REAP_DELAY = 1.0
"""Seconds from the end of a child to the look for what is to be reaped: one look for many ends."""
LIMIT = 2.0
"""Seconds that killed processes have to end."""
_PR_SET_CHILD_SUBREAPER = 36

_own: set[Stat] = set()


def own(pid: int) -> None:
    """A child was started that its starter waits for."""
    if (stat := stat_of(pid)) is not None:  # else it was waited for already
        _own.add(stat)


class Orphans:
    """Adopts the orphans of this process until `end`. To be made on the event loop."""

    def __init__(self, family: Family, spare: Callable[[int], bool] = lambda pid: False) -> None:
        """`spare` names processes that others use, too: `end` leaves them."""
        _adopt(True)
        self._family, self._spare = family, spare
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._child_ended = asyncio.Event()
        self._loop.add_signal_handler(signal.SIGCHLD, self._on_end)

    async def end(self, grace: float = 1.0) -> None:
        """SIGTERM to all that is left of the family, SIGKILL after `grace` seconds."""
        await self._end_by(signal.SIGTERM, grace)
        await self._end_by(signal.SIGKILL, LIMIT)
        _adopt(False)
        self._loop.remove_signal_handler(signal.SIGCHLD)
        if self._timer is not None:
            self._timer.cancel()

    async def _end_by(self, number: signal.Signals, patience: float) -> None:
        signalled: set[int] = set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                # Twice: one that loses its parent while we look may be seen with neither.
                while left := self._left() or self._left():
                    for pid in left - signalled:
                        with contextlib.suppress(ProcessLookupError, PermissionError):
                            os.kill(pid, number)
                    signalled |= left
                    await self._child_ended.wait()

    def _left(self) -> set[int]:
        """Those that still run, after the others were reaped."""
        self._child_ended.clear()
        self._reap()
        members = self._family.members(self._spare)
        return {process.pid for process in members if process.state != "Z"}

    def _on_end(self) -> None:
        self._child_ended.set()
        if self._timer is None:
            self._timer = self._loop.call_later(REAP_DELAY, self._look)

    def _look(self) -> None:
        self._timer = None
        self._reap()

    def _reap(self) -> None:
        for child in children(self._family.root):
            if child.state == "Z" and child not in _own:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(child.pid, os.WNOHANG)


def _adopt(adopts: bool) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, *map(ctypes.c_ulong, (adopts, 0, 0, 0)))
