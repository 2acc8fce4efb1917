"""Server-sent events: one subscription written to one client until either goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from agentapi.http.connections import CONNECTIONS
from agentapi.http.options import OPTIONS

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "0",
    "X-Accel-Buffering": "no",
    "X-Proxy-Buffering": "no",
    "Connection": "keep-alive",
}
PING = b": ping\n\n"


class EventStream(Protocol):
    """What a stream is written from: `agentapi.session.events.Subscription` and its like."""

    on_overflow: Callable[[], None] | None

    async def take(self) -> bytes:
        """The next frames; empty at the end."""

    def close(self) -> None:
        """Take no more."""


async def stream(request: web.Request, subscription: EventStream) -> web.StreamResponse:
    """Write what the subscription gives, a comment where it gives nothing for a while.

    A client that went away cancels this; one that reads too slowly has its connection cut, even
    in the midst of a write."""
    try:
        with request.app[CONNECTIONS].stream():
            return await _write(request, subscription)
    finally:
        subscription.close()


async def _write(request: web.Request, subscription: EventStream) -> web.StreamResponse:
    response = web.StreamResponse(headers=HEADERS)
    transport = request.transport
    if transport is not None:
        subscription.on_overflow = transport.abort
    try:
        await response.prepare(request)
        while data := await _next(subscription, request.app[OPTIONS].ping_interval):
            await response.write(data)
    except ConnectionError:
        pass  # the client is gone
    return response


async def _next(subscription: EventStream, patience: float) -> bytes:
    try:
        async with asyncio.timeout(patience):
            return await subscription.take()
    except TimeoutError:
        return PING
