"""The HTTP application of one session. It serves before the agent is ready, or even started."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterable

from aiohttp import WSCloseCode, web
from aiohttp.typedefs import Middleware

from agentapi.http import security
from agentapi.http.agent_requests import agent_requests
from agentapi.http.connections import CONNECTIONS, Connections, counted
from agentapi.http.options import OPTIONS, SESSION, SOCKETS, WARM_UP, HttpOptions, Sockets
from agentapi.http.problems import problems
from agentapi.http.routes import (
    chat,
    control,
    conversation,
    docs,
    health,
    queue,
    terminal,
    transcript,
    upload,
)
from agentapi.session.session import AgentSession

__all__ = ["HttpOptions", "create_app"]

WARM_UP_DELAY = 1.0
"""Seconds after the start, while an agent still draws its first screen."""


def create_app(session: AgentSession, options: HttpOptions | None = None) -> web.Application:
    """Create the application. Run it with `handler_cancellation` (as `agentapi.http.server` does):
    a disconnect must cancel the request."""
    options = options or HttpOptions()
    origins = security.Origins(options.allowed_origins)
    token = security.Token(options.auth_token) if options.auth_token else None
    app = web.Application(middlewares=_middlewares(options, origins, token))
    app[SESSION] = session
    app[OPTIONS] = options
    app[SOCKETS] = Sockets()
    app[CONNECTIONS] = Connections(options.limits)
    for routes in (conversation, transcript, upload, control, queue, health, terminal, chat, docs):
        routes.add(app)
    if token is not None:
        control.add_login(app, token)

    async def headers(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Server"] = "agentapi"
        security.cors_headers(request, response, origins)

    app.on_response_prepare.append(headers)
    app.on_startup.append(_warm_up)
    app.on_shutdown.append(_end_streams)
    return app


def _middlewares(
    options: HttpOptions, origins: security.Origins, token: security.Token | None
) -> Iterable[Middleware]:
    yield counted
    yield security.hosts(options.allowed_hosts)
    yield security.cors(origins)
    yield problems
    if token is not None:
        yield security.token_guard(token)
    yield security.same_site(origins)
    if options.callers is not None:
        allowed = options.allow_agent_requests
        yield agent_requests(options.callers, allowed, with_token=token is not None)


async def _warm_up(app: web.Application) -> None:
    app[WARM_UP] = asyncio.create_task(_load_models(), name="load the models of the bodies")


async def _load_models() -> None:
    """Import pydantic in the background: neither the start nor the first message waits for it."""
    await asyncio.sleep(WARM_UP_DELAY)
    await asyncio.to_thread(importlib.import_module, "agentapi.http.models")


async def _end_streams(app: web.Application) -> None:
    app[SESSION].close_streams()
    sockets: Sockets = app[SOCKETS]
    for socket in tuple(sockets):
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server ends")
    app[WARM_UP].cancel()
    await asyncio.gather(app[WARM_UP], return_exceptions=True)
