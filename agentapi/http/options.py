"""The server's options, and the keys of shared objects in the application."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from agentapi.processes.callers import Callers
from agentapi.session.session import AgentSession


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of connections."""

    connections: int = 1000
    """Their maximum number, descriptors permitting."""
    streams: float = 0.8
    """The fraction of them that may be streams."""
    header: float = 10.0
    """Seconds from the first byte of a request to the end of its header."""
    idle: float = 75.0
    """Seconds without a request."""


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The options of the HTTP side."""

    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    """Names (no ports) that a Host header may have; `*` for all."""
    allowed_origins: tuple[str, ...] = (
        "http://localhost:3284",
        "http://localhost:3000",
        "http://localhost:3001",
    )
    """Origins that get CORS headers and may change state; a `*` in one stands for any text."""
    chat_base_path: str = "/chat"
    """Where a browser finds the chat page; the routes themselves stay at `/chat`."""
    terminal_size: tuple[int, int] | None = None
    """The columns and rows to restore when the terminal's last viewer has left."""
    auth_token: str | None = None
    """The bearer token required by all but the health checks; None: no authentication."""
    callers: Callers | None = None
    """Identifies the agent's own requests, which are refused; None: they are not."""
    allow_agent_requests: tuple[str, ...] = ()
    """Names of requests that the agent may send."""
    ping_interval: float = 15.0
    """Seconds of silence after which a stream gets a comment line."""
    body_timeout: float = 5.0
    """The timeout of a request's body, in seconds; for an upload, of each chunk."""
    limits: Limits = Limits()


class Sockets(set[web.WebSocketResponse]):
    """The open WebSockets, closed at shutdown."""


SESSION = web.AppKey("session", AgentSession)
OPTIONS = web.AppKey("options", HttpOptions)
SOCKETS = web.AppKey("sockets", Sockets)
WARM_UP: web.AppKey[asyncio.Task[None]] = web.AppKey("warm_up", asyncio.Task)
