"""The verbatim conversation: `/transcript`, and its changes: `/transcript/events`."""

from __future__ import annotations

from aiohttp import web

from agentapi.http.options import SESSION
from agentapi.http.problems import invalid
from agentapi.http.replies import described
from agentapi.http.sse import stream

MAX_LIMIT = 10_000
"""The maximum number of items in a response."""
_MAX_ID = 2**63 - 1


def add(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_get("/transcript", transcript, allow_head=False)
    app.router.add_get("/transcript/events", events, allow_head=False)


async def transcript(request: web.Request) -> web.StreamResponse:
    """Return up to `limit` items after `after`; `next` is the `after` of the next call."""
    after = _number(request, "after", 0, 0, _MAX_ID)
    limit = _number(request, "limit", 1000, 1, MAX_LIMIT)
    items, following = request.app[SESSION].transcript.page(after, limit)
    body = {"items": [item.wire() for item in items], "next": following}
    return described(request, "TranscriptBody", body)


async def events(request: web.Request) -> web.StreamResponse:
    """Stream the changes after `Last-Event-ID` (all items without it), then new ones."""
    text = request.headers.get("Last-Event-ID", "").strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
    return await stream(request, request.app[SESSION].transcript.subscribe(number))


def _number(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high:
        return int(text)
    raise invalid(f"expected a whole number from {low} to {high}", f"query.{name}", text[:40])
