"""The conversation as its clients see it: messages with ids, and notices; saved, then published.

A new message is saved before its event is published. Updates of an agent's message are published at
once, then at most forty times a second, and saved at most once a second. An open question is shown
at the end of the agent's message, and never saved.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from agentapi.model.conversation import Level, Message, Notice, Role
from agentapi.session.events import Event, EventHub, message_event, notice_event
from agentapi.timing.throttle import EVENT_INTERVAL, Throttle

SAVE_INTERVAL = 1.0
"""Seconds that the saved state may lag behind the agent's message."""
NOTICES_KEPT = 100
LOGGED = 500
"""Characters of a notice that go to the log."""

log = logging.getLogger(__name__)


class History:
    """The messages, ids from 0 without gaps, and the last notices."""

    def __init__(
        self, hub: EventHub, clock: Callable[[], datetime], save: Callable[[], None]
    ) -> None:
        """`save` stores all messages, and reports failures as notices."""
        self.messages: list[Message] = []
        self.notices: deque[Notice] = deque(maxlen=NOTICES_KEPT)
        self._hub = hub
        self._clock = clock
        self._events: list[Event] = []
        self._question = ""
        self._question_id = ""
        self._publishing = Throttle(EVENT_INTERVAL, self._publish_last)
        self._saving = Throttle(SAVE_INTERVAL, save)

    @property
    def turn(self) -> int:
        """The number of user messages."""
        return sum(message.role is Role.USER for message in self.messages)

    @property
    def shown(self) -> tuple[Message, ...]:
        """The messages as clients see them: the last one ends with the open question."""
        if not self._question:
            return tuple(self.messages)
        return (*self.messages[:-1], self._with_question(self.messages[-1]))

    def replay(self) -> tuple[list[Event], list[Event]]:
        """Return the events of all messages, and those of the notices."""
        self.flush_events()
        return list(self._events), [notice_event(notice) for notice in self.notices]

    def restore(self, message: Message) -> None:
        """Add a message without saving or publishing it."""
        self.messages.append(message)
        self._events.append(message_event(self._with_question(message)))

    def add(self, role: Role, text: str) -> None:
        """Add a message. An open question moves after a user message."""
        question = self._question if role is Role.USER else ""
        if question:
            self.set_question("")
        self.flush_events()
        self.restore(Message(len(self.messages), role, text, self._clock()))
        self._saving.now()
        self._publish_last()
        if question:
            self.set_question(question)

    def set_question(self, question: str, dialog_id: str = "") -> None:
        """Set the text of the open question and the id of its dialog; empty when it is decided.
        After a user message it starts an agent message."""
        if (question, dialog_id) == (self._question, self._question_id):
            return
        self._question, self._question_id = question, dialog_id
        if question and (not self.messages or self.messages[-1].role is Role.USER):
            self.add(Role.AGENT, "")
        else:
            self._update_last()

    def set_agent_text(self, text: str) -> bool:
        """Set the whole text so far of the agent's last message. Return whether it changed."""
        last = self.messages[-1] if self.messages else None
        if last is None or last.role is not Role.AGENT:
            self.add(Role.AGENT, text)
            return True
        if text == last.content:
            return False
        self.messages[-1] = replace(last, content=text)
        self._update_last()
        self._saving.call()
        return True

    def set_text(self, number: int, text: str) -> None:
        """Replace the text of an agent message, which need not be the last."""
        if number == len(self.messages) - 1:
            self.set_agent_text(text)
            return
        before = self.messages[number]
        if before.role is Role.AGENT and before.content != text:
            self.messages[number] = replace(before, content=text)
            self._events[number] = message_event(self.messages[number])
            self._hub.publish(self._events[number])
            self._saving.call()

    def notice(self, level: Level, message: str) -> None:
        """Publish a notice outside the conversation."""
        notice = Notice(level, message, self._clock())
        self.notices.append(notice)
        log.log(logging.ERROR if level is Level.ERROR else logging.WARNING, "%s", message[:LOGGED])
        self._hub.publish(notice_event(notice))

    def clear(self) -> None:
        """Begin another conversation, for later subscribers."""
        self.messages.clear()
        self._events.clear()
        self._question = self._question_id = ""

    def flush_events(self) -> None:
        """Publish the update that is still throttled, if any."""
        self._publishing.flush()

    def flush_save(self) -> None:
        """Save now if a save is still throttled."""
        self._saving.flush()

    def save_now(self) -> None:
        """Publish and save everything now."""
        self.flush_events()
        self._saving.now()

    def close(self) -> None:
        """Save for the last time and stop the timers."""
        self.save_now()
        self._publishing.stop()
        self._saving.stop()

    def _with_question(self, message: Message) -> Message:
        if not self._question:
            return message
        prefix = f"{message.content}\n\n" if message.content else ""
        return replace(message, content=prefix + self._question)

    def _update_last(self) -> None:
        self._events[-1] = message_event(self._with_question(self.messages[-1]))
        self._publishing.call()

    def _publish_last(self) -> None:
        self._hub.publish(self._events[-1])
