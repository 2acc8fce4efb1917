"""Deadlines that move, up to a limit."""

from __future__ import annotations

import asyncio

from agentapi.timing.timer import Timer


async def test_restarts_without_a_pause_do_not_put_off_the_limit() -> None:
    """A flood of output arrives in every iteration of the loop, before timers run."""
    fired = asyncio.Event()
    timer = Timer(0.001, fired.set, limit=0.005)
    async with asyncio.timeout(5):
        while not fired.is_set():
            timer.restart()
            await asyncio.sleep(0)
