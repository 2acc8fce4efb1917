"""Detect an app-server that stopped responding during a turn while its connection stays open."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from agentapi.agents.codex.link.rpc import PING, RpcError, RpcLost
from agentapi.timing.timer import Timer

SILENCE_LIMIT = 30.0
"""Seconds without a message during a turn after which the server is pinged."""

log = logging.getLogger(__name__)


class Watchdog:
    """Pings the server after a long silence, but not between turns.

    `call` calls the server, and handles the loss of one that does not respond."""

    def __init__(
        self, call: Callable[[str, dict[str, Any]], Awaitable[Any]], is_working: Callable[[], bool]
    ) -> None:
        self._call, self._is_working = call, is_working
        self._timer = Timer(SILENCE_LIMIT, self._check)
        self._checking: asyncio.Task[None] | None = None

    def reset(self) -> None:
        """Restart the timer: the server sent a message."""
        self.pause()
        if self._is_working():
            self._timer.start()

    def pause(self) -> None:
        """Stop the timer until the next message."""
        self._timer.cancel()

    def stop(self) -> None:
        """Stop the timer and any ping."""
        self.pause()
        if self._checking is not None:
            self._checking.cancel()

    def _check(self) -> None:
        self._checking = asyncio.create_task(self._ping(), name="codex link: check")

    async def _ping(self) -> None:
        try:
            await self._call(PING, {})
        except RpcError as error:
            log.info("codex link: %s", error)
        except RpcLost:
            return
        self.reset()
