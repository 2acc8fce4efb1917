"""Publishes the screen: the current one at once, then at most forty a second."""

from __future__ import annotations

from collections.abc import Callable

from agentapi.session.events import EventHub, Subscription, screen_event
from agentapi.timing.throttle import EVENT_INTERVAL, Throttle


class ScreenFeed:
    """Publishes each change of the screen. Without subscribers it is not even read."""

    def __init__(self, read: Callable[[], str]) -> None:
        """`read` returns the screen as text."""
        self._read = read
        self._hub = EventHub()
        self._changes = Throttle(EVENT_INTERVAL, self._publish)
        self._shown = ""

    def __len__(self) -> int:
        """The number of subscribers."""
        return len(self._hub)

    def subscribe(self) -> Subscription:
        """Subscribe to the current screen and each change of it."""
        return self._hub.subscribe([screen_event(self._read().rstrip())])

    def changed(self) -> None:
        """Note a new frame."""
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
