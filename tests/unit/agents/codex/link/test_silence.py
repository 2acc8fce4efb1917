"""When a silent server is asked whether it lives, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agentapi.agents.codex.link.rpc import RpcError, RpcLost
from agentapi.agents.codex.link.silence import SILENCE_LIMIT, Silence
from tests.support.replay import run_virtual


class Server:
    """Notes when it is asked, and answers as a test says."""

    def __init__(self) -> None:
        self.works = True
        self.asked: list[float] = []
        self.outcome: Exception | None = None
        self.silence = Silence(self.ask, lambda: self.works)

    async def ask(self, method: str, params: dict[str, Any]) -> None:
        """A call."""
        self.asked.append(asyncio.get_running_loop().time())
        if self.outcome is not None:
            raise self.outcome


def perform(script: Callable[[Server], Awaitable[None]]) -> list[float]:
    """Run a script in virtual time; when the server was asked, from its beginning."""

    async def main() -> list[float]:
        server, start = Server(), asyncio.get_running_loop().time()
        await script(server)
        server.silence.stop()
        return [at - start for at in server.asked]

    return run_virtual(main())


@pytest.mark.parametrize("outcome", [None, RpcError("thread/loaded/list", -1, "not known")])
def test_a_working_server_is_asked_after_each_long_silence(outcome: Exception | None) -> None:
    async def script(server: Server) -> None:
        server.outcome = outcome
        server.silence.broken()
        await asyncio.sleep(SILENCE_LIMIT - 1)
        server.silence.broken()
        await asyncio.sleep(SILENCE_LIMIT * 2 + 1)

    first = SILENCE_LIMIT * 2 - 1
    assert perform(script) == pytest.approx([first, first + SILENCE_LIMIT])


def test_an_idle_server_may_be_silent() -> None:
    async def script(server: Server) -> None:
        server.silence.broken()
        server.works = False
        server.silence.broken()
        await asyncio.sleep(SILENCE_LIMIT * 2)
        server.works = True
        server.silence.broken()
        server.silence.rest()
        await asyncio.sleep(SILENCE_LIMIT * 2)

    assert perform(script) == []


def test_a_lost_server_is_asked_no_more() -> None:
    async def script(server: Server) -> None:
        server.outcome = RpcLost("gone")
        server.silence.broken()
        await asyncio.sleep(SILENCE_LIMIT * 3)

    assert perform(script) == pytest.approx([SILENCE_LIMIT])
