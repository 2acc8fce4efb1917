"""Server-sent events: write a subscription to a client until either ends."""

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
    """The source of a stream, such as `agentapi.session.events.Subscription`."""

    on_overflow: Callable[[], None] | None

    async def take(self) -> bytes:
        """Return the next frames; empty at the end."""

    def close(self) -> None:
        """End the subscription."""


async def stream(request: web.Request, subscription: EventStream) -> web.StreamResponse:
    """Write the subscription's frames, and a comment after a silence.

    A disconnect cancels this; a client that reads too slowly is disconnected, even during a
    write."""
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


async def _next(subscription: EventStream, limit: float) -> bytes:
    try:
        async with asyncio.timeout(limit):
            return await subscription.take()
    except TimeoutError:
        return PING
