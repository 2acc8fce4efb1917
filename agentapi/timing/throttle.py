"""Do a thing at once, then no more often than its interval, and never forget the last time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

EVENT_INTERVAL = 0.025
"""Seconds between two versions of anything that grows or changes before a reader's eyes: forty a
second are as many as anybody can tell apart."""


class Throttle:
    """Calls `action` at once when asked, then at most once per `interval` seconds.

    The last call always leads to an action, at the latest `interval` seconds after it. Nothing
    runs while nobody calls."""

    def __init__(self, interval: float, action: Callable[[], None]) -> None:
        self.interval = interval
        """Seconds; a change counts from the next action on."""
        self._action = action
        self._timer: asyncio.TimerHandle | None = None
        self._owed = False

    def call(self) -> None:
        """Ask for the action: now, or as soon as the interval allows."""
        if self._timer is not None:
            self._owed = True
            return
        self._run()

    def now(self) -> None:
        """Do it now, whatever the interval says."""
        self.stop()
        self._run()

    def flush(self) -> None:
        """Do now what is still owed, if anything."""
        if self._owed:
            self.now()

    def stop(self) -> None:
        """Forget what is owed."""
        self._owed = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.interval, self._due)
        self._action()

    def _due(self) -> None:
        self._timer = None
        if self._owed:
            self._owed = False
            self._run()
