"""The conversation as its clients see it: messages with ids, and notices; kept, then told.

A new message is saved before its event goes out. An agent's message that grows is told at once,
then at most forty times a second, and saved at most once a second. A question that is open is shown
at the end of the agent's message, and never kept.
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
"""Seconds that the kept state may lag behind a growing message."""
NOTICES_KEPT = 100
LOGGED = 500
"""Characters of a notice that go to the log."""

log = logging.getLogger(__name__)


class History:
    """The messages, ids from 0 without gaps, and the last notices."""

    def __init__(
        self, hub: EventHub, clock: Callable[[], datetime], save: Callable[[], None]
    ) -> None:
        """`save` keeps all messages; what it cannot, it tells by a notice."""
        self.messages: list[Message] = []
        self.notices: deque[Notice] = deque(maxlen=NOTICES_KEPT)
        self._hub = hub
        self._clock = clock
        self._events: list[Event] = []
        self._question = ""
        self._question_id = ""
        self._growth = Throttle(EVENT_INTERVAL, self._publish_last)
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
        """The events that make up the messages, and those of the notices."""
        self.settle()
        return list(self._events), [notice_event(notice) for notice in self.notices]

    def put_back(self, message: Message) -> None:
        """Add a message that is kept already, or that need not be: nobody is told."""
        self.messages.append(message)
        self._events.append(message_event(self._with_question(message)))

    def add(self, role: Role, text: str) -> None:
        """A new message. An open question moves behind one of the user's."""
        question = self._question if role is Role.USER else ""
        if question:
            self.ask("")
        self.settle()
        self.put_back(Message(len(self.messages), role, text, self._clock()))
        self._saving.now()
        self._publish_last()
        if question:
            self.ask(question)

    def ask(self, question: str, number: str = "") -> None:
        """What the agent asks, in words, under the number of its dialog; empty when it is decided.
        Until the agent has said anything since the user's last message, it is all that it says."""
        if (question, number) == (self._question, self._question_id):
            return
        self._question, self._question_id = question, number
        if question and (not self.messages or self.messages[-1].role is Role.USER):
            self.add(Role.AGENT, "")
        else:
            self._renew_last()

    def agent_text(self, text: str) -> bool:
        """The whole text, so far, of the agent's message after the last of the user's. Returns
        whether that is news."""
        last = self.messages[-1] if self.messages else None
        if last is None or last.role is not Role.AGENT:
            self.add(Role.AGENT, text)
            return True
        if text == last.content:
            return False
        self.messages[-1] = replace(last, content=text)
        self._renew_last()
        self._saving.call()
        return True

    def replace(self, number: int, text: str) -> None:
        """Other text for a message of the agent's, which need not be the last."""
        if number == len(self.messages) - 1:
            self.agent_text(text)
            return
        before = self.messages[number]
        if before.role is Role.AGENT and before.content != text:
            self.messages[number] = replace(before, content=text)
            self._events[number] = message_event(self.messages[number])
            self._hub.publish(self._events[number])
            self._saving.call()

    def notice(self, level: Level, message: str) -> None:
        """Tell the clients something besides the conversation."""
        notice = Notice(level, message, self._clock())
        self.notices.append(notice)
        log.log(logging.ERROR if level is Level.ERROR else logging.WARNING, "%s", message[:LOGGED])
        self._hub.publish(notice_event(notice))

    def clear(self) -> None:
        """Begin another conversation: whoever subscribes from now on is told of this one."""
        self.messages.clear()
        self._events.clear()
        self._question = self._question_id = ""

    def settle(self) -> None:
        """Tell what of a growing message was not told yet."""
        self._growth.flush()

    def keep(self) -> None:
        """Save what was not saved yet."""
        self._saving.flush()

    def keep_all(self) -> None:
        """Tell and save all, now."""
        self.settle()
        self._saving.now()

    def close(self) -> None:
        """Save for the last time; no timer is left."""
        self.keep_all()
        self._growth.stop()
        self._saving.stop()

    def _with_question(self, message: Message) -> Message:
        if not self._question:
            return message
        said = f"{message.content}\n\n" if message.content else ""
        return replace(message, content=said + self._question)

    def _renew_last(self) -> None:
        self._events[-1] = message_event(self._with_question(self.messages[-1]))
        self._growth.call()

    def _publish_last(self) -> None:
        self._hub.publish(self._events[-1])
