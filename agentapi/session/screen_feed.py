"""The screen for those who look at it: the last one at once, then no more than forty a second."""

from __future__ import annotations

from collections.abc import Callable

from agentapi.session.events import EventHub, Subscription, screen_event
from agentapi.timing.throttle import EVENT_INTERVAL, Throttle


class ScreenFeed:
    """Tells subscribers each change of the screen; while there are none it is not even read."""

    def __init__(self, read: Callable[[], str]) -> None:
        """`read` gives the screen as text."""
        self._read = read
        self._hub = EventHub()
        self._changes = Throttle(EVENT_INTERVAL, self._publish)
        self._shown = ""

    def __len__(self) -> int:
        """The number of subscribers."""
        return len(self._hub)

    def subscribe(self) -> Subscription:
        """The screen now, then each change of it."""
        return self._hub.subscribe([screen_event(self._read().rstrip())])

    def changed(self) -> None:
        """There is a new frame."""
        if self._hub:
            self._changes.call()

    def close(self) -> None:
        """End all subscriptions."""
        self._hub.close()
        self._changes.stop()

    def _publish(self) -> None:
        screen = self._read().rstrip()
        if screen != self._shown:
            self._shown = screen
            self._hub.publish(screen_event(screen))
