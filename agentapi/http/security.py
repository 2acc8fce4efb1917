"""Access control: the Host header, CORS, the token, and cross-site requests.

A request passes these in order. The health checks skip the first and the third: a probe needs
neither a name nor a secret.

    hosts       a Host header that is not allowed: 400, before anything else
    cors        answers preflights; other responses get their headers when they start
    token       a bearer token or its cookie, else 401 (in a browser: a login page)
    same_site   a state-changing request or a WebSocket from another site's page: 403

The last one is `agent_requests`, for requests of the agent itself.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from multidict import MultiDict
from yarl import URL

from agentapi.http.login_page import login_page, wants_page
from agentapi.http.problems import Problem

UNRESTRICTED = frozenset({"/healthz", "/readyz"})
LOGIN = "/login"
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS")
HEADERS = ("accept", "authorization", "content-type", "x-csrf-token", "origin")
MAX_AGE = 300
COOKIE_AGE = 30 * 24 * 3600
"""Seconds until a browser's login expires."""
NEEDED = "a token is required: Authorization: Bearer …, POST /login, or ?token= in the address"


# -- the Host header ---------------------------------------------------------------------------


def hosts(allowed: Iterable[str]) -> Middleware:
    """Refuse Host headers with a name that is not allowed (any port, any case)."""
    names = [host.strip("[]") for host in allowed]
    known = {name.lower() for name in names}
    refusal = f"Invalid host header. Allowed hosts: {', '.join(names)}\n"

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = host_name(request.headers.get("Host", ""))
        if "*" in known or host in known or request.path in UNRESTRICTED:
            return await handler(request)
        return web.Response(status=400, text=refusal)

    return middleware


def host_name(host: str) -> str:
    """Return the name in a Host header, lower-case, without port and brackets; empty if none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


# -- CORS --------------------------------------------------------------------------------------


class Origins:
    """The allowed origins; one `*` in a pattern matches any text."""

    def __init__(self, patterns: Iterable[str]) -> None:
        lowered = [pattern.lower().rstrip("/") for pattern in patterns]
        self.all = "*" in lowered
        self._exact = {pattern for pattern in lowered if "*" not in pattern}
        self._wild = [pattern.split("*", 1) for pattern in lowered if "*" in pattern]

    def __contains__(self, origin: object) -> bool:
        text = str(origin).lower()
        return self.all or text in self._exact or any(_matches(text, *pair) for pair in self._wild)


def _matches(text: str, start: str, end: str) -> bool:
    long_enough = len(text) >= len(start) + len(end)
    return long_enough and text.startswith(start) and text.endswith(end)


def cors(origins: Origins) -> Middleware:
    """Answer preflights; `cors_headers` handles other responses."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return web.Response(headers=_preflight(request, origins))
        return await handler(request)

    return middleware


def _preflight(request: web.Request, origins: Origins) -> MultiDict[str]:
    headers = MultiDict(
        [
            ("Vary", "Origin"),
            ("Vary", "Access-Control-Request-Method"),
            ("Vary", "Access-Control-Request-Headers"),
        ]
    )
    origin = request.headers.get("Origin")
    method = request.headers["Access-Control-Request-Method"].upper()
    requested = [
        name.strip()
        for name in request.headers.get("Access-Control-Request-Headers", "").split(",")
        if name.strip()
    ]
    if not origin or origin not in origins or method not in METHODS:
        return headers
    if any(name.lower() not in HEADERS for name in requested):
        return headers
    headers.update(_granted(origin, origins))
    headers["Access-Control-Allow-Methods"] = method
    headers["Access-Control-Max-Age"] = str(MAX_AGE)
    if requested:
        headers["Access-Control-Allow-Headers"] = ", ".join(requested)
    return headers


def cors_headers(request: web.Request, response: web.StreamResponse, origins: Origins) -> None:
    """Add the CORS headers to a response before it starts."""
    if request.method == "OPTIONS":
        return
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    if origin and origin in origins:
        response.headers.update(_granted(origin, origins))
        response.headers["Access-Control-Expose-Headers"] = "Link"


def _granted(origin: str, origins: Origins) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": "*" if origins.all else origin,
        "Access-Control-Allow-Credentials": "true",
    }


# -- cross-site requests ----------------------------------------------------------------------


def same_site(origins: Origins) -> Middleware:
    """Refuse cross-site requests, except for reads, which CORS guards."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _changes_state(request) and _cross_site(request, origins):
            raise Problem(403, "this request comes from a page of another site")
        return await handler(request)

    return middleware


def _changes_state(request: web.Request) -> bool:
    upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
    return upgrade or request.method not in ("GET", "HEAD", "OPTIONS")


def _cross_site(request: web.Request, origins: Origins) -> bool:
    origin = request.headers.get("Origin")
    if origin is not None and origin in origins:
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site.lower() not in ("same-origin", "none")
    if origin is None:
        return False  # no browser
    ours = (request.headers.get("Host"), request.headers.get("X-Forwarded-Host"))
    return urlsplit(origin).netloc.lower() not in {host.lower() for host in ours if host}


# -- the token ---------------------------------------------------------------------------------


class Token:
    """The bearer token, and its cookie in a browser.

    The cookie's name depends on the token (cookies do not know ports: two daemons on one host must
    not share one) and its value is not the token itself."""

    def __init__(self, token: str) -> None:
        self._digest = _digest(token)
        self._cookie_value = hmac.new(token.encode(), b"cookie", hashlib.sha256).hexdigest()
        self.cookie = f"agentapi_{hashlib.sha256(self._cookie_value.encode()).hexdigest()[:8]}"

    def matches(self, token: str) -> bool:
        """Whether this is the token, compared in constant time."""
        return hmac.compare_digest(_digest(token), self._digest)

    def admits(self, request: web.Request) -> bool:
        """Whether the request carries the token or its cookie."""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.matches(given.strip()):
            return True
        cookie = request.cookies.get(self.cookie, "")
        return hmac.compare_digest(_digest(cookie), _digest(self._cookie_value))

    def give_cookie(self, request: web.Request, response: web.StreamResponse) -> None:
        """Log the browser in."""
        response.set_cookie(
            self.cookie,
            self._cookie_value,
            max_age=COOKIE_AGE,
            httponly=True,
            samesite="Lax",  # links from other sites must work
            secure=request.headers.get("X-Forwarded-Proto", "").lower() == "https",
        )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def token_guard(token: Token) -> Middleware:
    """Require the token. One in the URL (`?token=`) is moved into a cookie."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in UNRESTRICTED or request.path == LOGIN:
            return await handler(request)
        given = request.query.get("token")
        matches = given is not None and token.matches(given)
        if not matches and not token.admits(request):
            if wants_page(request):
                return login_page(request)
            raise Problem(401, NEEDED, headers={"WWW-Authenticate": "Bearer"})
        if given is None or request.method != "GET" or "Upgrade" in request.headers:
            return await handler(request)
        response = _without_token(request)
        if matches:
            token.give_cookie(request, response)
        return response

    return middleware


def _without_token(request: web.Request) -> web.Response:
    rest = request.rel_url.without_query_params("token")
    return web.Response(status=303, headers={"Location": _relative(rest)})


def _relative(url: URL) -> str:
    """Return the URL relative to itself: a proxy may have stripped a prefix."""
    name = quote(url.raw_path.rsplit("/", 1)[-1], safe="%")
    query = f"?{url.raw_query_string}" if url.raw_query_string else ""
    return f"./{name}{query}"
