"""The server: takes requests, asks for a reply, streams it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from aiohttp import web

from agentapi.scripted import events
from agentapi.scripted.answers import answer, title
from agentapi.scripted.reply import Break, Fail, Hold, Reply, Say, Think, Wait
from agentapi.scripted.request import Request

MAX_BODY = 256 * 1024 * 1024


class ScriptedModel:
    """A Responses server on loopback, up while the `async with` block runs.

    `answer` decides what to say to a turn; replace it to script a test. `requests` are the turns
    as they came, the latest last; `side_requests` the requests for thread titles."""

    def __init__(self, port: int = 0, answer: Callable[[Request], Reply] = answer) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.replies: list[Reply] = []
        """What was decided for each of `requests`."""
        self.finished = 0
        """How many turns' streams have ended, whole or broken."""
        self.side_requests: list[Request] = []
        self.last_byte_at = 0.0
        """`time.monotonic()` after the last byte of a turn's stream was handed to the socket."""
        self._port = port
        self._ids = 0
        self._closed = False
        self._held: list[asyncio.Future[None]] = []
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port it listens on; 0 before it is up."""
        return self._port

    @property
    def url(self) -> str:
        """The provider's `base_url`."""
        return f"http://127.0.0.1:{self._port}/v1"

    def hold(self) -> None:
        """From now on every turn waits, before its first delta, for `release()`."""
        self._closed = True

    def release(self) -> None:
        """Open the gate, and let all that wait there go on."""
        self._closed = False
        for waiting in self._held:
            if not waiting.done():
                waiting.set_result(None)
        self._held.clear()

    async def wait_for_request(self, count: int) -> Request:
        """Wait until `count` turns were asked for in all; returns that one."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)
        return self.requests[count - 1]

    async def wait_until_held(self) -> None:
        """Wait until a reply stands at the gate: what came before it has been sent."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._held))

    async def __aenter__(self) -> ScriptedModel:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post("/v1/responses", self._respond)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [], "models": []})

    async def _respond(self, http: web.Request) -> web.StreamResponse:
        request = await _read(http)
        if request.is_side_request:
            self.side_requests.append(request)
            return await self._stream(http, request, title(request))
        async with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        reply = self.answer(request)
        self.replies.append(reply)
        try:
            if reply and isinstance(reply[0], Fail):
                return _error(reply[0].status, reply[0].message)
            return await self._stream(http, request, reply)
        finally:
            self.finished += 1

    async def _stream(
        self, http: web.Request, request: Request, reply: Reply
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        await response.prepare(http)
        try:
            await self._write(response, request, reply)
        except _Broken:
            if http.transport is not None:
                http.transport.abort()
        except ConnectionResetError:
            pass  # the client went away, as Codex does when its turn is interrupted
        return response

    async def _write(self, response: web.StreamResponse, request: Request, reply: Reply) -> None:
        response_id = self._id("resp")
        await response.write(events.created(response_id))
        if self._closed and not request.is_side_request:
            await self._wait_at_gate()
        output: list[events.Item] = []
        for step in reply:
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, Hold):
                await self._wait_at_gate()
            elif isinstance(step, Break):
                raise _Broken
            elif isinstance(step, Say):
                output.append(await self._say(response, len(output), step))
            else:
                item = self._item(step, request)
                await response.write(events.opened(len(output), item))
                await response.write(events.closed(len(output), item))
                output.append(item)
        size = len(json.dumps(request.body))
        await response.write(events.completed(response_id, output, size))
        if not request.is_side_request:
            self.last_byte_at = time.monotonic()

    def _item(self, step: Any, request: Request) -> events.Item:
        if isinstance(step, Think):
            return events.reasoning(self._id("rs"), step.summary)
        return events.tool_call(self._id("item"), step, request)

    async def _say(self, response: web.StreamResponse, index: int, say: Say) -> events.Item:
        item_id = self._id("msg")
        await response.write(events.opened(index, events.message(item_id, None)))
        await response.write(events.part(index, item_id))
        for number, text in enumerate(say.deltas()):
            if number and say.pause:
                await asyncio.sleep(say.pause)
            await response.write(events.delta(index, item_id, text))
        item = events.message(item_id, say.text)
        await response.write(events.closed(index, item))
        return item

    async def _wait_at_gate(self) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._held.append(waiting)
        async with self._changed:
            self._changed.notify_all()
        try:
            await waiting
        finally:
            if waiting in self._held:
                self._held.remove(waiting)

    def _id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}_{self._ids}"


class _Broken(Exception):
    """The reply asks for a broken stream."""


async def _read(http: web.Request) -> Request:
    # aiohttp has already undone gzip and deflate, and zstd where the interpreter knows it.
    try:
        body = json.loads(await http.read())
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="the body must be a JSON object")
    return Request(body, dict(http.headers), time.monotonic())


def _error(status: int, message: str) -> web.Response:
    body = {"error": {"message": message, "type": "server_error", "code": None}}
    return web.json_response(body, status=status)
