"""Collect streaming items and emit updates, the first at once, the next ones throttled.

Each update has the whole item, so long items are emitted less often: the characters emitted per
second are bounded however long a text becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agentapi.agents.codex.link.items import PartialItem
from agentapi.model.events import ItemChanged
from agentapi.model.items import AgentMessage, Item
from agentapi.timing.throttle import EVENT_INTERVAL, Throttle

LONG = 64 * 1024
"""Characters from which on the interval grows with the text: 0.4 s at 1 MiB."""

Json = Mapping[str, Any]


class PartialItems:
    """The items that have started and not completed; `emit` gets each newer version of one."""

    def __init__(self, emit: Callable[[ItemChanged], None]) -> None:
        self._emit = emit
        self._items: dict[str, PartialItem] = {}
        self._descriptions: dict[str, Json] = {}
        self._changed: dict[str, None] = {}
        self._throttle = Throttle(EVENT_INTERVAL, self._emit_changed)

    def start(self, turn: str, raw: Json, item: Item) -> None:
        """Add an item that has started; `raw` is the app-server's description."""
        self._items[raw["id"]] = PartialItem(turn, item)
        self._descriptions[raw["id"]] = raw
        self._changed.pop(raw["id"], None)

    def complete(self, number: str) -> None:
        """Remove a completed item and its pending update."""
        for items in (self._items, self._descriptions, self._changed):
            items.pop(number, None)
        if not self._changed:
            self._throttle.stop()  # the next item does not wait for this one's interval

    def description(self, number: str) -> Json:
        """Return a streaming item's description from its start; empty for any other item."""
        return self._descriptions.get(number, {})

    def apply_delta(self, method: str, params: Json) -> bool:
        """Append a delta to its item; return False for invalid parameters."""
        number, delta = params.get("itemId"), params.get("delta")
        if not isinstance(number, str) or not isinstance(delta, str):
            return False
        partial = self._items.get(number)
        if partial is None:  # its start was missed; its completion will have all of it
            if method != "item/agentMessage/delta":
                return True
            partial = PartialItem(str(params.get("turnId")), AgentMessage(""))
            self._items[number] = partial
        partial.append(delta)
        self._changed[number] = None
        size = sum(self._items[changed].size for changed in self._changed)
        self._throttle.interval = EVENT_INTERVAL * max(1.0, size / LONG)
        self._throttle.call()
        return True

    def flush(self) -> None:
        """Emit pending updates now, before another event."""
        self._throttle.flush()

    def clear(self) -> None:
        """Drop all items at the end of the turn."""
        for items in (self._items, self._descriptions, self._changed):
            items.clear()

    def stop(self) -> None:
        """Cancel pending updates."""
        self._throttle.stop()

    def _emit_changed(self) -> None:
        changed, self._changed = self._changed, {}
        for number in changed:
            partial = self._items[number]
            self._emit(ItemChanged(partial.turn, number, partial.current(), partial=True))
