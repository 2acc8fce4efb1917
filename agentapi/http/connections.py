"""The server's connections: their maximum number and their timeouts.

A connection is *idle* while it has no open request: since it was opened, or since its last
response. Idle connections are closed after a timeout, and the longest idle first if there are too
many. If none is idle, a few more are accepted for health checks; other requests on them get a 503.
A stream (server-sent events, a WebSocket) is a request without an end, and may not take the last
connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator

from aiohttp import web
from aiohttp.typedefs import Handler

from agentapi.http.options import Limits
from agentapi.http.problems import Problem, response
from agentapi.http.security import UNRESTRICTED
from agentapi.processes import descriptors

RESERVE = 100
"""Descriptors not used for connections: the agent, files, sockets that are being closed."""
SPARE = 32
"""Extra connections beyond the limit, for health checks; the oldest are closed first."""
SPARE_TIME = 1.0
"""The timeout of an extra connection, in seconds."""
MIN_CONNECTIONS = 16
"""Connections allowed regardless of the limit of descriptors."""
ACCEPT_BATCH = 16
"""Connections accepted in one iteration of the event loop."""
PAUSE = 0.5
"""Seconds to pause accepting when there is no descriptor for another connection."""
TCP_OPTIONS = (
    (socket.TCP_KEEPIDLE, 60),
    (socket.TCP_KEEPINTVL, 15),
    (socket.TCP_KEEPCNT, 4),
    (socket.TCP_USER_TIMEOUT, 120_000),
)
"""A peer that vanished is detected within two minutes."""
LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
RETRY = {"Retry-After": "10", "Connection": "close"}

SELDOM = {"seldom": True}
"""`extra` of log records that may occur a thousand times a second: their rate is limited."""

log = logging.getLogger(__name__)


class Connections:
    """The connections of one server. Lives on one event loop."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        allowed = min(self.limits.connections, descriptors.limit() - RESERVE)
        self.most = max(MIN_CONNECTIONS, allowed)
        self._handler: Callable[[], asyncio.Protocol] | None = None
        self._open: set[Connection] = set()
        self._by_transport: dict[asyncio.BaseTransport, Connection] = {}
        self._idle: dict[Connection, None] = {}
        """Idle connections, the longest idle first."""
        self._spare: dict[Connection, None] = {}
        """Connections beyond the limit, the oldest first."""
        self._streams = 0
        self._connecting: set[asyncio.Task[None]] = set()
        self._listeners: dict[socket.socket, asyncio.TimerHandle | None] = {}

    def __len__(self) -> int:
        return len(self._open)

    # -- accepting ---------------------------------------------------------------------------

    def listen(self, listener: socket.socket, handler: Callable[[], asyncio.Protocol]) -> None:
        """Accept connections on a listening socket; `handler` creates the protocol of each."""
        self._handler = handler
        listener.setblocking(False)
        self._listen(listener)

    def close(self) -> None:
        """Take no more, and close the listening sockets. Idempotent."""
        for listener, timer in self._listeners.items():
            if timer is not None:
                timer.cancel()
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        self._listeners.clear()
        for task in self._connecting:
            task.cancel()

    def _listen(self, listener: socket.socket) -> None:
        self._listeners[listener] = None
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            for _ in range(ACCEPT_BATCH):
                self._take(listener.accept()[0])
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass
        except OSError as error:
            self._pause(listener, error)

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        """Close an idle connection and stop accepting for a while: no descriptor is left, and the
        listening socket stays readable."""
        log.warning("a client cannot be taken: %s", error.strerror, extra=SELDOM)
        self._make_room()
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        self._listeners[listener] = loop.call_later(PAUSE, self._listen, listener)

    def _take(self, client: socket.socket) -> None:
        over = len(self._open) - len(self._spare) >= self.most and not self._make_room()
        if len(self._spare) >= SPARE:
            oldest = next(iter(self._spare))
            self.remove(oldest)
            oldest.refuse()
        assert self._handler is not None
        connection = Connection(self, self._handler(), over)
        self._open.add(connection)
        if over:
            self._spare[connection] = None
        task = asyncio.get_running_loop().create_task(self._connect(connection, client))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, connection: Connection, client: socket.socket) -> None:
        try:
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(lambda: connection, client)
        except OSError:
            self.remove(connection)
            client.close()

    def _make_room(self) -> bool:
        """Close the connection that has been idle longest. Return whether there was one."""
        if not self._idle:
            log.warning("%d connections are busy, the most there may be", self.most, extra=SELDOM)
            return False
        log.info("more than %d connections: those idle longest are closed", self.most, extra=SELDOM)
        connection = next(iter(self._idle))
        self.remove(connection)
        connection.abort()
        return True

    # -- called by connections ---------------------------------------------------------------

    def opened(self, connection: Connection, transport: asyncio.BaseTransport) -> None:
        """Note a connection's transport."""
        self._by_transport[transport] = connection

    def idle(self, connection: Connection) -> None:
        """Note that a connection has no open request."""
        if connection in self._open and not connection.over:
            self._idle[connection] = None

    def busy(self, connection: Connection) -> None:
        """Note that a connection has an open request."""
        self._idle.pop(connection, None)

    def remove(self, connection: Connection) -> None:
        """Remove a connection that is closed or about to be. Idempotent."""
        self._open.discard(connection)
        self._idle.pop(connection, None)
        self._spare.pop(connection, None)
        if connection.transport is not None:
            self._by_transport.pop(connection.transport, None)

    # -- called by requests ------------------------------------------------------------------

    def of(self, request: web.BaseRequest) -> Connection | None:
        """Return the connection of a request."""
        transport = request.transport
        return None if transport is None else self._by_transport.get(transport)

    @contextlib.contextmanager
    def stream(self) -> Iterator[None]:
        """Count a stream while it lasts. Raises `Problem` (503) if there are too many."""
        if self._streams >= self.most * self.limits.streams:
            raise Problem(
                503, f"{self._streams} streams are open, the most there may be", (), RETRY
            )
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1


class Connection(asyncio.Protocol):
    """One connection: forwards everything to its handler, and enforces timeouts."""

    def __init__(self, connections: Connections, handler: asyncio.Protocol, over: bool) -> None:
        self.over = over
        """Whether it is beyond the limit, and serves only health checks."""
        self.transport: asyncio.Transport | None = None
        self._connections, self._handler = connections, handler
        self._requests = 0
        self._receiving = False
        """Whether a part of a request has arrived."""
        self._unsent = 0
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Count a request while it lasts."""
        self._requests += 1
        self._set_timer(None)
        self._connections.busy(self)
        try:
            yield
        finally:
            self._requests -= 1
            if not self._requests:
                self._set_idle()

    def refuse(self) -> None:
        """Respond with 503 if there is no open request, and close the connection."""
        if self.transport is not None and not self._requests:
            self.transport.write(FULL)
        self.abort()

    def abort(self) -> None:
        """Close the connection now."""
        self._set_timer(None)
        if self.transport is not None:
            self.transport.abort()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        _tune(transport.get_extra_info("socket"))
        self._connections.opened(self, transport)
        self._handler.connection_made(transport)
        self._set_idle()

    def data_received(self, data: bytes) -> None:
        if not self._requests and not self._receiving:
            self._receiving = True
            if not self.over:
                self._set_timer(self._connections.limits.header)
        self._handler.data_received(data)

    def eof_received(self) -> bool | None:
        return self._handler.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timer(None)
        self._connections.remove(self)
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()

    # -- timeouts

    def _set_idle(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self._receiving = False
        self._connections.idle(self)
        limits = self._connections.limits
        self._set_timer(min(SPARE_TIME, limits.header) if self.over else limits.idle)

    def _on_timeout(self) -> None:
        """Close the connection on timeout, unless a slow client still reads a response."""
        assert self.transport is not None
        unsent, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        if self._unsent and self._unsent != unsent:
            self._set_timer(self._connections.limits.idle)
            return
        if self._receiving and not self._unsent:
            self.transport.write(LATE)
            self.transport.close()
        else:
            self.transport.abort()

    def _set_timer(self, delay: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if delay is not None:
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timeout)


def _tune(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # no TCP
        for option, value in TCP_OPTIONS:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


CONNECTIONS = web.AppKey("connections", Connections)


@web.middleware
async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the request of a connection; refuse it beyond the limit."""
    connections = request.app[CONNECTIONS]
    connection = connections.of(request)
    if connection is None:
        return await handler(request)
    with connection.request():
        if not connection.over:
            return await handler(request)
        if request.path in UNRESTRICTED:
            reply = await handler(request)
            reply.force_close()
            return reply
        detail = f"{connections.most} connections are open, the most there may be"
        return response(request, Problem(503, detail, (), RETRY))
