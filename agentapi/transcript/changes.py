"""The items of a transcript and the log of their changes.

Every change of an item has a sequence number. Numbers ascend, also across restarts (they start at
the clock's milliseconds). Subscribers have no queue: each keeps the number of the last change that
it received, and takes the latest state of the items that changed since, in the order of the
numbers. So a slow subscriber costs nothing, and a number is all that a client needs to resume.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from agentapi.model.encoding import BATCH, encode, rfc3339
from agentapi.model.items import Item, ItemSource, body

FRAMES_KEPT = 1 << 20
"""How many bytes of the latest encoded changes are cached for other subscribers."""


@dataclass(frozen=True, slots=True)
class TranscriptItem:
    """One item. Ids ascend from 1."""

    id: int
    turn: int
    time: datetime | None
    item: Item
    partial: bool
    source: ItemSource

    def wire(self) -> dict[str, object]:
        """Return the item as in `GET /transcript`."""
        return {
            "id": self.id,
            "turn": self.turn,
            "time": None if self.time is None else rfc3339(self.time),
            "kind": self.item.kind.value,
            "partial": self.partial,
            "source": self.source.value,
            **body(self.item),
        }


class Changes:
    """A log of item ids by ascending change numbers, with only the last change of each item."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._ids: list[int] = []
        self._last: dict[int, int] = {}  # the number of each id's last change
        self.first = self.latest = int(time.time() * 1000)
        """The numbers of this run are higher than `first`."""
        self.closed = False
        self._waiters: set[asyncio.Future[None]] = set()

    def add(self, item_id: int) -> None:
        """Log that an item appeared, changed or was withdrawn."""
        self.latest += 1
        self._last[item_id] = self.latest
        self._numbers.append(self.latest)
        self._ids.append(item_id)
        if len(self._numbers) > 2 * len(self._last) + 1000:
            self._compact()
        self._wake()

    def since(self, number: int) -> Iterator[tuple[int, int]]:
        """Yield (number, id) of each item's last change after `number`."""
        for position in range(bisect_right(self._numbers, number), len(self._numbers)):
            if self._last[self._ids[position]] == self._numbers[position]:
                yield self._numbers[position], self._ids[position]

    async def wait(self, number: int) -> None:
        """Wait for a change after `number`, or for the end of all changes."""
        while self.latest <= number and not self.closed:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def close(self) -> None:
        """End the log and wake all waiters."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _compact(self) -> None:
        kept = sorted((number, item_id) for item_id, number in self._last.items())
        self._numbers = [number for number, _ in kept]
        self._ids = [item_id for _, item_id in kept]


class EncodedChanges:
    """Encodes changes as server-sent events, once for all subscribers that keep up."""

    def __init__(self, find: Callable[[int], TranscriptItem | None]) -> None:
        self._find = find
        self._kept: dict[int, tuple[int, bytes]] = {}  # by id: a change's number and frame
        self._size = 0

    def get(self, number: int, item_id: int) -> bytes:
        """Return the frame of an item's last change, which has this number."""
        kept = self._kept.get(item_id)
        if kept is not None and kept[0] == number:
            return kept[1]
        encoded = frame(number, item_id, self._find(item_id))
        self._drop(item_id)
        self._kept[item_id] = (number, encoded)
        self._size += len(encoded)
        while self._size > FRAMES_KEPT:
            self._drop(next(iter(self._kept)))
        return encoded

    def _drop(self, item_id: int) -> None:
        if item_id in self._kept:
            self._size -= len(self._kept.pop(item_id)[1])


class TranscriptSubscription:
    """One subscriber. Its only state is a change number."""

    on_overflow: Callable[[], None] | None = None
    """Never called: there is no queue to overflow."""

    def __init__(
        self,
        changes: Changes,
        frames: EncodedChanges,
        after: int | None,
    ) -> None:
        self._changes = changes
        self._frames = frames
        self._closed = False
        # A number of an earlier run is no position in this one's log: all changes are sent.
        known = after is not None and changes.first <= after <= changes.latest
        self._after = after if known and after is not None else 0

    async def take(self, at_most: int = BATCH) -> bytes:
        """Return the next frames, joined: at least one, about `at_most` bytes. Empty at the end."""
        while not self._closed:
            if frames := self._batch(at_most):
                return frames
            if self._changes.closed:
                break
            await self._changes.wait(max(self._after, self._changes.first))
        return b""

    def close(self) -> None:
        """End the subscription."""
        self._closed = True

    def _batch(self, at_most: int) -> bytes:
        frames: list[bytes] = []
        size = 0
        for number, item_id in self._changes.since(self._after):
            frames.append(self._frames.get(number, item_id))
            self._after = number
            size += len(frames[-1])
            if size >= at_most:
                break
        return b"".join(frames)


def frame(number: int, item_id: int, item: TranscriptItem | None) -> bytes:
    """Encode a change as an `item` event, or as `withdrawn` if there is no such item any more."""
    name, data = ("item", item.wire()) if item is not None else ("withdrawn", {"id": item_id})
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, name.encode(), encode(data))
