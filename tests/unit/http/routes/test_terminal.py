"""`/terminal`: a picture first, then bytes; keys and sizes in."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from agentapi.http.routes.terminal import MAX_LAG, OutputFeed
from agentapi.session.session import AgentSession
from tests.support.fixed_driver import FixedDriver
from tests.support.live import PATIENCE, Live, serving, settle


def connect(live: Live) -> aiohttp.client._WSRequestContextManager:
    return live.client.ws_connect(live.url + "/terminal")


async def typed(live: Live, count: int) -> list[str]:
    async with asyncio.timeout(PATIENCE):
        while len(live.driver.typed) < count:
            await settle()
    return live.driver.typed


async def test_the_first_frame_repaints_then_bytes_come_as_they_are() -> None:
    async with serving() as live:
        live.driver.paint("before")
        async with connect(live) as socket:
            assert await socket.receive_bytes() == live.driver.repaint()
            live.driver.paint("after", b"\x1b[1mafter\xff")
            assert await socket.receive_bytes() == b"\x1b[1mafter\xff"
        async with asyncio.timeout(PATIENCE):
            while live.driver.watched:
                await settle()


async def test_binary_and_text_frames_are_keys_in_order() -> None:
    async with serving() as live, connect(live) as socket:
        await socket.send_bytes(b"a")
        await socket.send_str("b")
        await socket.send_bytes("é".encode()[:1])
        await socket.send_bytes("é".encode()[1:])
        await socket.send_str('{"x": 1}')
        await socket.send_str("{")
        assert await typed(live, 5) == ["a", "b", "é", '{"x": 1}', "{"]


@pytest.mark.parametrize(
    ("asked", "given"),
    [("[120, 40]", (120, 40)), ("[1, 1]", (10, 10)), ("[99999, 99999]", (1000, 2000))],
)
async def test_a_resize_is_brought_within_bounds(asked: str, given: tuple[int, int]) -> None:
    async with serving() as live, connect(live) as socket:
        await socket.send_str(f'{{"resize": {asked}}}')
        await socket.send_str("x")
        await typed(live, 1)
        assert live.driver.sizes == [given]


async def test_the_end_of_the_server_closes_the_socket() -> None:
    async with serving() as live, connect(live) as socket:
        await socket.receive_bytes()
        stopping = asyncio.ensure_future(live.server.stop())
        message = await socket.receive(PATIENCE)
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data == aiohttp.WSCloseCode.GOING_AWAY
        await stopping


async def test_an_agent_without_a_terminal_has_none() -> None:
    async with serving(transport="acp") as live:
        assert (await live.get("/terminal")).status == 404


async def test_a_request_that_is_no_web_socket_gets_426() -> None:
    async with serving() as live:
        answer = await live.get("/terminal")
        assert (answer.status, answer.headers["Upgrade"]) == (426, "websocket")


async def test_a_slow_reader_gets_a_fresh_picture_instead_of_what_it_missed() -> None:
    driver = FixedDriver()
    session = AgentSession(driver, agent_type="codex")
    await session.start()
    feed = OutputFeed(session)
    assert await feed.take() == driver.repaint()
    for _ in range(10):
        driver.paint("noise", b"x" * (MAX_LAG // 8))
    driver.paint("the last screen")
    assert await feed.take() == driver.repaint()
    driver.paint("next", b"next")
    assert await feed.take() == b"next"
    feed.close()
    await session.stop()
