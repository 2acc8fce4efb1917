"""The throttle: at once, then once per interval, never without the last call."""

from __future__ import annotations

import asyncio

from agentapi.timing.throttle import Throttle


class Counter:
    def __init__(self, interval: float) -> None:
        self.count = 0
        self.done = asyncio.Event()
        self.throttle = Throttle(interval, self.act)

    def act(self) -> None:
        self.count += 1
        self.done.set()


async def test_the_first_call_acts_at_once_and_the_next_waits() -> None:
    counter = Counter(1000)
    counter.throttle.call()
    counter.throttle.call()
    assert counter.count == 1
    counter.throttle.stop()


async def test_many_calls_lead_to_one_more_action() -> None:
    counter = Counter(0.01)
    for _ in range(100):
        counter.throttle.call()
    counter.done.clear()
    await asyncio.wait_for(counter.done.wait(), 5)
    assert counter.count == 2


async def test_a_flush_acts_only_when_something_is_owed() -> None:
    counter = Counter(1000)
    counter.throttle.flush()
    counter.throttle.call()
    counter.throttle.flush()
    assert counter.count == 1
    counter.throttle.call()
    counter.throttle.flush()
    assert counter.count == 2
    counter.throttle.stop()


async def test_now_acts_whatever_the_interval_and_pays_what_is_owed() -> None:
    counter = Counter(1000)
    counter.throttle.call()
    counter.throttle.call()
    counter.throttle.now()
    assert counter.count == 2
    counter.throttle.flush()
    assert counter.count == 2
    counter.throttle.stop()


async def test_stopping_forgets_what_is_owed() -> None:
    counter = Counter(1000)
    counter.throttle.call()
    counter.throttle.call()
    counter.throttle.stop()
    counter.throttle.flush()
    assert counter.count == 1
    counter.throttle.call()
    assert counter.count == 2
    counter.throttle.stop()
