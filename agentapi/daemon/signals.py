"""The signals a server answers to, from its first moment on.

They are taken before the slow imports: a SIGUSR1 that came early would otherwise end the process,
and a SIGTERM end it with the wrong status. What came early is answered once the loop runs.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_ANSWERED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class Signals:
    """Takes SIGTERM, SIGINT and SIGHUP (end) and SIGUSR1 (save) of this process, for good.

    SIGHUP stays ignored where it was, as `nohup` has it."""

    def __init__(self) -> None:
        self._early: list[int] = []
        self._save: Callable[[], None] = lambda: None
        self._ended_event: asyncio.Event | None = None
        nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._taken = [n for n in _ANSWERED if not (nohup and n == signal.SIGHUP)]
        for number in self._taken:
            signal.signal(number, self._note_early)

    def answer(self, save: Callable[[], None]) -> None:
        """From now on answer on the running loop: `save` at each SIGUSR1."""
        import asyncio

        self._save = save
        self._ended_event = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in self._taken:
            loop.add_signal_handler(number, self._answer, number)
        for early in self._early:
            self._answer(early)

    async def wait_for_end(self) -> None:
        """Wait for a signal to end."""
        assert self._ended_event is not None, "answer() comes first"
        await self._ended_event.wait()

    def _note_early(self, number: int, frame: FrameType | None) -> None:
        self._early.append(number)

    def _answer(self, number: int) -> None:
        if number == signal.SIGUSR1:
            self._save()
            return
        if self._ended_event is not None:
            self._ended_event.set()
