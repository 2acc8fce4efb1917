"""Server-sent events: their bytes on the wire, and the hub that publishes them.

One producer publishes, many subscribers read at their own pace. An event is encoded once, when the
first subscriber needs it, and all share the bytes. A slow subscriber costs a bounded queue: a newer
update of a message replaces the unsent one in place, so neither the status nor another message
overtakes text that belongs before it. A subscriber that lags `BACKLOG` events is closed.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from agentapi.model.conversation import Message, Notice, Status
from agentapi.model.encoding import BATCH, encode, rfc3339

BACKLOG = 1024
"""The maximum number of unsent events of a subscriber."""
FRAME_LIMIT = 128 * 1024 - 256
"""The maximum bytes of a frame of `/events`: the Go client's scanner gives up at 128 KiB."""
SCREEN_LIMIT = 256 * 1024
"""The maximum bytes of a frame of `/internal/screen`."""
_MARK = "\n\n[… cut here to fit one event; GET /messages has the whole message …]\n\n"


@dataclass(slots=True, eq=False)
class Event:
    """One server-sent event."""

    name: str
    body: Mapping[str, object]
    key: Hashable = None
    """A newer event replaces an unsent one with the same key; None replaces nothing."""
    long: str | None = None
    """The member of `body` to shorten in its middle if the frame would exceed `limit`."""
    limit: int = FRAME_LIMIT
    _frame: bytes | None = field(default=None, init=False, repr=False)

    @property
    def frame(self) -> bytes:
        """The event's bytes, `event: NAME\\ndata: JSON\\n\\n`; made once."""
        if self._frame is None:
            self._frame = self._encode()
        return self._frame

    def _encode(self) -> bytes:
        body = dict(self.body)
        overhead = len(f"event: {self.name}\ndata: \n\n")
        if self.long is not None:
            room = self.limit - overhead - len(encode({**body, self.long: ""}))
            body[self.long] = shorten(str(body[self.long]), room)
        return b"event: %b\ndata: %b\n\n" % (self.name.encode(), encode(body))


def message_event(message: Message) -> Event:
    """Create a `message_update`: a message is new or changed."""
    body = {
        "id": message.id,
        "role": message.role.value,
        "message": message.content,
        "time": rfc3339(message.time),
    }
    return Event("message_update", body, key=("message", message.id), long="message")


def status_event(status: Status, agent_type: str) -> Event:
    """Create a `status_change`."""
    return Event("status_change", {"status": status.value, "agent_type": agent_type})


def notice_event(notice: Notice) -> Event:
    """Create an `agent_error`."""
    body = {
        "message": notice.message,
        "level": notice.level.value,
        "time": rfc3339(notice.time),
    }
    return Event("agent_error", body, long="message")


def screen_event(text: str) -> Event:
    """Create a `screen` event, for `/internal/screen`."""
    return Event("screen", {"screen": text}, key="screen", long="screen", limit=SCREEN_LIMIT)


def shorten(text: str, room: int) -> str:
    """Replace the middle of a text by a visible mark if its JSON takes more than `room` bytes."""
    if len(text) * 6 <= room or (len(text) <= room and len(encode(text)) - 2 <= room):
        return text
    side = (room - len(encode(_MARK)) + 2) // 2
    return _head(text[:side], side) + _MARK + _tail(text[-side:], side)


def _head(text: str, room: int) -> str:
    escaped = encode(text)[1:-1]
    end = _boundary(escaped, room) if len(escaped) > room else len(escaped)
    return _unescape(escaped[:end])


def _tail(text: str, room: int) -> str:
    escaped = encode(text)[1:-1]
    start = max(0, len(escaped) - room)
    while _boundary(escaped, start) != start:
        start += 1
    return _unescape(escaped[start:])


def _unescape(escaped: bytes) -> str:
    return str(json.loads(b'"%b"' % escaped))


def _boundary(escaped: bytes, at: int) -> int:
    """Return the last offset up to `at` that splits neither a code point nor a JSON escape."""
    if at >= len(escaped):
        return len(escaped)
    while at > 0 and escaped[at] & 0xC0 == 0x80:
        at -= 1
    start = escaped.rfind(b"\\", max(0, at - 5), at)
    if start < 0:
        return at
    before = escaped[:start]
    if (start - len(before.rstrip(b"\\"))) % 2:
        return at  # the second of a pair: that escape is complete
    length = 6 if escaped[start + 1 : start + 2] == b"u" else 2
    return start if start + length > at else at


class Subscription:
    """One subscriber's events: a snapshot, then what is published."""

    def __init__(self, hub: EventHub, snapshot: Iterable[Event]) -> None:
        self._hub = hub
        self._snapshot = deque(snapshot)
        self._queue: OrderedDict[Hashable, Event] = OrderedDict()
        self._serial = 0
        self._waiter: asyncio.Future[None] | None = None
        self.closed = False
        self.overflowed = False
        self.on_overflow: Callable[[], None] | None = None
        """Called once when the subscriber lags too far: its writer may be stuck in a write that
        never ends."""

    async def take(self, at_most: int = BATCH) -> bytes:
        """Wait for frames and return them joined: at least one, about `at_most` bytes.

        Empty once the subscription is closed and all were taken."""
        while not self._snapshot and not self._queue:
            if self.closed:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._batch(at_most)

    def close(self) -> None:
        """End the subscription. Idempotent."""
        self.closed = True
        self._hub.remove(self)
        self._wake()

    def push(self, event: Event) -> bool:
        """Queue an event (called by the hub). Return whether it replaced an unsent one."""
        key = event.key
        if key is None:
            self._serial += 1
            key = self._serial
        replaced = key in self._queue
        if not replaced and len(self._queue) >= BACKLOG:
            self._overflow()
            return False
        self._queue[key] = event
        self._wake()
        return replaced

    def _batch(self, at_most: int) -> bytes:
        frames: list[bytes] = []
        size = 0
        while size < at_most and (event := self._pop()):
            frames.append(event.frame)
            size += len(event.frame)
        return b"".join(frames)

    def _pop(self) -> Event | None:
        if self._snapshot:
            return self._snapshot.popleft()
        return self._queue.popitem(last=False)[1] if self._queue else None

    def _overflow(self) -> None:
        self.overflowed = True
        self._snapshot.clear()
        self._queue.clear()
        self.close()
        if self.on_overflow is not None:
            self.on_overflow()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class EventHub:
    """Publishes events to all subscribers."""

    def __init__(self) -> None:
        self._subscribers: dict[Subscription, None] = {}
        self._closed = False
        self.published = 0
        self.replaced = 0
        """Unsent updates that a newer one replaced."""
        self.overflowed = 0
        """Subscribers closed because they lagged too far."""

    def __len__(self) -> int:
        return len(self._subscribers)

    def subscribe(self, snapshot: Iterable[Event] = ()) -> Subscription:
        """Subscribe to `snapshot`, then to all that is published from now on."""
        subscription = Subscription(self, snapshot)
        if self._closed:
            subscription.closed = True
        else:
            self._subscribers[subscription] = None
        return subscription

    def publish(self, event: Event) -> None:
        """Queue an event for all subscribers, without waiting."""
        self.published += 1
        for subscription in tuple(self._subscribers):
            if subscription.push(event):
                self.replaced += 1
            elif subscription.overflowed:
                self.overflowed += 1

    def remove(self, subscription: Subscription) -> None:
        """Remove a subscriber (called when a subscription closes)."""
        self._subscribers.pop(subscription, None)

    def end_subscriptions(self) -> None:
        """End the current subscriptions once they have taken their queues; allow new ones."""
        for subscription in tuple(self._subscribers):
            subscription.close()

    def close(self) -> None:
        """End all subscriptions once they have taken their queues; later ones end after their
        snapshot."""
        self._closed = True
        self.end_subscriptions()
