"""Serve an application on listening sockets."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from aiohttp import web

from agentapi.http.connections import CONNECTIONS

SHUTDOWN_TIMEOUT = 1.0
"""Seconds to wait for open requests at shutdown; streams are ended at once."""
LINGER = 2.0
"""Seconds to keep reading a refused body: the client must see the response, not a reset."""


class HttpServer:
    """Serves an application on listening sockets, and closes them at the end."""

    def __init__(self, app: web.Application, sockets: Sequence[socket.socket]) -> None:
        self._sockets = sockets
        self._connections = app[CONNECTIONS]
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            shutdown_timeout=SHUTDOWN_TIMEOUT,
            lingering_time=LINGER,
        )

    async def start(self) -> None:
        """Start serving."""
        await self._runner.setup()
        handler = self._runner.server
        assert handler is not None
        for sock in self._sockets:
            self._connections.listen(sock, handler)

    async def stop(self) -> None:
        """Stop accepting, end the streams, wait briefly for requests. Idempotent."""
        self._connections.close()
        await self._runner.cleanup()
