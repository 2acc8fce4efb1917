"""The server: accepts requests, and streams the replies of an answer function."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType

from aiohttp import web

from agentapi.scripted.answers import answer, title
from agentapi.scripted.reply import Break, Fail, Hold, Reply, Say, Wait
from agentapi.scripted.request import Request
from agentapi.scripted.wires import WIRES, Encoder, Wire
from agentapi.scripted.wires.base import tokens

MAX_BODY = 256 * 1024 * 1024

Write = Callable[[bytes], Awaitable[None]]


class ScriptedModel:
    """A model's server on loopback, up while the `async with` block runs. It speaks every wire of
    `agentapi.scripted.wires`.

    `answer` decides what to say to a turn; replace it to script a test. `requests` are the turns
    as they came, the latest last; `side_requests` what programs ask besides, titles and such."""

    def __init__(self, port: int = 0, answer: Callable[[Request], Reply] = answer) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.replies: list[Reply] = []
        """The reply to each of `requests`."""
        self.finished = 0
        """The number of turns whose streams have ended, complete or broken."""
        self.side_requests: list[Request] = []
        self.last_byte_at = 0.0
        """`time.monotonic()` after the last byte of a turn's stream was handed to the socket."""
        self._port = port
        self._closed = False
        self._held: list[asyncio.Future[None]] = []
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The listening port; 0 before the server runs."""
        return self._port

    @property
    def origin(self) -> str:
        """The server without a path: the base URL that Anthropic's and Google's clients take."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """The base URL that OpenAI's clients take."""
        return f"{self.origin}/v1"

    def hold(self) -> None:
        """Make every turn wait for `release()` before its first delta."""
        self._closed = True

    def release(self) -> None:
        """Let all waiting turns continue."""
        self._closed = False
        for waiting in self._held:
            if not waiting.done():
                waiting.set_result(None)
        self._held.clear()

    async def wait_for_request(self, count: int) -> Request:
        """Wait for `count` turn requests in all; return the last one."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= count)
        return self.requests[count - 1]

    async def wait_until_held(self) -> None:
        """Wait until a reply is held: everything before the hold has been sent."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._held))

    async def __aenter__(self) -> ScriptedModel:
        app = web.Application(client_max_size=MAX_BODY)
        for wire in WIRES:
            for path in wire.paths:
                app.router.add_post(path, partial(self._respond, wire))
        app.router.add_post("/v1/messages/count_tokens", _count_tokens)
        app.router.add_post("/v1beta/models/{model}:countTokens", _count_tokens)
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

    async def _respond(self, wire: Wire, http: web.Request) -> web.StreamResponse:
        request = await _read(wire, http)
        if request.is_side_request:
            self.side_requests.append(request)
            return await self._send(http, request, title(request))
        async with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        reply = self.answer(request)
        self.replies.append(reply)
        try:
            if reply and isinstance(reply[0], Fail):
                return _error(reply[0].status, reply[0].message)
            return await self._send(http, request, reply)
        finally:
            self.finished += 1

    async def _send(self, http: web.Request, request: Request, reply: Reply) -> web.StreamResponse:
        encoder = request.wire.encoder(request.body)
        if not request.wire.streams(http.path, request.body):
            return await self._send_whole(http, request, reply, encoder)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        await response.prepare(http)
        try:
            await self._write(response.write, request, reply, encoder)
        except _Broken:
            _abort(http)
        except ConnectionResetError:
            pass  # the client went away, as Codex does when its turn is interrupted
        return response

    async def _send_whole(
        self, http: web.Request, request: Request, reply: Reply, encoder: Encoder
    ) -> web.StreamResponse:
        try:
            await self._write(_keep_nothing, request, reply, encoder)
        except _Broken:
            _abort(http)
        return web.json_response(encoder.whole())

    async def _write(self, write: Write, request: Request, reply: Reply, encoder: Encoder) -> None:
        await write(encoder.begin())
        if self._closed and not request.is_side_request:
            await self._wait_at_gate()
        for step in reply:
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, Hold):
                await self._wait_at_gate()
            elif isinstance(step, Break):
                raise _Broken
            elif isinstance(step, Say):
                await _say(write, encoder, step)
            elif not isinstance(step, Fail):
                await write(encoder.item(step))
        await write(encoder.end())
        if not request.is_side_request:
            self.last_byte_at = time.monotonic()

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


class _Broken(Exception):
    """The reply requests a broken stream."""


async def _say(write: Write, encoder: Encoder, say: Say) -> None:
    await write(encoder.text_begins())
    for number, text in enumerate(say.deltas()):
        if number and say.pause:
            await asyncio.sleep(say.pause)
        await write(encoder.delta(text))
    await write(encoder.text_ends(say.text))


async def _keep_nothing(_: bytes) -> None:
    """Discards a stream: the encoder keeps the reply."""


def _abort(http: web.Request) -> None:
    if http.transport is not None:
        http.transport.abort()


async def _count_tokens(http: web.Request) -> web.Response:
    count = tokens(await _body(http))
    return web.json_response({"input_tokens": count, "totalTokens": count})


async def _read(wire: Wire, http: web.Request) -> Request:
    return Request(await _body(http), dict(http.headers), time.monotonic(), wire)


async def _body(http: web.Request) -> dict[str, object]:
    # aiohttp has already undone gzip and deflate, and zstd where the interpreter knows it.
    try:
        body = json.loads(await http.read())
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="the body must be a JSON object")
    return body


def _error(status: int, message: str) -> web.Response:
    # The fields that the four APIs agree on or ignore.
    error = {"message": message, "type": "server_error", "code": None}
    return web.json_response({"type": "error", "error": error}, status=status)
