"""Serve an application on sockets that listen already, and end."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from aiohttp import web

from agentapi.http.connections import CONNECTIONS

PATIENCE = 1.0
"""Seconds that open requests get to end at shutdown; streams are ended at once."""
LINGER = 2.0
"""Seconds that a refused body is still read, so that its sender sees the refusal, not a reset."""


class HttpServer:
    """An application on listening sockets, which it closes at its end."""

    def __init__(self, app: web.Application, sockets: Sequence[socket.socket]) -> None:
        self._sockets = sockets
        self._connections = app[CONNECTIONS]
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            shutdown_timeout=PATIENCE,
            lingering_time=LINGER,
        )

    async def start(self) -> None:
        """Serve from now on."""
        await self._runner.setup()
        handler = self._runner.server
        assert handler is not None
        for one in self._sockets:
            self._connections.listen(one, handler)

    async def stop(self) -> None:
        """Take no more connections, end the streams, wait briefly for requests. Idempotent."""
        self._connections.close()
        await self._runner.cleanup()
