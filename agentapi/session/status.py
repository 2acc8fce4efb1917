"""The wire's status, `running` or `stable`, as the subscribers see it."""

from __future__ import annotations

import asyncio

from agentapi.model.conversation import Status
from agentapi.session.events import Event, EventHub, status_event
from agentapi.session.history import History
from agentapi.session.stats import SessionStats


class StatusLine:
    """The status of one session. Pending text is published before a new status."""

    def __init__(
        self, hub: EventHub, history: History, stats: SessionStats, agent_type: str
    ) -> None:
        self._hub, self._history, self._stats = hub, history, stats
        self._agent_type = agent_type
        self._text_at: float | None = None
        self.now = Status.RUNNING

    @property
    def event(self) -> Event:
        """The status as an event."""
        return status_event(self.now, self._agent_type)

    def text_changed(self) -> None:
        """Note that the agent's text changed."""
        self._text_at = asyncio.get_running_loop().time()

    def change(self, status: Status, in_turn: bool) -> None:
        """Publish a status if it changed. `in_turn`: there was a user message."""
        if status is self.now:
            return
        self._history.flush_events()
        self.now = status
        if status is Status.STABLE:
            if self._text_at is not None and in_turn:
                self._stats.done.add(asyncio.get_running_loop().time() - self._text_at)
            self._history.flush_save()
        self._hub.publish(self.event)
