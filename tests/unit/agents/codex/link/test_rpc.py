"""JSON-RPC over a real WebSocket on a real Unix socket; the test scripts the server."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agentapi.agents.codex.link import rpc
from agentapi.agents.codex.link.rpc import RpcConnection, RpcError, RpcLost

Serve = Callable[[web.WebSocketResponse], Awaitable[None]]


class Heard:
    """The messages that a connection dispatched."""

    def __init__(self) -> None:
        self.messages: list[tuple[Any, ...]] = []
        self.thanked = asyncio.Event()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def notified(self, method: str, params: dict[str, Any]) -> None:
        self.messages.append((method, params))
        if method == "bad":
            raise KeyError("nobody thought of this")
        if method == "thanks":
            self.thanked.set()


@asynccontextmanager
async def connected(serve: Serve) -> AsyncIterator[tuple[RpcConnection, Heard]]:
    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await serve(socket)
        return socket

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    heard = Heard()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        await web.UnixSite(runner, str(path)).start()
        connection = await RpcConnection.connect(
            path,
            on_notification=heard.notified,
            on_request=lambda number, method, params: heard.messages.append(
                (number, method, params)
            ),
            on_lost=heard.lost.set_result,
        )
        try:
            yield connection, heard
        finally:
            await connection.close()
            await runner.cleanup()


async def test_responses_reach_their_calls_and_other_messages_are_dispatched() -> None:
    async def serve(socket: web.WebSocketResponse) -> None:
        calls = [await socket.receive_json(), await socket.receive_json()]
        first, second = sorted(calls, key=lambda call: str(call["method"]))
        await socket.send_json({"method": "noted", "params": {"x": 1}})
        for strange in ("no JSON", "[]", '{"id": 99, "result": 1}', '{"x": 1}'):
            await socket.send_str(strange)
        await socket.send_json({"id": "q", "method": "ask"})
        await socket.send_json({"id": second["id"], "result": second["params"]})
        await socket.send_json({"id": first["id"], "error": {"code": -1, "message": "no"}})
        assert await socket.receive_json() == {"id": "q", "result": {"yes": True}}
        await socket.send_json({"method": "thanks"})
        await socket.receive()

    async with connected(serve) as (connection, heard):
        first = asyncio.create_task(connection.call("a", {}))
        answer = await connection.call("b", {"text": "é\u2028"})
        with pytest.raises(RpcError, match=r"^a: no$"):
            await first
        assert answer == {"text": "é\u2028"}
        assert heard.messages == [("noted", {"x": 1}), ("q", "ask", {})]
        await connection.respond("q", {"yes": True})
        await asyncio.wait_for(heard.thanked.wait(), 5)


async def test_an_exception_for_one_message_does_not_lose_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def serve(socket: web.WebSocketResponse) -> None:
        call = await socket.receive_json()
        await socket.send_json({"method": "bad", "params": {}})
        await socket.send_json({"id": call["id"], "result": "there"})
        await socket.receive()

    async with connected(serve) as (connection, _):
        assert await connection.call("a", {}) == "there"
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert '"bad"' in record.getMessage()
    assert record.exc_info is not None


async def test_a_server_that_goes_away_fails_the_calls_and_is_reported_once() -> None:
    async def serve(socket: web.WebSocketResponse) -> None:
        await socket.receive()

    async with connected(serve) as (connection, heard):
        with pytest.raises(RpcLost, match="closed the connection"):
            await connection.call("a", {})
        assert "closed" in await heard.lost
        with pytest.raises(RpcLost):
            await connection.call("b", {})


async def test_a_silent_server_fails_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "CALL_LIMIT", 0.05)
    asked: list[str] = []

    async def serve(socket: web.WebSocketResponse) -> None:
        asked.extend([message.json()["method"] async for message in socket])

    async with connected(serve) as (connection, _):
        with pytest.raises(RpcLost, match=r"^a was not answered within 0\.05 s, nor thread/loaded"):
            await connection.call("a", {})
    assert asked == ["a", rpc.PING]


@pytest.mark.parametrize("answer", [{"result": {}}, {"error": {"code": -1, "message": "what?"}}])
async def test_a_live_server_may_take_long(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    monkeypatch.setattr(rpc, "CALL_LIMIT", 0.5)

    async def serve(socket: web.WebSocketResponse) -> None:
        slow, alive = await socket.receive_json(), await socket.receive_json()
        await socket.send_json({"id": alive["id"], **answer})
        await asyncio.sleep(0.1)
        await socket.send_json({"id": slow["id"], "result": "done"})
        await socket.receive()

    async with connected(serve) as (connection, _):
        assert await connection.call("a", {}) == "done"


async def test_a_response_before_the_pings_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rpc, "CALL_LIMIT", 0.5)

    async def serve(socket: web.WebSocketResponse) -> None:
        slow, _ = await socket.receive_json(), await socket.receive_json()
        await socket.send_json({"id": slow["id"], "result": "done"})
        await socket.receive()

    async with connected(serve) as (connection, _):
        assert await connection.call("a", {}) == "done"


async def test_a_live_server_that_never_responds_fails_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rpc, "CALL_LIMIT", 0.5)
    monkeypatch.setattr(rpc, "SLOW_LIMIT", 1.5)

    async def serve(socket: web.WebSocketResponse) -> None:
        await socket.receive()
        alive = await socket.receive_json()
        await socket.send_json({"id": alive["id"], "result": {}})
        await socket.receive()

    async with connected(serve) as (connection, _):
        with pytest.raises(RpcLost, match=r"^a was not answered within 1\.5 s$"):
            await connection.call("a", {})


async def test_no_server() -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.raises(OSError):
        await RpcConnection.connect(
            Path(folder) / "none",
            on_notification=lambda method, params: None,
            on_request=lambda number, method, params: None,
            on_lost=lambda why: None,
        )
