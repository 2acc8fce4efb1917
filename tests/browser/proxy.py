"""A reverse proxy that takes a path prefix away, as Coder's does for an app on a path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import aiohttp
from aiohttp import web

HOP_BY_HOP = {"connection", "content-length", "content-encoding", "host", "transfer-encoding"}


class StrippingProxy:
    """Passes `PREFIX/path` on to `TARGET/path`; knows no other path."""

    def __init__(self, prefix: str, target: str) -> None:
        self.prefix = prefix
        self.target = target
        self.asked_outside: list[str] = []
        """Paths outside the prefix that somebody asked for."""
        self._open: list[web.Request] = []

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application()
        app.cleanup_ctx.append(self._client)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        return app

    def cut(self) -> None:
        """Break every connection that is open, as a network that goes away does."""
        for request in self._open:
            if request.transport:
                request.transport.abort()

    async def _client(self, app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            yield

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        if not request.path.startswith(self.prefix + "/"):
            self.asked_outside.append(request.path)
            raise web.HTTPNotFound
        self._open.append(request)
        try:
            return await self._answer(request)
        finally:
            self._open.remove(request)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        url = self.target + request.raw_path.removeprefix(self.prefix)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        async with self._session.request(
            request.method, url, headers=headers, data=await request.read(), allow_redirects=False
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            with suppress(ConnectionError):
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
            return response
