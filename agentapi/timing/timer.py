"""A deadline on the event loop that can be set, moved and cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timer:
    """Calls `action` once `delay` seconds after it was set.

    `start` leaves a running timer alone. `restart` moves its deadline, but never by more than
    `limit` seconds beyond the first one. `soon` fires now, but not again within `delay` seconds,
    nor for more than a quarter of the time: then it fires at the end of the pause.
    """

    def __init__(
        self, delay: float, action: Callable[[], None], limit: float | None = None
    ) -> None:
        self._delay, self._action, self._limit = delay, action, limit
        self._handle: asyncio.TimerHandle | None = None
        self._first = 0.0
        self._firing = False
        self._last = float("-inf")
        self._cost = 0.0
        """Seconds that the last action took."""

    def start(self, delay: float | None = None) -> None:
        """Set the deadline unless it is set; `delay` overrides the default once."""
        if self._handle is None:
            loop = asyncio.get_running_loop()
            if not self._firing:
                self._first = loop.time()
            self._handle = loop.call_later(self._delay if delay is None else delay, self._fire)

    def again(self, delay: float) -> None:
        """Set the deadline to `delay` seconds from now, whatever it was."""
        self.cancel()
        self.start(delay)

    @property
    def elapsed(self) -> float:
        """Seconds since the deadline was first set; setting it again in the action does not reset
        this."""
        return asyncio.get_running_loop().time() - self._first

    def restart(self) -> None:
        """Set or move the deadline."""
        if self._handle is None:
            self.start()
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + self._delay
        if self._limit is not None:
            due = min(due, self._first + self._limit)
        if due <= self._handle.when():
            return  # it may be about to fire: a flood of restarts must not postpone it
        self._handle.cancel()
        self._handle = loop.call_at(due, self._fire)

    def soon(self) -> None:
        """Fire now, or when the pause since the last action ends."""
        if self._handle is None:
            loop = asyncio.get_running_loop()
            due = self._last + max(self._delay, 4 * self._cost)
            if loop.time() >= due:
                self._fire()
            else:
                self._handle = loop.call_at(due, self._fire)

    def cancel(self) -> None:
        """Cancel the deadline."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        self._firing = True
        try:
            self._action()
        finally:
            self._firing = False
            self._cost = loop.time() - self._last
