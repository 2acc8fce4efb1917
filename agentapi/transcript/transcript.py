"""The transcript of a session: all items of the conversation, with stable ids.

A source with a record (Codex's rollout) puts items by their index in the record. Live items, which
are not recorded yet, come after them:

    ids      1 … n                                   n + 1 …
             recorded items, in the record's order   live items, in the order of arrival

The next recorded item takes the id n + 1, whichever it is. Its live match (see
`agentapi.transcript.live`) is then removed from the live items; the others move on by one, or keep
their ids if both orders agree, as they mostly do. So the id of a recorded item is final, and that
of a live item is its position so far. Ids need not be stored: a source that puts the same entries
after a restart gives the same ids.

Live items come from Codex's link, which reports each item as it starts, streams and ends. Without a
link there is at most one: the end of the screen's text beyond the recorded items, as a partial
message while the agent works. An open dialog is a live item in any case. Without a record the items
are the link's, or the screen's, one for each message (agents other than Codex).

A source calls `Transcript.open`, puts `Entry` values into the `Feed`, and sets the usage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from agentapi.model.conversation import Dialog, Message, Role
from agentapi.model.items import (
    AgentMessage,
    Entry,
    Item,
    ItemSource,
    Turn,
    UserMessage,
)
from agentapi.timing.throttle import EVENT_INTERVAL, Throttle
from agentapi.transcript.changes import (
    Changes,
    EncodedChanges,
    TranscriptItem,
    TranscriptSubscription,
)
from agentapi.transcript.feed import Feed
from agentapi.transcript.live import LiveItems
from agentapi.transcript.matching import LiveItem, merge_live
from agentapi.transcript.tail import ScreenTail


class TranscriptSource(Protocol):
    """A source of items besides the screen. Runs on the event loop's thread."""

    def bind(self, transcript: Transcript) -> None:
        """Start to feed this transcript. Called once, before the agent starts."""

    async def stop(self) -> None:
        """Stop. Called when the agent has ended."""


class Transcript:
    """All items and their changes. Lives on one event loop."""

    def __init__(self, *, opening: bool = False, source: ItemSource = ItemSource.SCREEN) -> None:
        """`opening`: the first message of the screen is the start-up screen, which is no item.
        `source` names the origin of the messages while there is neither record nor link."""
        self.usage: Mapping[str, object] | None = None
        """Tokens, context and rate limits, if a source has them."""
        self._opening = opening
        self._source = source
        self._items: list[TranscriptItem] = []
        self._recorded = 0  # how many of them are recorded
        self._partial: dict[int, TranscriptItem] = {}  # recorded items that may still change
        self._feed: Feed | None = None
        self._tail = ScreenTail()
        self._live = LiveItems()
        self._live_start = 0  # index of the first live item
        self._linked = False
        self._before_link = 0  # messages of the screen from before the link
        self._on_record: Callable[[Path], None] = lambda path: None
        self._listeners: list[Callable[[list[int]], None]] = []
        self._notified = 0
        self._screen: Sequence[Message] = ()
        self._messages: tuple[list[Message], bool] = ([], False)  # as shown last
        self._working = False
        self._changes = Changes()
        self._frames = EncodedChanges(self.find)
        self._throttle = Throttle(EVENT_INTERVAL, self._refresh)

    # -- reading -----------------------------------------------------------------------------

    def newest_first(self) -> Iterator[TranscriptItem]:
        """Iterate over all items, without a copy: use it before the next change."""
        return reversed(self._items)

    @property
    def has_record(self) -> bool:
        """Whether a record is open: what the link reports will be recorded soon."""
        return self._feed is not None

    def page(self, after: int = 0, limit: int | None = None) -> tuple[list[TranscriptItem], int]:
        """Return up to `limit` items after the id `after`, and the id to continue after."""
        self._throttle.flush()
        found = self._items[max(0, after) :][:limit]
        return found, found[-1].id if found else after

    def subscribe(self, after: int | None = None) -> TranscriptSubscription:
        """Subscribe to changes after the number `after`; None: to all items, then changes."""
        return TranscriptSubscription(self._changes, self._frames, after)

    def find(self, item_id: int) -> TranscriptItem | None:
        """Return the item with this id; None if there is none, or none any more."""
        return self._items[item_id - 1] if item_id <= len(self._items) else None

    def items_after(self, item_id: int) -> list[TranscriptItem]:
        """Return the items with higher ids."""
        return self._items[item_id:]

    def flush(self) -> None:
        """Apply updates of the screen or the link that are still throttled."""
        self._throttle.flush()

    def watch(self, listener: Callable[[list[int]], None]) -> None:
        """Call `listener` with the ids of all items that an update changed."""
        self._listeners.append(listener)

    def close(self) -> None:
        """End all subscriptions."""
        self._throttle.stop()
        self._changes.close()

    # -- recorded items ----------------------------------------------------------------------

    def open(self, source: ItemSource, resumed: Feed | None = None) -> Feed:
        """Open a feed for a session; its items come after all recorded ones. They replace what the
        screen showed so far.

        `resumed` is the session's earlier feed, if another session came between: only new entries
        become items, and its partial items can be completed. Partial items of the session before
        are marked complete."""
        for index in self._partial:
            self._set(index, replace(self._items[index], partial=False))
        self._partial.clear()
        turns = self._items[self._recorded - 1].turn if self._recorded else 0
        self._feed = Feed(self, source, self._recorded, turns, resumed)
        return self._feed

    def put_entries(self, feed: Feed, entries: Iterable[Entry]) -> None:
        """Add or update a feed's items; called by `Feed.put`."""
        for entry in entries:
            index = feed.index(entry)
            if index is None:
                continue
            known = index < self._recorded
            turn = self._items[index].turn if known else feed.turn_offset + entry.turn
            item = TranscriptItem(
                index + 1, turn, entry.time, entry.item, entry.partial, feed.source
            )
            if not known:
                self._recorded = index + 1
                self._cover(entry)
                self._live.add_recorded(index, turn, entry)
            else:
                self._live.update_recorded(index, partial=entry.partial)
            self._partial.pop(index, None)
            if entry.partial:
                self._partial[index] = item
            self._set(index, merge_live(item, self._live.match_of(index)))
        self._refresh()

    def replace_entries(self, feed: Feed, entries: Iterable[Entry]) -> None:
        """Replace a feed's items; called by `Feed.replace`."""
        self._recorded = feed.base + feed.known
        self._partial.clear()
        self._live.reset_recorded()
        self._tail.begin()
        self.put_entries(feed, entries)

    def set_usage(self, usage: Mapping[str, object] | None) -> None:
        """Set the token usage so far; called by `Feed.set_usage`."""
        self.usage = usage

    def clear(self) -> None:
        """Withdraw all items: another conversation begins. The sources must have stopped."""
        self._feed, self._recorded, self._screen = None, 0, ()
        self._partial.clear()
        self._tail, self._live = ScreenTail(), LiveItems()
        self._refresh()

    def _cover(self, entry: Entry) -> None:
        """Add a recorded item to the text that the screen's tail leaves out."""
        if isinstance(entry.item, UserMessage) or (
            isinstance(entry.item, Turn) and entry.item.event == "started"
        ):
            self._tail.begin()
        self._tail.add(entry.item)

    # -- the screen --------------------------------------------------------------------------

    def update_screen(
        self, messages: Sequence[Message], working: bool, *, now: bool = False
    ) -> None:
        """Set the conversation as the screen shows it; `messages` may be a live list. `working`:
        the last message may still grow; `now`: do not throttle."""
        self._screen = messages
        settled = self._working and not working
        self._working = working
        if now or settled:
            self._throttle.now()
        else:
            self._throttle.call()

    def restore(self, messages: Sequence[Message]) -> None:
        """Set the conversation of an earlier run."""
        self._screen = messages
        self._refresh()

    # -- the link ----------------------------------------------------------------------------

    def on_record(self, listener: Callable[[Path], None]) -> None:
        """Call `listener` with the path of the session's record, whenever the link reports one."""
        self._on_record = listener

    def link(self, record: Path | None = None) -> None:
        """Take live items from the link, no longer from the screen. The agent records the session
        in `record`, which need not exist yet."""
        if not self._linked:
            self._linked = True
            self._before_link = len(self._screen)
        if record is not None:
            self._on_record(record)

    def unlink(self) -> None:
        """Take live items from the screen again: the link is gone."""
        self._linked = False
        self._live.clear()
        self._throttle.call()

    def update_live(self, turn: str, id: str, item: Item, *, partial: bool) -> None:
        """Update an item of the link, throttled; both ids are the agent's own."""
        self.link()
        self._live.update(LiveItem(turn, id, item, partial, ItemSource.LINK, _now()))
        self._throttle.now()

    def update_live_usage(self, usage: Mapping[str, object]) -> None:
        """Update the link's token usage so far."""
        self._live.update_usage(usage, _now())
        self._throttle.call()

    def set_dialog(self, dialog: Dialog | None, *, idle: bool) -> None:
        """Set the open dialog, if any; `idle`: no turn is open."""
        source = ItemSource.LINK if self._linked else self._source
        if self._live.set_dialog(dialog, source, _now()):
            self._throttle.now()
        if idle and self._live.remove_answered():
            self._throttle.call()

    # -- layout ------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Bring all items that are not settled up to date, and notify the listeners."""
        for index, item in self._partial.items():
            self._set(index, merge_live(item, self._live.match_of(index)))
        length = self._recorded
        if self._feed is None:
            length = self._set_messages()
        elif not self._linked and self._working and self._set_tail():
            length += 1
        if self._live.rearranged or length != self._live_start:
            self._live_start = length
            self._truncate(self._set_live(length))
        else:
            for live in self._live.take_updated():
                self._set_updated(live)
        self._notify()

    def _set_live(self, length: int) -> int:
        """Put the live items after the first `length` items; return the new length."""
        turn = self._items[length - 1].turn if length else 0
        new: dict[str, int] = {}  # turns that are not recorded yet
        for number, live in self._live.unrecorded():
            if not number and live.turn:
                number = turn + new.setdefault(live.turn, len(new) + 1)
            self._set(length, _at(live, length, number or turn))
            length += 1
        return length

    def _set_updated(self, live: LiveItem) -> None:
        """Update one live item in place, or append it."""
        index = live.index if live.index >= 0 else len(self._items)
        turn = self._items[min(index, len(self._items) - 1)].turn
        self._set(index, _at(live, index, turn))

    def _set_messages(self) -> int:
        """Make one item of each message of the screen; return their number."""
        messages = self._screen[: self._before_link] if self._linked else self._screen
        messages = list(messages[1:] if self._opening else messages)
        streaming = self._working and not self._linked
        if (messages, streaming) == self._messages:
            return len(messages)
        self._messages = messages, streaming
        turn = 0
        for index, message in enumerate(messages):
            user = message.role is Role.USER
            turn += user
            item = UserMessage(message.content) if user else AgentMessage(message.content)
            partial = streaming and not user and index == len(messages) - 1
            self._set(
                index, TranscriptItem(index + 1, turn, message.time, item, partial, self._source)
            )
        return len(messages)

    def _set_tail(self) -> bool:
        """Show what the screen has beyond the recorded items, if anything, as a partial message."""
        last = self._screen[-1] if self._screen else None
        if last is None or last.role is not Role.AGENT or self._recorded == 0:
            return False
        text = self._tail.uncovered(last.content)
        if not text:
            return False
        turn, time = self._items[self._recorded - 1].turn, last.time
        shown = self._items[self._recorded] if len(self._items) > self._recorded else None
        if shown is not None and isinstance(shown.item, AgentMessage) and shown.time is not None:
            time = shown.time  # when it appeared
        message = AgentMessage(text)
        item = TranscriptItem(self._recorded + 1, turn, time, message, True, self._source)
        self._set(self._recorded, item)
        return True

    # -- changes -----------------------------------------------------------------------------

    def _set(self, index: int, item: TranscriptItem) -> None:
        if index < len(self._items):
            if self._items[index] == item:
                return
            self._items[index] = item
        else:
            self._items.append(item)
        self._changes.add(item.id)

    def _truncate(self, length: int) -> None:
        """Withdraw the items after the first `length`."""
        while len(self._items) > length:
            self._changes.add(self._items.pop().id)

    def _notify(self) -> None:
        ids = [item_id for _, item_id in self._changes.since(self._notified)]
        self._notified = self._changes.latest
        for listener in self._listeners if ids else ():
            listener(ids)


def _at(live: LiveItem, index: int, turn: int) -> TranscriptItem:
    """Return a live item as the one at this index."""
    live.index = index
    return TranscriptItem(index + 1, turn, live.time, live.item, live.partial, live.source)


def _now() -> datetime:
    return datetime.now(UTC)
