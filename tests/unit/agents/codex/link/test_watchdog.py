"""When a silent server is pinged, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agentapi.agents.codex.link.rpc import RpcError, RpcLost
from agentapi.agents.codex.link.watchdog import SILENCE_LIMIT, Watchdog
from tests.support.replay import run_virtual


class Server:
    """Records its pings, and answers as the test sets."""

    def __init__(self) -> None:
        self.working = True
        self.pings: list[float] = []
        self.outcome: Exception | None = None
        self.watchdog = Watchdog(self.call, lambda: self.working)

    async def call(self, method: str, params: dict[str, Any]) -> None:
        """Handle a call."""
        self.pings.append(asyncio.get_running_loop().time())
        if self.outcome is not None:
            raise self.outcome


def perform(script: Callable[[Server], Awaitable[None]]) -> list[float]:
    """Run a script in virtual time; return the times of the pings from its start."""

    async def main() -> list[float]:
        server, start = Server(), asyncio.get_running_loop().time()
        await script(server)
        server.watchdog.stop()
        return [at - start for at in server.pings]

    return run_virtual(main())


@pytest.mark.parametrize("outcome", [None, RpcError("thread/loaded/list", -1, "not known")])
def test_a_working_server_is_pinged_after_each_long_silence(outcome: Exception | None) -> None:
    async def script(server: Server) -> None:
        server.outcome = outcome
        server.watchdog.reset()
        await asyncio.sleep(SILENCE_LIMIT - 1)
        server.watchdog.reset()
        await asyncio.sleep(SILENCE_LIMIT * 2 + 1)

    first = SILENCE_LIMIT * 2 - 1
    assert perform(script) == pytest.approx([first, first + SILENCE_LIMIT])


def test_an_idle_server_may_be_silent() -> None:
    async def script(server: Server) -> None:
        server.watchdog.reset()
        server.working = False
        server.watchdog.reset()
        await asyncio.sleep(SILENCE_LIMIT * 2)
        server.working = True
        server.watchdog.reset()
        server.watchdog.pause()
        await asyncio.sleep(SILENCE_LIMIT * 2)

    assert perform(script) == []


def test_a_lost_server_is_not_pinged_again() -> None:
    async def script(server: Server) -> None:
        server.outcome = RpcLost("gone")
        server.watchdog.reset()
        await asyncio.sleep(SILENCE_LIMIT * 3)

    assert perform(script) == pytest.approx([SILENCE_LIMIT])
