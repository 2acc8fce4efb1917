"""The queue: `/queue`, messages to send when the agent is idle."""

from __future__ import annotations

from aiohttp import web

from agentapi.http.body import read_model
from agentapi.http.options import SESSION
from agentapi.http.problems import Problem, invalid
from agentapi.http.replies import described
from agentapi.model.conversation import Phase
from agentapi.model.encoding import rfc3339
from agentapi.session.outbox import AgentEnded, EmptyMessage
from agentapi.session.queue import BeingSent, QueueFull, Step
from agentapi.session.session import AgentSession


def add(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_get("/queue", queue, allow_head=False)
    app.router.add_post("/queue", enqueue)
    app.router.add_delete("/queue/{id}", cancel)


async def queue(request: web.Request) -> web.StreamResponse:
    """Return the queued messages, and what holds them up."""
    session = request.app[SESSION]
    items = [
        {
            "id": item.id,
            "position": position,
            "content": item.content,
            "time": rfc3339(item.time),
            "state": item.step.value,
            "error": item.error or None,
        }
        for position, item in enumerate(session.queue.items, 1)
    ]
    return described(request, "QueueBody", {"items": items, "held_by": _held_by(session)})


def _held_by(session: AgentSession) -> str | None:
    """Return why nothing is sent now; None if the queue is empty or the first is being sent."""
    first = next(iter(session.queue.items), None)
    if first is None or first.step is Step.SENDING or (session.queue.due and session.ready):
        return None
    if first.step is Step.FAILED:
        return f"message {first.id} failed; cancel it to let the queue go on"
    state = session.phase_state
    if state.phase is Phase.IDLE:
        return "the initial prompt goes first"
    return f"{state.phase.value}: {state.reason}"


async def enqueue(request: web.Request) -> web.StreamResponse:
    """Queue a message."""
    from agentapi.http.models import QueueRequestBody

    body = await read_model(request, QueueRequestBody)
    try:
        item, position = request.app[SESSION].enqueue(body.content)
    except EmptyMessage as error:
        raise invalid(error.reason, "body.content", body.content) from None
    except QueueFull as error:
        raise Problem(429, str(error)) from None
    except AgentEnded as error:
        raise Problem(409, str(error)) from None
    return described(request, "QueuedBody", {"id": item.id, "position": position})


async def cancel(request: web.Request) -> web.StreamResponse:
    """Cancel a queued message."""
    text = request.match_info["id"]
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Problem(404, f"no message {text[:40]!r} is queued: ids are numbers")
    try:
        request.app[SESSION].cancel_queued(int(text))
    except LookupError as error:
        raise Problem(404, str(error.args[0])) from None
    except BeingSent as error:
        raise Problem(409, str(error)) from None
    return described(request, "OkBody", {"ok": True})
