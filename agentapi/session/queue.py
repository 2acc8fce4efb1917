"""Messages that wait for the agent to be idle: in order, bounded, kept over restarts.

    waiting --take--> sending --arrived--> gone (it is in the conversation)
                         |--put_back--> waiting   nothing was typed: the agent was busy after all
                         `--fail-----> failed     it did not arrive, or nobody knows
    waiting, failed --cancel--> gone

No message is sent twice. `sending` is kept before the first key is pressed, with the number of
messages that the conversation had then. A daemon that is killed in between finds the message in
the conversation when it starts again, and forgets it; else nobody knows whether the agent has it,
and it is `failed`.

A failed message holds what stands behind it, which may build upon it, until somebody cancels it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from agentapi.model.comparison import squeeze
from agentapi.model.conversation import Message, Role
from agentapi.model.encoding import parse_rfc3339, rfc3339

COUNT_LIMIT = 100
"""Messages that may wait."""
BYTES_LIMIT = 4 * 1024 * 1024
"""Bytes (UTF-8) of all waiting messages."""
UNKNOWN = "the server ended while it was being sent: the agent may have it or not"


class QueueFull(Exception):
    """No room for another message; the text says what to do."""


class BeingSent(Exception):
    """Too late to cancel."""


class Step(StrEnum):
    """How far a queued message is."""

    WAITING = "waiting"
    SENDING = "sending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Queued:
    """One message of the queue."""

    id: int
    """Grows, and is never used again."""
    content: str
    time: datetime
    """When it was queued, aware, UTC."""
    step: Step = Step.WAITING
    error: str = ""
    """Why it failed."""
    messages: int = 0
    """While it is sent: how many messages the conversation had before."""


class MessageQueue:
    """The queue itself; who sends, and when, is the session's business."""

    def __init__(self) -> None:
        self._items: list[Queued] = []
        self._next = 1

    def __len__(self) -> int:
        return len(self._items)

    @property
    def items(self) -> tuple[Queued, ...]:
        """The messages, the next one first."""
        return tuple(self._items)

    @property
    def due(self) -> Queued | None:
        """The message that goes out when the agent is idle; None while one is on its way, or one
        that failed holds the others."""
        first = self._items[0] if self._items else None
        return first if first is not None and first.step is Step.WAITING else None

    def add(self, content: str, time: datetime) -> Queued:
        """Put a message at the end. Raises `QueueFull`."""
        if len(self._items) >= COUNT_LIMIT:
            raise QueueFull(f"{COUNT_LIMIT} messages wait already: {_REMEDY}")
        size = sum(_size(item.content) for item in self._items) + _size(content)
        if size > BYTES_LIMIT:
            raise QueueFull(f"the waiting messages would exceed {BYTES_LIMIT} bytes: {_REMEDY}")
        item = Queued(self._next, content, time)
        self._next += 1
        self._items.append(item)
        return item

    def cancel(self, id: int) -> None:
        """Forget a message. Raises `LookupError`, and `BeingSent` when it is on its way."""
        for item in self._items:
            if item.id == id:
                if item.step is Step.SENDING:
                    raise BeingSent(f"the message {id} is being sent")
                self._items.remove(item)
                return
        raise LookupError(f"no message {id} is queued: it was sent or cancelled, or never was")

    def clear(self) -> None:
        """Forget all messages; their ids are not used again."""
        self._items.clear()

    def take(self, messages: int) -> Queued:
        """The due message, from now on `sending`. Keep the state before the first key."""
        item = self.due
        assert item is not None
        return self._put(item.id, replace(item, step=Step.SENDING, messages=messages))

    def arrived(self, text: str) -> None:
        """A user message entered the conversation: if it is the one on its way, it is out."""
        self._items[:1] = [
            item
            for item in self._items[:1]
            if item.step is not Step.SENDING or item.content != text
        ]

    def put_back(self, item: Queued) -> None:
        """Nothing of it was typed: it waits again."""
        self._put(item.id, replace(item, step=Step.WAITING, messages=0))

    def fail(self, item: Queued, error: str) -> None:
        """It did not arrive, or nobody knows."""
        self._put(item.id, replace(item, step=Step.FAILED, error=error, messages=0))

    def _put(self, id: int, item: Queued) -> Queued:
        self._items = [item if old.id == id else old for old in self._items]
        return item

    # -- over restarts -------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The queue as JSON values; nothing before it is first used."""
        if self._next == 1:
            return {}
        return {"next": self._next, "items": [_as_json(item) for item in self._items]}

    def restore(self, state: object, messages: Sequence[Message]) -> list[str]:
        """Go on from an earlier run's `state`, given the conversation as it is known now; what
        the clients should be told. What cannot be read is told, never raised."""
        if state is None:
            return []
        found, warnings = _parsed(state)
        for item in found:
            if item.step is not Step.SENDING:
                self._items.append(item)
            elif not _in_conversation(item, messages):
                self._items.append(replace(item, step=Step.FAILED, error=UNKNOWN, messages=0))
                warnings.append(
                    f"the queued message {item.id} is not sent again: {UNKNOWN}. Cancel it"
                    " (DELETE /queue/ID) to let the queue go on, and queue it anew if it is needed"
                )
        known = state.get("next") if isinstance(state, Mapping) else None
        ids = [item.id + 1 for item in found]
        self._next = max([1, *ids, known if isinstance(known, int) else 1])
        return warnings


_REMEDY = "wait until the agent has taken one, or cancel one (DELETE /queue/ID)"


def _size(content: str) -> int:
    return len(content.encode("utf-8", "replace"))


def _in_conversation(item: Queued, messages: Sequence[Message]) -> bool:
    """Whether the message is among those that came since. Blanks do not count: a conversation
    that was recalled from the agent's own files may have others."""
    words = squeeze(item.content)
    return any(
        message.role is Role.USER and squeeze(message.content) == words
        for message in messages[item.messages :]
    )


def _as_json(item: Queued) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": item.id,
        "content": item.content,
        "time": rfc3339(item.time),
        "step": item.step.value,
    }
    if item.step is Step.SENDING:
        made["messages"] = item.messages
    if item.error:
        made["error"] = item.error
    return made


def _parsed(state: object) -> tuple[list[Queued], list[str]]:
    items = state.get("items") if isinstance(state, Mapping) else None
    if not isinstance(items, list):
        return [], ["the queue of the last run could not be read: it starts empty"]
    found: list[Queued] = []
    warnings: list[str] = []
    for number, value in enumerate(items):
        try:
            item = _item(value)
            if found and item.id <= found[-1].id:
                raise ValueError(f"its id {item.id} is not above the one before it")
            found.append(item)
        except (KeyError, TypeError, ValueError) as error:
            warnings.append(f"message {number} of the last run's queue is lost: {error!r:.200}")
    return found, warnings


def _item(value: Any) -> Queued:
    id, content, messages = value["id"], value["content"], value.get("messages", 0)
    counts = isinstance(id, int) and isinstance(messages, int) and id > 0 and messages >= 0
    if not counts or not isinstance(content, str):
        raise ValueError("it has no id, no text or no count")
    return Queued(
        id=id,
        content=content,
        time=parse_rfc3339(value["time"]),
        step=Step(value["step"]),
        error=str(value.get("error", "")),
        messages=messages,
    )
