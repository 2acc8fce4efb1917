"""The transcript of a session: what was said and done, each item with an id that stays.

Exact sources (Codex's rollout; later the link and ACP) put items by their place in what the source
tells; the screen fills in what no exact source has told yet:

    ids      1 … n                                    n + 1
             exact items, as the source orders them   the end of the screen's text, partial

The item behind the last exact one is always the screen's: what it shows beyond the exact items
while the agent works. The next exact item takes that id, whichever it is; when it is no message,
the partial text moves behind it. So ids need not be kept anywhere: a source that tells the same
again after a restart gives the same ids. Without any exact source (other agents than Codex, or
before the source is known) all items are the screen's, one for each message.

Where a link tells the agent's messages live, they are what is behind the last exact item, and not
the screen's (`agentapi.transcript_live`); the exact item of each takes its place, and its id.

Every change of an item has a sequence number, which grows with each and also over restarts (it
begins at the clock's milliseconds). A subscriber is not queued for: it has the number of the last
change that it got, and is given the newest state of what changed since, in the order of the
numbers. So a slow one costs nothing, and a number is all that a client needs to go on later.

A source is written for `Transcript.open`: it puts `Entry` values, tells the usage, and closes.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from agentapi.conversation.model import Message, Role
from agentapi.events import BATCH, encode, rfc3339
from agentapi.throttle import Throttle
from agentapi.transcript_items import AgentMessage, Entry, Item, Source, Turn, UserMessage, body
from agentapi.transcript_live import Live
from agentapi.transcript_tail import Tail

INTERVAL = 0.025
"""Seconds between two changes of a partial item."""


@dataclass(frozen=True, slots=True)
class TranscriptItem:
    """One item. Ids ascend from 1."""

    id: int
    turn: int
    time: datetime | None
    item: Item
    partial: bool
    source: Source

    def wire(self) -> dict[str, object]:
        """The item as `GET /transcript` has it."""
        return {
            "id": self.id,
            "turn": self.turn,
            "time": None if self.time is None else rfc3339(self.time),
            "kind": self.item.kind.value,
            "partial": self.partial,
            "source": self.source.value,
            **body(self.item),
        }


class TranscriptSource(Protocol):
    """What feeds a transcript beside the screen, from the event loop's thread."""

    def bind(self, transcript: Transcript) -> None:
        """Called once, before the agent starts: from now on, tell."""

    async def stop(self) -> None:
        """Called when the agent has ended."""


class Transcript:
    """The items, and the changes of them. Lives on one event loop."""

    def __init__(self, *, opening: bool = False) -> None:
        """`opening`: the first message of the screen is the start-up screen, which is no item."""
        self.usage: dict[str, object] | None = None
        """Tokens, context, rate limits, where a source tells (`agentapi.codex.rollout_usage`)."""
        self._opening = opening
        self._items: list[TranscriptItem] = []
        self._exact = 0  # how many of them an exact source told
        self._feed: Feed | None = None
        self._tail = Tail()
        self._live = Live()
        self._turn_open = False  # whether the exact items are within a turn
        self._listener: Callable[[list[int]], None] = lambda ids: None
        self._told = 0
        self._screen: Sequence[Message] = ()
        self._working = False
        self._changes = Changes()
        self._growth = Throttle(INTERVAL, self._show_screen)

    # -- reading -----------------------------------------------------------------------------

    @property
    def items(self) -> tuple[TranscriptItem, ...]:
        """All items."""
        return tuple(self._items)

    def page(self, after: int = 0, limit: int | None = None) -> tuple[list[TranscriptItem], int]:
        """Up to `limit` items behind the id `after`, and what to ask for next: the last id."""
        self._growth.flush()
        found = self._items[max(0, after) :][:limit]
        return found, found[-1].id if found else after

    def subscribe(self, after: int | None = None) -> TranscriptSubscription:
        """All changes behind the number `after` (all items without it), then what changes."""
        return TranscriptSubscription(self._changes, self._find, after)

    def behind(self, item_id: int) -> list[TranscriptItem]:
        """The items with higher ids, as they stand."""
        return self._items[item_id:]

    def flush(self) -> None:
        """Show what of the screen's or the link's text is not shown yet."""
        self._growth.flush()

    def watch(self, listener: Callable[[list[int]], None]) -> None:
        """Tell `listener` the ids of items that changed, each time, when all of them have."""
        self._listener = listener

    def close(self) -> None:
        """End all subscriptions."""
        self._growth.stop()
        self._changes.close()

    # -- exact sources -----------------------------------------------------------------------

    def open(self, source: Source) -> Feed:
        """A source begins to tell of a session: its entries come behind all exact items so far.
        What the screen said until now is what the source is about to tell."""
        self._feed = Feed(self, source, self._exact)
        return self._feed

    def _put(self, feed: Feed, entries: Iterable[Entry]) -> None:
        for entry in entries:
            number = feed.base + entry.index
            made = TranscriptItem(
                number + 1,
                feed.turns + entry.turn,
                entry.time,
                entry.item,
                entry.partial,
                feed.source,
            )
            if number >= self._exact:
                self._exact = number + 1
                self._note(entry)
            self._set(number, made)
        self._show_screen()

    def _note(self, entry: Entry) -> None:
        """Tell the tail what a new exact item covers of the screen."""
        if isinstance(entry.item, UserMessage) or (
            isinstance(entry.item, Turn) and entry.item.event == "started"
        ):
            self._tail.begin()
        self._tail.learn(entry.item)
        if isinstance(entry.item, Turn):
            self._turn_open = entry.item.event == "started"
        elif isinstance(entry.item, AgentMessage):
            self._live.covered(entry.item.text)

    def _restart(self, feed: Feed) -> None:
        self._exact = feed.base
        self._cut(feed.base)
        self._tail.begin()
        self._tell()

    # -- the screen --------------------------------------------------------------------------

    def screen(self, messages: Sequence[Message], working: bool, *, now: bool = False) -> None:
        """The conversation as the screen shows it; `messages` may be a live list. `working` says
        whether the last one may still grow, `now` that clients shall know at once."""
        self._screen = messages
        settled = self._working and not working
        self._working = working
        if now or settled:
            self._growth.now()
        else:
            self._growth.call()

    def restore(self, messages: Sequence[Message]) -> None:
        """The conversation that an earlier run left."""
        self._screen = messages
        self._show_screen()

    def live(self, turn: str, message: str, text: str) -> None:
        """A link tells how far a message of the agent's has come; both ids are the agent's own."""
        self._live.tell(turn, message, text)
        self._growth.call()

    def unlink(self) -> None:
        """No link tells anything any more, or another one will."""
        self._live = Live()

    def _show_screen(self) -> None:
        if self._feed is None:
            self._show_messages()
        elif self._live.heard:
            self._show_live()
        elif not (self._working and self._show_tail()):
            self._cut(self._exact)
        self._tell()

    def _show_live(self) -> None:
        texts = self._live.rest() if self._turn_open else []
        for number, text in enumerate(texts, self._exact):
            self._set_growing(number, text, datetime.now(UTC), Source.LINK)
        self._cut(self._exact + len(texts))

    def _show_messages(self) -> None:
        messages = self._screen[1:] if self._opening else self._screen
        turn = 0
        for number, message in enumerate(messages):
            user = message.role is Role.USER
            turn += user
            item = UserMessage(message.content) if user else AgentMessage(message.content)
            partial = not user and self._working and number == len(messages) - 1
            self._set(
                number,
                TranscriptItem(number + 1, turn, message.time, item, partial, Source.SCREEN),
            )
        self._cut(len(messages))

    def _show_tail(self) -> bool:
        """Whether the screen shows more than the exact items, and that is now the last item."""
        last = self._screen[-1] if self._screen else None
        if last is None or last.role is not Role.AGENT or self._exact == 0:
            return False
        text = self._tail.rest(last.content)
        if not text:
            return False
        self._set_growing(self._exact, text, last.time, Source.SCREEN)
        return True

    def _set_growing(self, number: int, text: str, time: datetime, source: Source) -> None:
        """A message behind the exact items; its time is the one that it appeared at."""
        before = self._items[self._exact - 1]
        shown = self._items[number] if len(self._items) > number else None
        if shown is not None and shown.partial and shown.time is not None:
            time = shown.time
        item = AgentMessage(text)
        self._set(number, TranscriptItem(number + 1, before.turn, time, item, True, source))

    # -- changes -----------------------------------------------------------------------------

    def _set(self, number: int, item: TranscriptItem) -> None:
        if number < len(self._items):
            if self._items[number] == item:
                return
            self._items[number] = item
        else:
            self._items.append(item)
        self._changes.add(item.id)

    def _cut(self, length: int) -> None:
        """Withdraw the items behind the first `length`."""
        while len(self._items) > length:
            self._changes.add(self._items.pop().id)

    def _tell(self) -> None:
        ids = [item_id for _, item_id in self._changes.since(self._told)]
        self._told = self._changes.latest
        if ids:
            self._listener(ids)

    def _find(self, number: int) -> TranscriptItem | None:
        return self._items[number - 1] if number <= len(self._items) else None


class Feed:
    """What one exact source tells of one session."""

    def __init__(self, transcript: Transcript, source: Source, base: int) -> None:
        self.source = source
        self.base = base
        """The number of exact items before."""
        before = transcript._items[base - 1].turn if base else 0
        self.turns = before
        """The number of turns before."""
        self._transcript = transcript

    def put(self, entries: Iterable[Entry]) -> None:
        """Add or change items; what is not news changes nothing."""
        self._transcript._put(self, entries)

    def restart(self) -> None:
        """Forget what this feed told: it begins anew."""
        self._transcript._restart(self)

    def tell_usage(self, usage: dict[str, object] | None) -> None:
        """The tokens so far."""
        self._transcript.usage = usage


class Changes:
    """Which item changed when: a log of ids by ascending numbers, of each only the last change."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._ids: list[int] = []
        self._last: dict[int, int] = {}  # of each id, the number of its last change
        self.first = self.latest = int(time.time() * 1000)
        """The numbers of this run are those behind `first`."""
        self.closed = False
        self._waiters: set[asyncio.Future[None]] = set()

    def add(self, item_id: int) -> None:
        """An item changed, appeared or was withdrawn."""
        self.latest += 1
        self._last[item_id] = self.latest
        self._numbers.append(self.latest)
        self._ids.append(item_id)
        if len(self._numbers) > 2 * len(self._last) + 1000:
            self._compact()
        self._wake()

    def since(self, number: int) -> Iterator[tuple[int, int]]:
        """(number, id) of each last change behind `number`."""
        for position in range(bisect_right(self._numbers, number), len(self._numbers)):
            if self._last[self._ids[position]] == self._numbers[position]:
                yield self._numbers[position], self._ids[position]

    async def wait(self, number: int) -> None:
        """Return when there is a change behind `number`, or none will come any more."""
        while self.latest <= number and not self.closed:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def close(self) -> None:
        """No change will come any more."""
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


class TranscriptSubscription:
    """One subscriber: it holds no more than a number."""

    on_overflow: Callable[[], None] | None = None
    """Never called: nobody can fall behind."""

    def __init__(
        self,
        changes: Changes,
        find: Callable[[int], TranscriptItem | None],
        after: int | None,
    ) -> None:
        self._changes = changes
        self._find = find
        self._closed = False
        # A number of an earlier run says nothing of this one's changes: all of them are sent.
        known = after is not None and changes.first <= after <= changes.latest
        self._after = after if known and after is not None else 0

    async def take(self, at_most: int = BATCH) -> bytes:
        """The next frames, joined: at least one, and about `at_most` bytes. Empty at the end."""
        while not self._closed:
            if frames := self._batch(at_most):
                return frames
            if self._changes.closed:
                break
            await self._changes.wait(max(self._after, self._changes.first))
        return b""

    def close(self) -> None:
        """Take no more."""
        self._closed = True

    def _batch(self, at_most: int) -> bytes:
        frames: list[bytes] = []
        size = 0
        for number, item_id in self._changes.since(self._after):
            frames.append(frame(number, item_id, self._find(item_id)))
            self._after = number
            size += len(frames[-1])
            if size >= at_most:
                break
        return b"".join(frames)


def frame(number: int, item_id: int, item: TranscriptItem | None) -> bytes:
    """A change as a server-sent event: `item` with the item, or `withdrawn` with its id."""
    name, data = ("item", item.wire()) if item is not None else ("withdrawn", {"id": item_id})
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, name.encode(), encode(data))
