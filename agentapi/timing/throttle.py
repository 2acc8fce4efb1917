"""Run an action at once, then at most once per interval; the last call is never dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

EVENT_INTERVAL = 0.025
"""Seconds between two updates of the same text or screen: people cannot tell more than forty a
second apart."""


class Throttle:
    """Runs `action` at once when called, then at most once per `interval` seconds.

    The last call always runs the action, at the latest `interval` seconds later. Without calls
    nothing runs."""

    def __init__(self, interval: float, action: Callable[[], None]) -> None:
        self.interval = interval
        """Seconds; a change takes effect at the next action."""
        self._action = action
        self._timer: asyncio.TimerHandle | None = None
        self._pending = False

    def call(self) -> None:
        """Run the action now, or as soon as the interval allows."""
        if self._timer is not None:
            self._pending = True
            return
        self._run()

    def now(self) -> None:
        """Run the action now, regardless of the interval."""
        self.stop()
        self._run()

    def flush(self) -> None:
        """Run the action now if it is pending."""
        if self._pending:
            self.now()

    def stop(self) -> None:
        """Drop a pending action."""
        self._pending = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.interval, self._due)
        self._action()

    def _due(self) -> None:
        self._timer = None
        if self._pending:
            self._pending = False
            self._run()
