"""`GET /terminal`, a WebSocket: the agent's terminal, for other terminals.

Out: binary frames. The first repaints the whole screen; then follow the agent's bytes. A client
that reads too slowly misses some, and gets another repaint.

In: binary frames are keystrokes; text frames are keystrokes too, except a JSON object
`{"resize": [columns, rows]}`. A client must not forward its own terminal's replies to queries: the
daemon's terminal has answered them.
"""

from __future__ import annotations

import asyncio
import codecs
import json

from aiohttp import WSMessage, WSMsgType, web

from agentapi.http.connections import CONNECTIONS
from agentapi.http.options import OPTIONS, SESSION, SOCKETS
from agentapi.http.problems import Problem
from agentapi.session.session import AgentSession

MAX_LAG = 256 * 1024
"""The number of unsent bytes after which a client gets a repaint instead."""
MAX_SIZE = (1000, 2000)
"""The maximum columns and rows; the minimum is 10 each."""
HEARTBEAT = 20.0


def add(app: web.Application) -> None:
    """Add the route."""
    app.router.add_get("/terminal", terminal, allow_head=False)


async def terminal(request: web.Request) -> web.StreamResponse:
    """Attach a terminal until either side closes."""
    session = request.app[SESSION]
    if session.driver.transport != "pty":
        raise Problem(404, "this agent has no terminal: it is driven over ACP")
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT, compress=False, max_msg_size=1024 * 1024)
    if not socket.can_prepare(request):
        raise Problem(426, "this endpoint speaks WebSocket", headers={"Upgrade": "websocket"})
    with request.app[CONNECTIONS].stream():
        return await _attach(request, socket)


async def _attach(request: web.Request, socket: web.WebSocketResponse) -> web.StreamResponse:
    session = request.app[SESSION]
    await socket.prepare(request)
    request.app[SOCKETS].add(socket)
    feed = OutputFeed(session)
    writer = asyncio.create_task(_write(socket, feed))
    try:
        await _read(socket, session)
    finally:
        request.app[SOCKETS].discard(socket)
        feed.close()
        await _restore_size(request)
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
    return socket


async def _restore_size(request: web.Request) -> None:
    """Restore the configured size when the last viewer has left: the API's readers expect it."""
    size = request.app[OPTIONS].terminal_size
    if size is not None and not request.app[SOCKETS]:
        await request.app[SESSION].driver.resize(*size)


class OutputFeed:
    """The unsent terminal output of one client."""

    def __init__(self, session: AgentSession) -> None:
        self._session = session
        self._parts: list[bytes] = []
        self._size = 0
        self._repaint = True
        self._available = asyncio.Event()
        self._available.set()
        self._unwatch = session.driver.watch(self._on_bytes)

    def close(self) -> None:
        """Stop watching."""
        self._unwatch()

    async def take(self) -> bytes:
        """Wait for output and return it."""
        await self._available.wait()
        self._available.clear()
        if self._repaint:
            self._repaint = False
            data = self._session.driver.repaint()
        else:
            data = b"".join(self._parts)
        self._clear()
        self._session.stats.terminal_bytes += len(data)
        return data

    def _on_bytes(self, data: bytes) -> None:
        if not self._repaint:
            self._parts.append(data)
            self._size += len(data)
            if self._size > MAX_LAG:
                self._repaint = True
                self._clear()
        self._available.set()

    def _clear(self) -> None:
        self._parts.clear()
        self._size = 0


async def _write(socket: web.WebSocketResponse, feed: OutputFeed) -> None:
    while True:
        await socket.send_bytes(await feed.take())


async def _read(socket: web.WebSocketResponse, session: AgentSession) -> None:
    keys = codecs.getincrementaldecoder("utf-8")("replace")
    async for message in socket:
        size = _resize(message)
        if size is not None:
            await session.driver.resize(*size)
        elif message.type is WSMsgType.TEXT:
            await session.type(message.data)
        elif message.type is WSMsgType.BINARY and (text := keys.decode(message.data)):
            await session.type(text)


def _resize(message: WSMessage) -> tuple[int, int] | None:
    """Parse the size in a text frame, clamped to the bounds; None if it is keystrokes."""
    if message.type is not WSMsgType.TEXT or not message.data.startswith("{"):
        return None
    try:
        match json.loads(message.data):
            case {"resize": [int(columns), int(rows)]}:
                return (
                    min(max(columns, 10), MAX_SIZE[0]),
                    min(max(rows, 10), MAX_SIZE[1]),
                )
    except (ValueError, RecursionError):
        pass
    return None
