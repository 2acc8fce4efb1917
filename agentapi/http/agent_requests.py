"""The agent's own requests: it may read what every client reads, and not drive its own server.

In its sandbox an agent may well be allowed to use the network, and then it could answer the
question whether it may leave the sandbox, or type whatever it likes into its own terminal. So what
types, answers, interrupts, queues, uploads or shows the terminal is refused to its processes,
whatever token they show, unless the operator has allowed it by name.

Who is at the other end of a connection is looked up once, at its first request of that kind. Where
that cannot be told, the token decides; where none is asked for, the request is refused.
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
"""What shows the terminal though it is a GET."""
OPTION = "--allow-agent-requests"


def agent_requests(callers: Callers, allowed: Collection[str], *, with_token: bool) -> Middleware:
    """Refuse the agent's own requests but for those of the `allowed` names.

    `with_token`: whoever comes here has shown a token."""
    known = _Known(callers)
    logged: set[str] = set()  # each name once: the agent may try for ever

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
    """The name by which a request may be allowed; None when every client may send it, or when
    there is no such endpoint. The login is free: it asks for the token, and gives nothing that the
    token would not."""
    resource = request.match_info.route.resource
    if resource is None or request.path == LOGIN:
        return None
    path = resource.canonical
    if path in TERMINALS:
        return TERMINAL
    return None if request.method in READS else path.split("/")[1]


class _Known:
    """Who is at the other end of each connection, looked up one after the other: what comes over
    several connections stays in its order."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._known: WeakKeyDictionary[asyncio.Transport, Caller] = WeakKeyDictionary()
        self._turn = asyncio.Lock()

    async def caller(self, request: web.Request) -> Caller:
        transport = request.transport
        if transport is None:
            return CLOSED
        if transport not in self._known:
            peer, own = (transport.get_extra_info(name) for name in ("peername", "sockname"))
            async with self._turn:
                self._known[transport] = (
                    await asyncio.to_thread(self._callers.identify, peer, own) if peer else CLOSED
                )
        return self._known[transport]
