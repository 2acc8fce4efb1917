"""The endpoints that the page uses, in the test's own hand.

The page's tests need what a real session does not do on demand: a connection that drops in the
middle of a snapshot, a request that fails, an id that comes twice. `test_real_app.py` shows that
the page and the real server fit together.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from agentapi.agents.registry import titles
from agentapi.chat import CONTENT_TYPES, STATIC, page

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Wire:
    """A conversation that the test writes, served like AgentAPI's."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    status: str = "stable"
    notices: list[dict[str, Any]] = field(default_factory=list)
    posted: list[tuple[str, str]] = field(default_factory=list)
    """(type, content) of every message that came in, in order."""
    uploads: list[tuple[str, bytes]] = field(default_factory=list)
    question: dict[str, Any] | None = None
    """What `GET /approval` tells; `ask` sets it."""
    plain: bool = False
    """Have no `/approval`, like coder/agentapi."""
    hold_look: asyncio.Event | None = None
    """Answer `GET /approval` only once this is set."""
    looks: int = 0
    """How often the page asked for the question."""
    answered: list[tuple[str, str]] = field(default_factory=list)
    """(id, choice) of every answer that came in."""
    refuse: dict[str, Any] | None = None
    """Answer `POST /message`, `/upload` and `/approval` with this problem."""
    hold: asyncio.Event | None = None
    """Answer `POST /message` only once this is set."""
    hold_snapshot: asyncio.Event | None = None
    """Send the snapshot's `status_change` only once this is set."""
    unreachable: bool = False
    connections: int = 0
    most_at_once: int = 0
    """The most `POST /message` that ever ran at the same time."""
    headers: dict[str, str] = field(default_factory=dict)
    """Put on every response, for example a Content-Security-Policy."""
    _got_more: asyncio.Condition = field(default_factory=asyncio.Condition)
    _streams: list[asyncio.Queue[tuple[str, Any] | None]] = field(default_factory=list)
    _running: int = 0

    def app(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(middlewares=[self._put_headers])
        if not self.plain:
            app.router.add_get("/approval", self._approval)
            app.router.add_post("/approval", self._answered)
        app.add_routes(
            [
                web.get("/events", self._events),
                web.post("/message", self._message),
                web.post("/upload", self._upload),
                web.get("/chat", _page_handler("chat/")),
                web.get("/chat/embed/", _page_handler("../")),
                web.get("/chat/{path:.+}", _asset),
            ]
        )
        return app

    def say(self, role: str, text: str) -> int:
        """Add a message; returns its id."""
        number = len(self.messages)
        self._put(number, role, text)
        return number

    def grow(self, number: int, text: str) -> None:
        """Replace the text of a message."""
        self._put(number, self.messages[number]["role"], text)

    def become(self, status: str) -> None:
        """Change the status."""
        self.status = status
        self._tell("status_change", {"status": status, "agent_type": "codex"})

    def ask(self, text: str, *labels: str, **about: str) -> None:
        """Have a question open: the last message ends with it."""
        choices = [
            {"id": str(number), "label": label, "key": "", "description": ""}
            for number, label in enumerate(labels, 1)
        ]
        about = {"kind": "command", "reason": "", "command": "", "diff": ""} | about
        self.question = {"id": f"dialog {text}", "title": text, "choices": choices} | about
        self._put(len(self.messages) - 1, "agent", f"May I?\n\n{text}")
        if self.status != "stable":
            self.become("stable")

    def decide(self, status: str = "running") -> None:
        """The question is decided, by whomever."""
        self.question = None
        self._put(len(self.messages) - 1, "agent", "May I?")
        self.become(status)

    def notify(self, level: str, text: str) -> None:
        """Tell of an error or a warning, and keep it for those who come later."""
        notice = {"level": level, "message": text, "time": STARTED.isoformat()}
        self.notices.append(notice)
        self._tell("agent_error", notice)

    def drop(self) -> None:
        """End every event stream."""
        for stream in self._streams:
            stream.put_nowait(None)

    async def got(self, count: int) -> None:
        """Wait until `count` messages came in."""
        async with asyncio.timeout(10), self._got_more:
            await self._got_more.wait_for(lambda: len(self.posted) >= count)

    def _put(self, number: int, role: str, text: str) -> None:
        message = {"id": number, "role": role, "message": text, "time": STARTED.isoformat()}
        self.messages[number : number + 1] = [message]
        self._tell("message_update", message)

    def _tell(self, name: str, data: Any) -> None:
        for stream in self._streams:
            stream.put_nowait((name, data))

    @web.middleware
    async def _put_headers(self, request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        if not response.prepared:
            response.headers.update(self.headers)
        return response

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self.connections += 1
        if self.unreachable:
            raise web.HTTPBadGateway
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"} | self.headers)
        stream: asyncio.Queue[tuple[str, Any] | None] = asyncio.Queue()
        snapshot = [("message_update", message) for message in self.messages]
        status = ("status_change", {"status": self.status, "agent_type": "codex"})
        notices = [("agent_error", notice) for notice in self.notices]
        self._streams.append(stream)
        try:
            with suppress(ConnectionError):
                await response.prepare(request)
                for event in snapshot:
                    await response.write(_frame(*event))
                if self.hold_snapshot:
                    await self.hold_snapshot.wait()
                for event in [status, *notices]:
                    await response.write(_frame(*event))
                while event_or_end := await stream.get():
                    await response.write(_frame(*event_or_end))
        finally:
            self._streams.remove(stream)
        return response

    async def _message(self, request: web.Request) -> web.Response:
        body = await request.json()
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        try:
            async with self._got_more:
                self.posted.append((body["type"], body["content"]))
                self._got_more.notify_all()
            if self.hold:
                await self.hold.wait()
            return self._answer({"ok": True})
        finally:
            self._running -= 1

    async def _approval(self, request: web.Request) -> web.Response:
        self.looks += 1
        if self.hold_look:
            await self.hold_look.wait()
        return web.json_response({"open": self.question})

    async def _answered(self, request: web.Request) -> web.Response:
        body = await request.json()
        async with self._got_more:
            self.answered.append((body["id"], body["choice"]))
            self._got_more.notify_all()
        if self.hold:
            await self.hold.wait()
        return self._answer({"ok": True})

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        upload = form["file"]
        assert isinstance(upload, web.FileField)
        self.uploads.append((upload.filename, upload.file.read()))
        return self._answer(
            {"ok": True, "filePath": f"/uploads/0123456789abcdef/{upload.filename}"}
        )

    def _answer(self, body: dict[str, Any]) -> web.Response:
        if self.refuse is None:
            return web.json_response(body)
        return web.json_response(
            self.refuse, status=self.refuse["status"], content_type="application/problem+json"
        )


def _frame(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _page_handler(base: str) -> Any:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=page(base, titles()), content_type="text/html")

    return handler


async def _asset(request: web.Request) -> web.StreamResponse:
    path = (STATIC / request.match_info["path"]).resolve()
    if not path.is_relative_to(STATIC) or not path.is_file():
        raise web.HTTPNotFound
    content_type = CONTENT_TYPES.get(path.suffix, "text/plain; charset=utf-8")
    return web.FileResponse(path, headers={"Content-Type": content_type})
