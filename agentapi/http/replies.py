"""JSON responses with their schema: `$schema` in the body, and the `Link` header."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from aiohttp import web

from agentapi.model.encoding import encode, rfc3339

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def described(
    request: web.Request,
    schema: str,
    body: Mapping[str, object],
    status: int = 200,
    content_type: str = "application/json",
) -> web.Response:
    """Return a JSON response that names its schema, one of those at `/schemas/NAME.json`."""
    path = f"/schemas/{schema}.json"
    return web.Response(
        status=status,
        body=encode({"$schema": _origin(request) + path, **body}),
        content_type=content_type,
        headers={"Link": f'<{path}>; rel="describedBy"'},
    )


def plain(values: Mapping[str, object]) -> dict[str, object]:
    """Return the values with times as text."""
    return {
        name: rfc3339(value) if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def _origin(request: web.Request) -> str:
    # TLS ends at a proxy: a host other than loopback is assumed to be behind one.
    host = request.headers.get("Host", "localhost")
    loopback = host.rsplit(":", 1)[0] in _LOOPBACK or host in _LOOPBACK
    return f"{'http' if loopback else 'https'}://{host}"
