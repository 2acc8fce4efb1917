"""Restricts the agent's own requests: it may read, but not drive its own server.

An agent in a sandbox may have network access. It could then answer the dialog that asks whether it
may leave the sandbox, or type anything into its own terminal. So requests that type, answer,
interrupt, queue, upload or show the terminal are refused to its processes, whatever token they
send, unless the operator has allowed them by name.

The process at the other end of a connection is identified once, at the first such request. If that
fails, the token decides; without a token the request is refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from weakref import WeakKeyDictionary

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from agentapi.http.problems import Problem
from agentapi.http.security import LOGIN
from agentapi.processes.callers import CLOSED, Caller, Callers, Kin

log = logging.getLogger(__name__)

READS = ("GET", "HEAD", "OPTIONS")
TERMINAL = "terminal"
TERMINALS = ("/terminal", "/internal/screen")
"""GET endpoints that show the terminal."""
OPTION = "--allow-agent-requests"


def agent_requests(callers: Callers, allowed: Collection[str], *, with_token: bool) -> Middleware:
    """Refuse the agent's own requests, except for those of the `allowed` names.

    `with_token`: the request has been authenticated by a token."""
    known = _CallerCache(callers)
    logged: set[str] = set()  # each name once: the agent may retry forever

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = name_of(request)
        if name is None or name in allowed:
            return await handler(request)
        caller = await known.caller(request)
        if caller.kin is Kin.STRANGER or (caller.kin is Kin.UNKNOWN and with_token):
            return await handler(request)
        if name not in logged:
            logged.add(name)
            log.warning("%s %s is refused: %s", request.method, request.path, caller.says)
        refusal = OURS if caller.kin is Kin.OURS else UNKNOWN
        raise Problem(403, refusal.format(caller=caller.says, name=name))

    return middleware


OURS = (
    "the agent may not send this to its own server: {caller} belongs to it"
    f" ({OPTION} {{name}} allows it)"
)
UNKNOWN = (
    "it cannot be told whether the agent itself sends this: {caller}. Let the server ask for a"
    f" token (--auth-token-file or AGENTAPI_AUTH_TOKEN), or allow it: {OPTION} {{name}}"
)


def name_of(request: web.Request) -> str | None:
    """Return the name by which a request may be allowed; None if every client may send it, or if
    there is no such endpoint. The login is not restricted: it gives no more than the token does."""
    resource = request.match_info.route.resource
    if resource is None or request.path == LOGIN:
        return None
    path = resource.canonical
    if path in TERMINALS:
        return TERMINAL
    return None if request.method in READS else path.split("/")[1]


class _CallerCache:
    """Identifies the caller of each connection, one at a time: requests of several connections stay
    in order."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._known: WeakKeyDictionary[asyncio.Transport, Caller] = WeakKeyDictionary()
        self._lock = asyncio.Lock()

    async def caller(self, request: web.Request) -> Caller:
        transport = request.transport
        if transport is None:
            return CLOSED
        if transport not in self._known:
            peer, own = (transport.get_extra_info(name) for name in ("peername", "sockname"))
            async with self._lock:
                self._known[transport] = (
                    await asyncio.to_thread(self._callers.identify, peer, own) if peer else CLOSED
                )
        return self._known[transport]
