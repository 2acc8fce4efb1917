"""Monitoring: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

from aiohttp import web

from agentapi.http.options import SESSION
from agentapi.http.replies import described
from agentapi.model.conversation import Phase


def add(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics, allow_head=False)


async def healthz(request: web.Request) -> web.StreamResponse:
    """Return whether the daemon is alive: a response proves the event loop, the phase the agent."""
    state = request.app[SESSION].phase_state
    return _health(request, state.phase is not Phase.EXITED, state.reason)


async def readyz(request: web.Request) -> web.StreamResponse:
    """Return whether a message would be accepted now."""
    session = request.app[SESSION]
    state = session.phase_state
    waits = state.phase is Phase.IDLE and not session.ready
    reason = "the initial prompt is still to be sent" if waits else state.reason
    return _health(request, session.ready, f"{state.phase.value}: {reason}")


def _health(request: web.Request, ok: bool, reason: str) -> web.Response:
    return described(request, "HealthBody", {"ok": ok, "reason": reason}, 200 if ok else 503)


async def metrics(request: web.Request) -> web.StreamResponse:
    """Return the metrics in Prometheus' text format."""
    from agentapi.http.metrics import CONTENT_TYPE, exposition

    data = exposition(request.app[SESSION])
    return web.Response(body=data, headers={"Content-Type": CONTENT_TYPE})
