"""A server that says nothing while it works may be dead without its connection knowing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from agentapi.agents.codex.link.rpc import ALIVE, RpcError, RpcLost
from agentapi.timing.timer import Timer

SILENCE_LIMIT = 30.0
"""Seconds without a word in a turn after which the server is asked whether it lives."""

log = logging.getLogger(__name__)


class Silence:
    """Asks after a long silence; between turns a server may be silent for ever. `ask` calls the
    server, and sees to the loss of one that does not answer."""

    def __init__(
        self, ask: Callable[[str, dict[str, Any]], Awaitable[Any]], works: Callable[[], bool]
    ) -> None:
        self._ask, self._works = ask, works
        self._timer = Timer(SILENCE_LIMIT, self._check)
        self._asking: asyncio.Task[None] | None = None

    def broken(self) -> None:
        """The server said something: put off the question."""
        self.rest()
        if self._works():
            self._timer.start()

    def rest(self) -> None:
        """Nothing is waited for."""
        self._timer.cancel()

    def stop(self) -> None:
        """Ask nothing any more."""
        self.rest()
        if self._asking is not None:
            self._asking.cancel()

    def _check(self) -> None:
        self._asking = asyncio.create_task(self._ask_for_life(), name="codex link: check")

    async def _ask_for_life(self) -> None:
        try:
            await self._ask(ALIVE, {})
        except RpcError as error:
            log.info("codex link: %s", error)
        except RpcLost:
            return
        self.broken()
