"""The conversation: `/status`, `/messages`, `/message`, `/events`, `/internal/screen`."""

from __future__ import annotations

from aiohttp import web

from agentapi.http.body import read_model
from agentapi.http.options import SESSION
from agentapi.http.replies import described
from agentapi.http.sse import stream
from agentapi.model.encoding import rfc3339


def add(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_get("/status", status, allow_head=False)
    app.router.add_get("/messages", messages, allow_head=False)
    app.router.add_post("/message", message)
    app.router.add_get("/events", events, allow_head=False)
    app.router.add_get("/internal/screen", screen, allow_head=False)


async def status(request: web.Request) -> web.StreamResponse:
    """Return the status, without waiting for anything."""
    session = request.app[SESSION]
    body = {
        "agent_type": session.agent_type,
        "status": session.status.value,
        "transport": session.driver.transport,
    }
    return described(request, "StatusResponseBody", body)


async def messages(request: web.Request) -> web.StreamResponse:
    """Return the whole conversation."""
    items = [
        {
            "content": message.content,
            "id": message.id,
            "role": message.role.value,
            "time": rfc3339(message.time),
        }
        for message in request.app[SESSION].messages
    ]
    return described(request, "MessagesResponseBody", {"messages": items})


async def message(request: web.Request) -> web.StreamResponse:
    """Send a message or keystrokes."""
    from agentapi.http.models import MessageRequestBody, MessageType

    body = await read_model(request, MessageRequestBody)
    session = request.app[SESSION]
    if body.type is MessageType.raw:
        await session.type(body.content)
    else:
        await session.send(body.content)
    return described(request, "MessageResponseBody", {"ok": True})


async def events(request: web.Request) -> web.StreamResponse:
    """Stream all events so far, then new ones."""
    return await stream(request, request.app[SESSION].subscribe())


async def screen(request: web.Request) -> web.StreamResponse:
    """Stream the screen, now and on each change."""
    return await stream(request, request.app[SESSION].subscribe_screen())
