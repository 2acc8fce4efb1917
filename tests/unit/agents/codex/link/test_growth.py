"""How the items of a turn that are under way are told, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from agentapi.agents.codex.link.growth import LONG, Growth
from agentapi.agents.codex.link.items import OUTPUT_KEPT, GrowingItem, thread_item
from agentapi.model.items import AgentMessage, ToolCall
from agentapi.timing.throttle import EVENT_INTERVAL
from tests.support.replay import run_virtual

TEXT, OUTPUT = "item/agentMessage/delta", "item/commandExecution/outputDelta"
Told = list[tuple[float, str, str]]
"""When, which item, and its text or output so far."""


def perform(script: Callable[[Growth], Awaitable[None]]) -> Told:
    """Run a script in virtual time; what was told, the times from its beginning."""

    async def main() -> Told:
        told: Told = []
        loop = asyncio.get_running_loop()
        start = loop.time()

        def tell(seen: Any) -> None:
            item = seen.item
            assert seen.partial
            assert isinstance(item, AgentMessage | ToolCall)
            text = item.text if isinstance(item, AgentMessage) else item.output
            told.append((round(loop.time() - start, 3), seen.id, text))

        growth = Growth(tell)
        await script(growth)
        growth.stop()
        return told

    return run_virtual(main())


def begin(growth: Growth, kind: str, number: str) -> None:
    raw = {"id": number, "type": kind}
    growth.begin("turn", raw, thread_item(raw))


def grow(growth: Growth, number: str, delta: str, method: str = TEXT) -> bool:
    return growth.delta(method, {"itemId": number, "delta": delta, "turnId": "turn"})


def test_pieces_that_come_slowly_are_told_one_by_one_and_at_once() -> None:
    async def script(growth: Growth) -> None:
        begin(growth, "agentMessage", "m")
        for delta in ("a", "b"):
            grow(growth, "m", delta)
            await asyncio.sleep(0.05)

    assert perform(script) == [(0, "m", "a"), (0.05, "m", "ab")]


def test_a_flood_is_told_at_once_then_in_intervals_and_to_its_end() -> None:
    async def script(growth: Growth) -> None:
        begin(growth, "agentMessage", "m")
        for _ in range(100):
            grow(growth, "m", "x")
            await asyncio.sleep(0.001)
        await asyncio.sleep(1)

    told = perform(script)
    assert told[0] == (0, "m", "x")
    assert told[-1][2] == "x" * 100
    assert len(told) <= 0.1 / EVENT_INTERVAL + 2


def test_of_a_long_output_the_end_is_told_and_no_more_is_held() -> None:
    item = GrowingItem("turn", ToolCall("shell", "yes"))
    whole = ""
    for number in range(40_000):
        whole += (line := f"line {number}\n")
        item.grow(line)
        assert item._waiting <= OUTPUT_KEPT + len(line)
    current = item.current()
    assert isinstance(current, ToolCall)
    assert current.output == whole[-OUTPUT_KEPT:]
    assert item.current() is current
    assert item.size == OUTPUT_KEPT


def test_a_long_message_is_told_whole_and_as_many_characters_a_second_as_a_short_one() -> None:
    piece, seconds = "x" * 1024, 2

    async def script(growth: Growth) -> None:
        begin(growth, "agentMessage", "m")
        for _ in range(seconds * 1000):  # 2 MiB
            grow(growth, "m", piece)
            await asyncio.sleep(0.001)
        await asyncio.sleep(1)

    told = perform(script)
    assert told[-1][2] == piece * seconds * 1000
    assert sum(len(text) for _, _, text in told) < (seconds + 1) * 1.5 * LONG / EVENT_INTERVAL


def test_what_comes_after_a_long_message_does_not_wait_for_its_interval() -> None:
    async def script(growth: Growth) -> None:
        begin(growth, "agentMessage", "long")
        grow(growth, "long", "x" * 40 * LONG)
        growth.end("long")
        begin(growth, "agentMessage", "m")
        for delta in "ab":
            grow(growth, "m", delta)
        await asyncio.sleep(1)

    assert perform(script)[1:] == [(0, "m", "a"), (EVENT_INTERVAL, "m", "ab")]


def test_items_grow_beside_one_another() -> None:
    async def script(growth: Growth) -> None:
        begin(growth, "agentMessage", "m")
        begin(growth, "commandExecution", "c")
        grow(growth, "m", "Look:")
        grow(growth, "c", "one\n", OUTPUT)
        grow(growth, "c", "two\n", OUTPUT)
        growth.flush()

    assert perform(script) == [(0, "m", "Look:"), (0, "c", "one\ntwo\n")]


def test_what_grew_of_an_item_that_ended_is_not_told_any_more() -> None:
    async def script(growth: Growth) -> None:
        begin(growth, "agentMessage", "m")
        grow(growth, "m", "a")
        grow(growth, "m", "b")
        assert growth.raw("m")["id"] == "m"
        growth.end("m")
        assert growth.raw("m") == {}
        await asyncio.sleep(1)

    assert perform(script) == [(0, "m", "a")]


def test_a_message_whose_beginning_was_missed_grows_all_the_same() -> None:
    async def script(growth: Growth) -> None:
        assert grow(growth, "m", "late")
        assert grow(growth, "c", "unseen", OUTPUT)
        growth.clear()

    assert perform(script) == [(0, "m", "late")]


def test_what_is_no_piece_is_refused() -> None:
    async def script(growth: Growth) -> None:
        assert not growth.delta(TEXT, {"itemId": 1, "delta": "x"})
        assert not growth.delta(TEXT, {"itemId": "m"})

    assert perform(script) == []
