"""Updates of streaming items, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from agentapi.agents.codex.link.items import MAX_OUTPUT, PartialItem, thread_item
from agentapi.agents.codex.link.partial_items import LONG, PartialItems
from agentapi.model.items import AgentMessage, ToolCall
from agentapi.timing.throttle import EVENT_INTERVAL
from tests.support.replay import run_virtual

TEXT, OUTPUT = "item/agentMessage/delta", "item/commandExecution/outputDelta"
Updates = list[tuple[float, str, str]]
"""Times, item ids, and the text or output so far."""


def perform(script: Callable[[PartialItems], Awaitable[None]]) -> Updates:
    """Run a script in virtual time; return the updates with their times from its start."""

    async def main() -> Updates:
        updates: Updates = []
        loop = asyncio.get_running_loop()
        start = loop.time()

        def emit(seen: Any) -> None:
            item = seen.item
            assert seen.partial
            assert isinstance(item, AgentMessage | ToolCall)
            text = item.text if isinstance(item, AgentMessage) else item.output
            updates.append((round(loop.time() - start, 3), seen.id, text))

        items = PartialItems(emit)
        await script(items)
        items.stop()
        return updates

    return run_virtual(main())


def begin(items: PartialItems, kind: str, number: str) -> None:
    raw = {"id": number, "type": kind}
    items.start("turn", raw, thread_item(raw))


def append(items: PartialItems, number: str, delta: str, method: str = TEXT) -> bool:
    return items.apply_delta(method, {"itemId": number, "delta": delta, "turnId": "turn"})


def test_slow_deltas_are_emitted_one_by_one() -> None:
    async def script(items: PartialItems) -> None:
        begin(items, "agentMessage", "m")
        for delta in ("a", "b"):
            append(items, "m", delta)
            await asyncio.sleep(0.05)

    assert perform(script) == [(0, "m", "a"), (0.05, "m", "ab")]


def test_a_flood_is_throttled() -> None:
    async def script(items: PartialItems) -> None:
        begin(items, "agentMessage", "m")
        for _ in range(100):
            append(items, "m", "x")
            await asyncio.sleep(0.001)
        await asyncio.sleep(1)

    updates = perform(script)
    assert updates[0] == (0, "m", "x")
    assert updates[-1][2] == "x" * 100
    assert len(updates) <= 0.1 / EVENT_INTERVAL + 2


def test_only_the_end_of_a_long_output_is_kept() -> None:
    item = PartialItem("turn", ToolCall("shell", "yes"))
    whole = ""
    for number in range(40_000):
        whole += (line := f"line {number}\n")
        item.append(line)
        assert item._pending <= MAX_OUTPUT + len(line)
    current = item.current()
    assert isinstance(current, ToolCall)
    assert current.output == whole[-MAX_OUTPUT:]
    assert item.current() is current
    assert item.size == MAX_OUTPUT


def test_a_long_message_is_emitted_whole_at_a_bounded_rate() -> None:
    piece, seconds = "x" * 1024, 2

    async def script(items: PartialItems) -> None:
        begin(items, "agentMessage", "m")
        for _ in range(seconds * 1000):  # 2 MiB
            append(items, "m", piece)
            await asyncio.sleep(0.001)
        await asyncio.sleep(1)

    updates = perform(script)
    assert updates[-1][2] == piece * seconds * 1000
    assert sum(len(text) for _, _, text in updates) < (seconds + 1) * 1.5 * LONG / EVENT_INTERVAL


def test_the_item_after_a_long_message_does_not_wait_for_its_interval() -> None:
    async def script(items: PartialItems) -> None:
        begin(items, "agentMessage", "long")
        append(items, "long", "x" * 40 * LONG)
        items.complete("long")
        begin(items, "agentMessage", "m")
        for delta in "ab":
            append(items, "m", delta)
        await asyncio.sleep(1)

    assert perform(script)[1:] == [(0, "m", "a"), (EVENT_INTERVAL, "m", "ab")]


def test_several_items_stream_at_once() -> None:
    async def script(items: PartialItems) -> None:
        begin(items, "agentMessage", "m")
        begin(items, "commandExecution", "c")
        append(items, "m", "Look:")
        append(items, "c", "one\n", OUTPUT)
        append(items, "c", "two\n", OUTPUT)
        items.flush()

    assert perform(script) == [(0, "m", "Look:"), (0, "c", "one\ntwo\n")]


def test_pending_updates_of_a_completed_item_are_dropped() -> None:
    async def script(items: PartialItems) -> None:
        begin(items, "agentMessage", "m")
        append(items, "m", "a")
        append(items, "m", "b")
        assert items.description("m")["id"] == "m"
        items.complete("m")
        assert items.description("m") == {}
        await asyncio.sleep(1)

    assert perform(script) == [(0, "m", "a")]


def test_a_message_whose_start_was_missed_is_collected() -> None:
    async def script(items: PartialItems) -> None:
        assert append(items, "m", "late")
        assert append(items, "c", "unseen", OUTPUT)
        items.clear()

    assert perform(script) == [(0, "m", "late")]


def test_invalid_deltas_are_refused() -> None:
    async def script(items: PartialItems) -> None:
        assert not items.apply_delta(TEXT, {"itemId": 1, "delta": "x"})
        assert not items.apply_delta(TEXT, {"itemId": "m"})

    assert perform(script) == []
