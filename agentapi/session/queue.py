"""Messages that wait until the agent is idle: ordered, bounded, saved across restarts.

    waiting --take--> sending --arrived--> gone (it is in the conversation)
                         |--put_back--> waiting   nothing was typed: the agent was busy after all
                         `--fail-----> failed     it did not arrive, or may not have
    waiting, failed --cancel--> gone

No message is sent twice. `sending` is saved before the first key is pressed, with the number of
messages in the conversation. If the daemon is killed then, the next start looks for the message in
the conversation. It is removed if it is there; otherwise the agent may or may not have it, and it
is `failed`.

A failed message holds up those after it, which may depend on it, until it is cancelled.
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
"""The maximum number of waiting messages."""
BYTES_LIMIT = 4 * 1024 * 1024
"""The maximum size of all waiting messages, in bytes of UTF-8."""
UNKNOWN = "the server ended while it was being sent: the agent may have it or not"


class QueueFull(Exception):
    """No room for another message. The text says what to do."""


class BeingSent(Exception):
    """The message is being sent, so it cannot be cancelled."""


class Step(StrEnum):
    """The state of a queued message."""

    WAITING = "waiting"
    SENDING = "sending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Queued:
    """One message of the queue."""

    id: int
    """Ascending, never reused."""
    content: str
    time: datetime
    """When it was queued, aware, UTC."""
    step: Step = Step.WAITING
    error: str = ""
    """Why it failed."""
    messages: int = 0
    """While it is sent: the number of messages in the conversation before."""


class MessageQueue:
    """The queue itself. The outbox does the sending."""

    def __init__(self) -> None:
        self._items: list[Queued] = []
        self._next = 1

    def __len__(self) -> int:
        return len(self._items)

    @property
    def items(self) -> tuple[Queued, ...]:
        """The messages, next one first."""
        return tuple(self._items)

    @property
    def due(self) -> Queued | None:
        """The message to send when the agent is idle; None while one is being sent, or a failed one
        holds up the others."""
        first = self._items[0] if self._items else None
        return first if first is not None and first.step is Step.WAITING else None

    def add(self, content: str, time: datetime) -> Queued:
        """Append a message. Raises `QueueFull`."""
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
        """Remove a message. Raises `LookupError`, or `BeingSent` if it is being sent."""
        for item in self._items:
            if item.id == id:
                if item.step is Step.SENDING:
                    raise BeingSent(f"the message {id} is being sent")
                self._items.remove(item)
                return
        raise LookupError(f"no message {id} is queued: it was sent or cancelled, or never was")

    def clear(self) -> None:
        """Remove all messages. Their ids are not reused."""
        self._items.clear()

    def take(self, messages: int) -> Queued:
        """Mark the due message as `sending` and return it. Save the state before the first key."""
        item = self.due
        assert item is not None
        return self._put(item.id, replace(item, step=Step.SENDING, messages=messages))

    def arrived(self, text: str) -> None:
        """Note a new user message in the conversation: remove it if it was being sent."""
        self._items[:1] = [
            item
            for item in self._items[:1]
            if item.step is not Step.SENDING or item.content != text
        ]

    def put_back(self, item: Queued) -> None:
        """Let a message wait again: nothing of it was typed."""
        self._put(item.id, replace(item, step=Step.WAITING, messages=0))

    def fail(self, item: Queued, error: str) -> None:
        """Mark a message as failed: it did not arrive, or may not have."""
        self._put(item.id, replace(item, step=Step.FAILED, error=error, messages=0))

    def _put(self, id: int, item: Queued) -> Queued:
        self._items = [item if old.id == id else old for old in self._items]
        return item

    # -- across restarts -------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return the queue as JSON values; empty before its first use."""
        if self._next == 1:
            return {}
        return {"next": self._next, "items": [_as_json(item) for item in self._items]}

    def restore(self, state: object, messages: Sequence[Message]) -> list[str]:
        """Restore an earlier run's `state`, given the conversation so far. Return warnings for the
        clients, also about what cannot be read. Never raises for that."""
        if state is None:
            return []
        found, warnings = _parse(state)
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
    """Whether the message is among the later ones. White space is ignored: a conversation restored
    from the agent's own files may differ in it."""
    text = squeeze(item.content)
    return any(
        message.role is Role.USER and squeeze(message.content) == text
        for message in messages[item.messages :]
    )


def _as_json(item: Queued) -> dict[str, Any]:
    encoded: dict[str, Any] = {
        "id": item.id,
        "content": item.content,
        "time": rfc3339(item.time),
        "step": item.step.value,
    }
    if item.step is Step.SENDING:
        encoded["messages"] = item.messages
    if item.error:
        encoded["error"] = item.error
    return encoded


def _parse(state: object) -> tuple[list[Queued], list[str]]:
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
