"""A real server and session with a fixed driver, accessed through real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from agentapi.http.app import HttpOptions, create_app
from agentapi.http.server import HttpServer
from agentapi.session.session import AgentSession
from tests.support.fixed_driver import FixedDriver

PATIENCE = 10.0
"""Seconds after which a test gives up waiting."""


class Live:
    """The server, its session and driver, and a client."""

    def __init__(self, session: AgentSession, driver: FixedDriver, port: int) -> None:
        self.session = session
        self.driver = driver
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.client: aiohttp.ClientSession
        self.server: HttpServer

    async def call(self, method: str, path: str, **more: Any) -> Answer:
        """Send a request; redirects are not followed."""
        more.setdefault("allow_redirects", False)
        async with self.client.request(method, self.url + path, **more) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **more: Any) -> Answer:
        """GET."""
        return await self.call("GET", path, **more)

    async def post(self, path: str, body: object = None, **more: Any) -> Answer:
        """POST a JSON body."""
        return await self.call("POST", path, json=body, **more)

    async def say(self, content: str, kind: str = "user") -> Answer:
        """POST /message."""
        return await self.post("/message", {"content": content, "type": kind})

    async def exchange(self, request: bytes) -> bytes:
        """Send raw bytes; return the response until the connection closes."""
        async with self.connect(request) as reader:
            return await asyncio.wait_for(reader.read(), PATIENCE)

    @asynccontextmanager
    async def connect(self, request: bytes) -> AsyncIterator[asyncio.StreamReader]:
        """Open a new connection and send `request`."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            yield reader
        finally:
            writer.close()

    @asynccontextmanager
    async def stream(self, path: str = "/events") -> AsyncIterator[Stream]:
        """Open a stream of server-sent events."""
        async with self.client.get(self.url + path) as response:
            yield Stream(response)


class Answer:
    """A response, read to its end."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class Stream:
    """Reads frames of a stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self._rest = b""

    async def frame(self) -> bytes:
        """Return the next frame with its empty line; empty at the end of the stream."""
        async with asyncio.timeout(PATIENCE):
            while b"\n\n" not in self._rest:
                chunk = await self.response.content.readany()
                if not chunk:
                    return b""
                self._rest += chunk
        frame, _, self._rest = self._rest.partition(b"\n\n")
        return frame + b"\n\n"

    async def event(self) -> tuple[str, Any]:
        """Return the name and data of the next event, skipping comments. ("", None) at the end."""
        while (frame := await self.frame()).startswith(b":"):
            pass
        return parse(frame)

    async def events(self, count: int) -> list[tuple[str, Any]]:
        """The next events."""
        return [await self.event() for _ in range(count)]

    async def until(self, name: str, **members: object) -> Any:
        """Return the data of the next matching event, skipping others."""
        while True:
            found, data = await self.event()
            assert found, f"the stream ended without {name} {members}"
            if found == name and all(data[key] == value for key, value in members.items()):
                return data


def parse(frame: bytes) -> tuple[str, Any]:
    """A frame's name and data."""
    if not frame:
        return "", None
    first, second = frame.decode().rstrip("\n").split("\n")
    return first.removeprefix("event: "), json.loads(second.removeprefix("data: "))


@asynccontextmanager
async def serving(
    options: HttpOptions | None = None,
    *,
    transport: str = "pty",
    start: bool = True,
    **session_arguments: Any,
) -> AsyncIterator[Live]:
    """A running server. `start=False` leaves the agent unstarted."""
    driver = FixedDriver(transport)
    session = AgentSession(driver, agent_type="codex", **session_arguments)
    listener = socket.create_server(("127.0.0.1", 0))
    live = Live(session, driver, listener.getsockname()[1])
    live.server = server = HttpServer(create_app(session, options), [listener])
    await server.start()
    try:
        if start:
            await session.start()
        async with aiohttp.ClientSession() as live.client:
            yield live
            await server.stop()
    finally:
        await server.stop()
        await session.stop()


async def settle() -> None:
    """Let all ready tasks run."""
    for _ in range(10):
        await asyncio.sleep(0)
