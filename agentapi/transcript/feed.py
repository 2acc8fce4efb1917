"""A feed: how one source writes the items of one recorded session to the transcript."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from agentapi.model.items import Entry, ItemSource


class FeedTarget(Protocol):
    """Receives what feeds write."""

    def put_entries(self, feed: Feed, entries: Iterable[Entry]) -> None:
        """Add or update items."""

    def replace_entries(self, feed: Feed, entries: Iterable[Entry]) -> None:
        """Replace all items of the feed."""

    def set_usage(self, usage: Mapping[str, object] | None) -> None:
        """Set the token usage so far."""


class Feed:
    """Writes the entries of one session."""

    def __init__(
        self,
        target: FeedTarget,
        source: ItemSource,
        items: int,
        turns: int,
        resumed: Feed | None,
    ) -> None:
        """`items` and `turns` count what is recorded already; `resumed` is an earlier feed of the
        same session."""
        self.source = source
        self.known: int = resumed.count if resumed is not None else 0
        """How many entries the earlier feed wrote."""
        self.count: int = self.known
        """How many entries were written in all."""
        self.base = items - self.known
        """The index of the first entry, or what it would be."""
        # The indices of entries that may still change:
        self._partial: dict[int, int] = dict(resumed._partial) if resumed is not None else {}
        self._known_turns: int = resumed._turn_count if resumed is not None else 0
        self._turn_count: int = self._known_turns
        self.turn_offset = turns - self._turn_count
        """What to add to the turn number of an entry."""
        self._target = target

    def index(self, entry: Entry) -> int | None:
        """Return the entry's index in the transcript; None if it is complete there already."""
        if entry.index < self.known:
            index = self._partial.get(entry.index)
        else:
            index = self.base + entry.index
            self.count = max(self.count, entry.index + 1)
            self._turn_count = max(self._turn_count, entry.turn)
        if index is not None and entry.partial:
            self._partial[entry.index] = index
        else:
            self._partial.pop(entry.index, None)
        return index

    def put(self, entries: Iterable[Entry]) -> None:
        """Add or update items. Identical ones are no change."""
        self._target.put_entries(self, entries)

    def replace(self, entries: Iterable[Entry]) -> None:
        """Replace all items of this feed: identical ones are no change, missing ones are
        withdrawn."""
        self._partial = {n: index for n, index in self._partial.items() if n < self.known}
        self.count, self._turn_count = self.known, self._known_turns
        self._target.replace_entries(self, entries)

    def set_usage(self, usage: Mapping[str, object] | None) -> None:
        """Set the token usage so far."""
        self._target.set_usage(usage)
