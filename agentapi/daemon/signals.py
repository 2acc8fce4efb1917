"""Signal handling of the server, from its start on.

Handlers are installed before the slow imports: an early SIGUSR1 would otherwise end the process,
and a SIGTERM end it with the wrong status. Early signals are handled once the loop runs.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class Signals:
    """Handles SIGTERM, SIGINT and SIGHUP (end) and SIGUSR1 (save) of this process from now on.

    SIGHUP stays ignored if it was, as under `nohup`."""

    def __init__(self) -> None:
        self._early: list[int] = []
        self._save: Callable[[], None] = lambda: None
        self._end: asyncio.Event | None = None
        nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._numbers = [n for n in _HANDLED if not (nohup and n == signal.SIGHUP)]
        for number in self._numbers:
            signal.signal(number, self._note_early)

    def attach(self, save: Callable[[], None]) -> None:
        """Handle signals on the running loop: call `save` at each SIGUSR1."""
        import asyncio

        self._save = save
        self._end = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in self._numbers:
            loop.add_signal_handler(number, self._handle, number)
        for early in self._early:
            self._handle(early)

    async def wait_for_end(self) -> None:
        """Wait for a signal that ends the server."""
        assert self._end is not None, "call attach() first"
        await self._end.wait()

    def _note_early(self, number: int, frame: FrameType | None) -> None:
        self._early.append(number)

    def _handle(self, number: int) -> None:
        if number == signal.SIGUSR1:
            self._save()
            return
        if self._end is not None:
            self._end.set()
