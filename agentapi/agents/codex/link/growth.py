"""The items of a turn that are under way: told at once, then as often as anybody can read.

Each version of an item is told whole, so that a long one is told less often: what is told in a
second has a bound, however long a text becomes, and the whole costs no more than its length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agentapi.agents.codex.link.items import GrowingItem
from agentapi.model.events import ItemChanged
from agentapi.model.items import AgentMessage, Item
from agentapi.timing.throttle import EVENT_INTERVAL, Throttle

LONG = 64 * 1024
"""From so many characters on the interval is longer, as the text is: at 1 MiB, 0.4 s."""

Json = Mapping[str, Any]


class Growth:
    """What has begun and not ended. `tell` is given each newer version of an item."""

    def __init__(self, tell: Callable[[ItemChanged], None]) -> None:
        self._tell = tell
        self._growing: dict[str, GrowingItem] = {}
        self._raw: dict[str, Json] = {}
        self._changed: dict[str, None] = {}
        self._throttle = Throttle(EVENT_INTERVAL, self._tell_changed)

    def begin(self, turn: str, raw: Json, item: Item) -> None:
        """An item has begun; `raw` is the app-server's own description."""
        self._growing[raw["id"]] = GrowingItem(turn, item)
        self._raw[raw["id"]] = raw
        self._changed.pop(raw["id"], None)

    def end(self, number: str) -> None:
        """An item is whole: what grew of it is of no interest any more."""
        for kept in (self._growing, self._raw, self._changed):
            kept.pop(number, None)
        if not self._changed:
            self._throttle.stop()  # the next item need not wait for this one's interval

    def raw(self, number: str) -> Json:
        """How an item under way was described when it began; empty when it is not under way."""
        return self._raw.get(number, {})

    def delta(self, method: str, params: Json) -> bool:
        """Take a piece of an item; False when it is not one."""
        number, delta = params.get("itemId"), params.get("delta")
        if not isinstance(number, str) or not isinstance(delta, str):
            return False
        growing = self._growing.get(number)
        if growing is None:  # its beginning was missed; its end will be whole
            if method != "item/agentMessage/delta":
                return True
            growing = GrowingItem(str(params.get("turnId")), AgentMessage(""))
            self._growing[number] = growing
        growing.grow(delta)
        self._changed[number] = None
        size = sum(self._growing[changed].size for changed in self._changed)
        self._throttle.interval = EVENT_INTERVAL * max(1.0, size / LONG)
        self._throttle.call()
        return True

    def flush(self) -> None:
        """Tell now what has grown, before something else is told."""
        self._throttle.flush()

    def clear(self) -> None:
        """The turn is over, and with it all that was under way."""
        for kept in (self._growing, self._raw, self._changed):
            kept.clear()

    def stop(self) -> None:
        """Tell nothing any more."""
        self._throttle.stop()

    def _tell_changed(self) -> None:
        changed, self._changed = self._changed, {}
        for number in changed:
            growing = self._growing[number]
            self._tell(ItemChanged(growing.turn, number, growing.current(), partial=True))
