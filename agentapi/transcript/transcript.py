"""The transcript of a session: what was said and done, each item with an id that stays.

An exact source (Codex's rollout) puts items by their place in what it tells. What is told of a turn
before it is recorded comes behind them:

    ids      1 … n                                    n + 1 …
             exact items, as the source orders them   what is told live, in the order it is told

The next exact item takes the id n + 1, whichever it is. Its live counterpart is gone from behind
then (`agentapi.transcript.live` knows which that is), and what else is there moves on by one, or
stays where it was when the two orders agree, as they mostly do. So the id of an exact item is
final, that of a live one is its place so far; and ids need not be kept anywhere: a source that
tells the same again after a restart gives the same ids.

Live is what Codex's link tells, every item as it starts, grows and ends. Without a link it is the
end of the screen's text beyond the exact items, as one partial message while the agent works. A
dialog that waits for the user is live in any case. Without any exact source the items are what the
link tells, or the screen's, one for each message (other agents than Codex).

A source is written for `Transcript.open`: it puts `Entry` values, tells the usage, and closes.
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
from agentapi.transcript.live import Live, Told, with_told
from agentapi.transcript.tail import Tail


class TranscriptSource(Protocol):
    """What feeds a transcript beside the screen, from the event loop's thread."""

    def bind(self, transcript: Transcript) -> None:
        """Called once, before the agent starts: from now on, tell."""

    async def stop(self) -> None:
        """Called when the agent has ended."""


class Transcript:
    """The items, and the changes of them. Lives on one event loop."""

    def __init__(self, *, opening: bool = False, source: ItemSource = ItemSource.SCREEN) -> None:
        """`opening`: the first message of the screen is the start-up screen, which is no item.
        `source` is where the conversation comes from as long as nothing exact tells it."""
        self.usage: dict[str, object] | None = None
        """Tokens, context, rate limits, where a source tells."""
        self._opening = opening
        self._source = source
        self._items: list[TranscriptItem] = []
        self._exact = 0  # how many of them an exact source told
        self._growing: dict[int, TranscriptItem] = {}  # those that it may still change
        self._feed: Feed | None = None
        self._tail = Tail()
        self._live = Live()
        self._behind = 0  # how many items the live ones are behind
        self._linked = False
        self._before_link = 0  # messages of the screen that are not the link's to tell
        self._on_record: Callable[[Path], None] = lambda path: None
        self._listeners: list[Callable[[list[int]], None]] = []
        self._told = 0
        self._screen: Sequence[Message] = ()
        self._messages: tuple[list[Message], bool] = ([], False)  # as they are shown
        self._working = False
        self._changes = Changes()
        self._frames = EncodedChanges(self.find)
        self._growth = Throttle(EVENT_INTERVAL, self._show)

    # -- reading -----------------------------------------------------------------------------

    def newest_first(self) -> Iterator[TranscriptItem]:
        """All items, without a copy: for whoever looks only at the last ones, and at once."""
        return reversed(self._items)

    @property
    def recorded(self) -> bool:
        """Whether an exact source tells: what a link tells becomes exact in a moment."""
        return self._feed is not None

    def page(self, after: int = 0, limit: int | None = None) -> tuple[list[TranscriptItem], int]:
        """Up to `limit` items behind the id `after`, and what to ask for next: the last id."""
        self._growth.flush()
        found = self._items[max(0, after) :][:limit]
        return found, found[-1].id if found else after

    def subscribe(self, after: int | None = None) -> TranscriptSubscription:
        """All changes behind the number `after` (all items without it), then what changes."""
        return TranscriptSubscription(self._changes, self._frames, after)

    def find(self, item_id: int) -> TranscriptItem | None:
        """The item with this id; None when there is none (any more)."""
        return self._items[item_id - 1] if item_id <= len(self._items) else None

    def behind(self, item_id: int) -> list[TranscriptItem]:
        """The items with higher ids, as they stand."""
        return self._items[item_id:]

    def flush(self) -> None:
        """Show what of the screen's or the link's text is not shown yet."""
        self._growth.flush()

    def watch(self, listener: Callable[[list[int]], None]) -> None:
        """Tell `listener` the ids of items that changed, each time, when all of them have."""
        self._listeners.append(listener)

    def close(self) -> None:
        """End all subscriptions."""
        self._growth.stop()
        self._changes.close()

    # -- exact sources -----------------------------------------------------------------------

    def open(self, source: ItemSource, again: Feed | None = None) -> Feed:
        """A source begins to tell of a session: its entries come behind all exact items so far.
        What the screen said until now is what the source is about to tell.

        `again` is what told of the same session before another one was told of: then only what
        that did not tell comes, and what it told that was growing goes on. Nothing grows of a
        session that was left."""
        for number in self._growing:
            self._set(number, replace(self._items[number], partial=False))
        self._growing.clear()
        self._feed = Feed(self, source, self._exact, again)
        return self._feed

    def _put(self, feed: Feed, entries: Iterable[Entry]) -> None:
        for entry in entries:
            number = feed.place(entry)
            if number is None:
                continue
            known = number < self._exact
            turn = self._items[number].turn if known else feed.turns + entry.turn
            made = TranscriptItem(
                number + 1, turn, entry.time, entry.item, entry.partial, feed.source
            )
            if not known:
                self._exact = number + 1
                self._cover(entry)
                self._live.record(number, turn, entry)
            else:
                self._live.grow(number, partial=entry.partial)
            self._growing.pop(number, None)
            if entry.partial:
                self._growing[number] = made
            self._set(number, with_told(made, self._live.beyond(number)))
        self._show()

    def _cover(self, entry: Entry) -> None:
        """Tell the tail what a new exact item covers of the screen."""
        if isinstance(entry.item, UserMessage) or (
            isinstance(entry.item, Turn) and entry.item.event == "started"
        ):
            self._tail.begin()
        self._tail.learn(entry.item)

    def clear(self) -> None:
        """Another conversation begins: withdraw all items. What told them must have stopped."""
        self._feed, self._exact, self._screen = None, 0, ()
        self._growing.clear()
        self._tail, self._live = Tail(), Live()
        self._show()

    def _replace(self, feed: Feed, entries: Iterable[Entry]) -> None:
        self._exact = feed.base + feed.known
        self._growing.clear()
        self._live.restart()
        self._tail.begin()
        self._put(feed, entries)

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
        self._show()

    # -- the link ----------------------------------------------------------------------------

    def when_recorded(self, listener: Callable[[Path], None]) -> None:
        """Tell `listener` where the agent records a session, as soon as the link says so."""
        self._on_record = listener

    def linked(self, record: Path | None = None) -> None:
        """A link tells of a session from now on, and the screen nothing; the agent records it in
        `record`, once it has something to record."""
        if not self._linked:
            self._linked = True
            self._before_link = len(self._screen)
        if record is not None:
            self._on_record(record)

    def unlink(self) -> None:
        """No link tells anything any more: the screen does, until there is another link."""
        self._linked = False
        self._live.forget()
        self._growth.call()

    def live(self, turn: str, id: str, item: Item, *, partial: bool) -> None:
        """The link tells how far an item has come, no more often than anybody can read; both ids
        are the agent's own."""
        self.linked()
        self._live.tell(Told(turn, id, item, partial, ItemSource.LINK, _now()))
        self._growth.now()

    def live_usage(self, usage: Mapping[str, object]) -> None:
        """The link tells the tokens so far."""
        self._live.tell_usage(usage, _now())
        self._growth.call()

    def ask(self, dialog: Dialog | None, *, idle: bool) -> None:
        """The dialog that is open now, if any; `idle` says that no turn is."""
        source = ItemSource.LINK if self._linked else self._source
        if self._live.ask(dialog, source, _now()):
            self._growth.now()
        if idle and self._live.idle():
            self._growth.call()

    # -- showing -----------------------------------------------------------------------------

    def _show(self) -> None:
        for number, made in self._growing.items():
            self._set(number, with_told(made, self._live.beyond(number)))
        length = self._exact
        if self._feed is None:
            length = self._show_messages()
        elif not self._linked and self._working and self._show_tail():
            length += 1
        if self._live.moved or length != self._behind:
            self._behind = length
            self._cut(self._show_live(length))
        else:
            for told in self._live.grown():
                self._show_grown(told)
        self._tell()

    def _show_live(self, length: int) -> int:
        """What is told behind the first `length` items; the number of all."""
        turn = self._items[length - 1].turn if length else 0
        new: dict[str, int] = {}  # turns that are not recorded yet
        for number, told in self._live.rest():
            if not number and told.turn:
                number = turn + new.setdefault(told.turn, len(new) + 1)
            self._set(length, _shown(told, length, number or turn))
            length += 1
        return length

    def _show_grown(self, told: Told) -> None:
        """What was told of one item, which is shown already or comes behind the last one."""
        place = told.place if told.place >= 0 else len(self._items)
        turn = self._items[min(place, len(self._items) - 1)].turn
        self._set(place, _shown(told, place, turn))

    def _show_messages(self) -> int:
        messages = self._screen[: self._before_link] if self._linked else self._screen
        messages = list(messages[1:] if self._opening else messages)
        grows = self._working and not self._linked
        if (messages, grows) == self._messages:
            return len(messages)
        self._messages = messages, grows
        turn = 0
        for number, message in enumerate(messages):
            user = message.role is Role.USER
            turn += user
            item = UserMessage(message.content) if user else AgentMessage(message.content)
            partial = grows and not user and number == len(messages) - 1
            self._set(
                number, TranscriptItem(number + 1, turn, message.time, item, partial, self._source)
            )
        return len(messages)

    def _show_tail(self) -> bool:
        """Whether the screen shows more than the exact items: a message that grows behind them."""
        last = self._screen[-1] if self._screen else None
        if last is None or last.role is not Role.AGENT or self._exact == 0:
            return False
        text = self._tail.rest(last.content)
        if not text:
            return False
        turn, time = self._items[self._exact - 1].turn, last.time
        shown = self._items[self._exact] if len(self._items) > self._exact else None
        if shown is not None and isinstance(shown.item, AgentMessage) and shown.time is not None:
            time = shown.time  # it appeared then
        made = TranscriptItem(self._exact + 1, turn, time, AgentMessage(text), True, self._source)
        self._set(self._exact, made)
        return True

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
        for listener in self._listeners if ids else ():
            listener(ids)


class Feed:
    """What one exact source tells of one session."""

    def __init__(
        self, transcript: Transcript, source: ItemSource, exact: int, again: Feed | None
    ) -> None:
        """`exact` is the number of exact items before."""
        turns = transcript._items[exact - 1].turn if exact else 0
        self.source = source
        self.known: int = again.told if again is not None else 0
        """How many entries are in the transcript already, from another time."""
        self.told: int = self.known
        """How many entries were told in all."""
        self.base = exact - self.known
        """The place of the first entry, or what it would be."""
        # The places of entries that may still change:
        self._growing: dict[int, int] = dict(again._growing) if again is not None else {}
        self._known_turns: int = again._told_turns if again is not None else 0
        self._told_turns: int = self._known_turns
        self.turns = turns - self._told_turns
        """What to add to the number of a turn."""
        self._transcript = transcript

    def place(self, entry: Entry) -> int | None:
        """The entry's place; None when it is whole in the transcript from another time."""
        if entry.index < self.known:
            place = self._growing.get(entry.index)
        else:
            place = self.base + entry.index
            self.told = max(self.told, entry.index + 1)
            self._told_turns = max(self._told_turns, entry.turn)
        if place is not None and entry.partial:
            self._growing[entry.index] = place
        else:
            self._growing.pop(entry.index, None)
        return place

    def put(self, entries: Iterable[Entry]) -> None:
        """Add or change items; what is not news changes nothing."""
        self._transcript._put(self, entries)

    def replace(self, entries: Iterable[Entry]) -> None:
        """Put these in the place of all that this feed told: what stays the same is no change,
        what is not there any more is withdrawn."""
        self._growing = {n: place for n, place in self._growing.items() if n < self.known}
        self.told, self._told_turns = self.known, self._known_turns
        self._transcript._replace(self, entries)

    def tell_usage(self, usage: dict[str, object] | None) -> None:
        """The tokens so far."""
        self._transcript.usage = usage


def _shown(told: Told, place: int, turn: int) -> TranscriptItem:
    """What was told, in this place."""
    told.place = place
    return TranscriptItem(place + 1, turn, told.time, told.item, told.partial, told.source)


def _now() -> datetime:
    return datetime.now(UTC)
