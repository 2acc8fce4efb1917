"""Every connection to the server: how many there may be, and how long one may keep us waiting.

A connection *waits* while it has no request in hand: since it was opened, or since its last answer.
Those that wait are closed after a time, and when there are too many, the longest first. When all
have a request in hand, a few more are let in for the health checks; everything else on them is
answered 503. A stream (server-sent events, a WebSocket) is a request that never ends, and may not
take the last places.
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
from agentapi.http.security import FREE
from agentapi.processes import descriptors

RESERVE = 100
"""Descriptors that are not for connections: the agent, files, sockets that are being closed."""
SPARE = 32
"""Connections beyond the limit, for health checks: the newest."""
SPARE_TIME = 1.0
"""Seconds that one of them may take."""
FEWEST = 16
"""Connections that are allowed whatever the limit of descriptors."""
ACCEPTED_AT_ONCE = 16
"""Connections that one turn of the loop takes."""
PAUSE = 0.5
"""Seconds without accepting when the system has no descriptor for another connection."""
TCP_OPTIONS = (
    (socket.TCP_KEEPIDLE, 60),
    (socket.TCP_KEEPINTVL, 15),
    (socket.TCP_KEEPCNT, 4),
    (socket.TCP_USER_TIMEOUT, 120_000),
)
"""A peer that is gone without a word is found out within two minutes."""
LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
RETRY = {"Retry-After": "10", "Connection": "close"}

SELDOM = {"seldom": True}
"""`extra` of a record of a condition that may come up a thousand times a second: few are logged."""

log = logging.getLogger(__name__)


class Connections:
    """The connections of one server. Lives on one event loop."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.most = max(FEWEST, min(self.limits.connections, descriptors.limit() - RESERVE))
        self._handler: Callable[[], asyncio.Protocol] | None = None
        self._open: set[Connection] = set()
        self._by_transport: dict[asyncio.BaseTransport, Connection] = {}
        self._waiting: dict[Connection, None] = {}
        """The longest first."""
        self._spare: dict[Connection, None] = {}
        """Those beyond the limit, the oldest first."""
        self._streams = 0
        self._connecting: set[asyncio.Task[None]] = set()
        self._listeners: dict[socket.socket, asyncio.TimerHandle | None] = {}

    def __len__(self) -> int:
        return len(self._open)

    # -- taking them -------------------------------------------------------------------------

    def listen(self, listener: socket.socket, handler: Callable[[], asyncio.Protocol]) -> None:
        """Take what comes on a listening socket; `handler` makes what serves a connection."""
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
            for _ in range(ACCEPTED_AT_ONCE):
                self._take(listener.accept()[0])
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass
        except OSError as error:
            self._pause(listener, error)

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        """No descriptor is left, and the listening socket would go on telling of the peer that
        waits: look again later, with one connection less."""
        log.warning("a client cannot be taken: %s", error.strerror, extra=SELDOM)
        self._make_room()
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        self._listeners[listener] = loop.call_later(PAUSE, self._listen, listener)

    def _take(self, client: socket.socket) -> None:
        over = len(self._open) - len(self._spare) >= self.most and not self._make_room()
        if len(self._spare) >= SPARE:
            oldest = next(iter(self._spare))
            self.forget(oldest)
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
            self.forget(connection)
            client.close()

    def _make_room(self) -> bool:
        """Close the connection that has waited longest; whether there was one."""
        if not self._waiting:
            log.warning("%d connections are busy, the most there may be", self.most, extra=SELDOM)
            return False
        log.info("more than %d connections: those idle longest are closed", self.most, extra=SELDOM)
        connection = next(iter(self._waiting))
        self.forget(connection)
        connection.abort()
        return True

    # -- what the connections tell ------------------------------------------------------------

    def opened(self, connection: Connection, transport: asyncio.BaseTransport) -> None:
        """It has a transport."""
        self._by_transport[transport] = connection

    def waits(self, connection: Connection) -> None:
        """It has no request in hand."""
        if connection in self._open and not connection.over:
            self._waiting[connection] = None

    def works(self, connection: Connection) -> None:
        """It has one."""
        self._waiting.pop(connection, None)

    def forget(self, connection: Connection) -> None:
        """It is closed, or will be at once. Idempotent."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)
        self._spare.pop(connection, None)
        if connection.transport is not None:
            self._by_transport.pop(connection.transport, None)

    # -- what the requests need ----------------------------------------------------------------

    def of(self, request: web.BaseRequest) -> Connection | None:
        """The connection that a request came on."""
        transport = request.transport
        return None if transport is None else self._by_transport.get(transport)

    @contextlib.contextmanager
    def stream(self) -> Iterator[None]:
        """Count a stream while it lasts. Raises `Problem` (503) when there are too many."""
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
    """One connection: passes everything to the handler that serves it, and watches the clock."""

    def __init__(self, among: Connections, handler: asyncio.Protocol, over: bool) -> None:
        self.over = over
        """Whether it is one too many, and only good for a health check."""
        self.transport: asyncio.Transport | None = None
        self._among, self._handler = among, handler
        self._requests = 0
        self._begun = False
        """Whether a request has begun to come in."""
        self._unsent = 0
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """A request is in hand while this lasts."""
        self._requests += 1
        self._set_timer(None)
        self._among.works(self)
        try:
            yield
        finally:
            self._requests -= 1
            if not self._requests:
                self._wait()

    def refuse(self) -> None:
        """Say that there are too many connections, and close it."""
        if self.transport is not None and not self._requests:
            self.transport.write(FULL)
        self.abort()

    def abort(self) -> None:
        """Close it now."""
        self._set_timer(None)
        if self.transport is not None:
            self.transport.abort()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        _tune(transport.get_extra_info("socket"))
        self._among.opened(self, transport)
        self._handler.connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if not self._requests and not self._begun:
            self._begun = True
            if not self.over:
                self._set_timer(self._among.limits.header)
        self._handler.data_received(data)

    def eof_received(self) -> bool | None:
        return self._handler.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timer(None)
        self._among.forget(self)
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()

    # -- the clock

    def _wait(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self._begun = False
        self._among.waits(self)
        limits = self._among.limits
        self._set_timer(min(SPARE_TIME, limits.header) if self.over else limits.idle)

    def _late(self) -> None:
        """Nothing came in time; but an answer may still be on its way to a slow reader."""
        assert self.transport is not None
        unsent, self._unsent = self._unsent, self.transport.get_write_buffer_size()
        if self._unsent and self._unsent != unsent:
            self._set_timer(self._among.limits.idle)
            return
        if self._begun and not self._unsent:
            self.transport.write(LATE)
            self.transport.close()
        else:
            self.transport.abort()

    def _set_timer(self, delay: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if delay is not None:
            self._timer = asyncio.get_running_loop().call_later(delay, self._late)


def _tune(one: socket.socket) -> None:
    with contextlib.suppress(OSError):  # no TCP
        for option, value in TCP_OPTIONS:
            one.setsockopt(socket.IPPROTO_TCP, option, value)


CONNECTIONS = web.AppKey("connections", Connections)


@web.middleware
async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Note that the connection has a request in hand; refuse what is one too many."""
    connections = request.app[CONNECTIONS]
    connection = connections.of(request)
    if connection is None:
        return await handler(request)
    with connection.request():
        if not connection.over:
            return await handler(request)
        if request.path in FREE:
            answer = await handler(request)
            answer.force_close()
            return answer
        detail = f"{connections.most} connections are open, the most there may be"
        return response(request, Problem(503, detail, (), RETRY))
