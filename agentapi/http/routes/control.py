"""Extensions of the AgentAPI wire: `/session`, `/approval`, `/interrupt`, `/login`."""

from __future__ import annotations

from aiohttp import web

from agentapi.http.body import read_model
from agentapi.http.options import SESSION
from agentapi.http.problems import Problem
from agentapi.http.replies import described, plain
from agentapi.http.security import LOGIN, Token
from agentapi.model.conversation import Dialog
from agentapi.model.errors import SendError
from agentapi.session.info import session_info


def add(app: web.Application) -> None:
    """Add the routes."""
    app.router.add_get("/session", session, allow_head=False)
    app.router.add_get("/approval", approval, allow_head=False)
    app.router.add_post("/approval", answer)
    app.router.add_post("/interrupt", interrupt)


async def session(request: web.Request) -> web.StreamResponse:
    """Return information about the agent and its session."""
    return described(request, "SessionBody", plain(session_info(request.app[SESSION])))


async def approval(request: web.Request) -> web.StreamResponse:
    """Return the open dialog."""
    dialog = request.app[SESSION].dialog
    body = None if dialog is None else dialog_body(dialog)
    return described(request, "ApprovalBody", {"open": body})


def dialog_body(dialog: Dialog) -> dict[str, object]:
    """Return a dialog as on the wire."""
    return {
        "id": dialog.id,
        "kind": dialog.kind,
        "title": dialog.title,
        "reason": dialog.reason,
        "command": dialog.command,
        "diff": dialog.diff,
        "choices": [
            {
                "id": choice.id,
                "label": choice.label,
                "key": choice.key,
                "description": choice.description,
            }
            for choice in dialog.choices
        ],
    }


async def answer(request: web.Request) -> web.StreamResponse:
    """Answer the open dialog; 409 if another one is open, or none."""
    from agentapi.http.models import AnswerBody

    body = await read_model(request, AnswerBody)
    session = request.app[SESSION]
    dialog = session.phase_state.dialog
    if dialog is None:
        raise Problem(409, "no dialog is open")
    if dialog.id != body.id:
        raise Problem(409, f"the dialog {body.id!r} is not open any more; {dialog.id!r} is")
    try:
        await session.answer(body.id, body.choice)
    except LookupError as error:
        raise Problem(409, str(error.args[0] if error.args else error)) from None
    except SendError as error:
        raise Problem(500, "the dialog could not be answered", [{"message": str(error)}]) from None
    return described(request, "OkBody", {"ok": True})


async def interrupt(request: web.Request) -> web.StreamResponse:
    """Stop the agent's turn."""
    session = request.app[SESSION]
    try:
        await session.interrupt()
    except SendError as error:
        raise Problem(500, "the turn could not be stopped", [{"message": str(error)}]) from None
    body = {"ok": True, "phase": session.phase_state.phase.value}
    return described(request, "InterruptBody", body)


def add_login(app: web.Application, token: Token) -> None:
    """Add `POST /login`, which sets the token's cookie in a browser."""

    async def login(request: web.Request) -> web.StreamResponse:
        from agentapi.http.models import LoginBody

        body = await read_model(request, LoginBody)
        if not token.matches(body.token):
            raise Problem(401, "that is not the token")
        response = described(request, "OkBody", {"ok": True})
        token.give_cookie(request, response)
        return response

    app.router.add_post(LOGIN, login)
