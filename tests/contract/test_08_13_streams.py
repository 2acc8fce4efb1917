"""Contract points 8 to 13: the event streams, byte by byte where bytes matter."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime

import pytest

from agentapi.http.app import HttpOptions
from agentapi.model.conversation import Level, Message, Phase, Role
from agentapi.model.events import NoticeRaised
from agentapi.session.events import BACKLOG
from agentapi.storage.state import RestoredState
from tests.support.live import PATIENCE, serving, settle

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
REQUEST = b"GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n"
"""HTTP/1.0: the body comes without chunk marks, so that its bytes can be compared."""


# -- 8: frames and their order -------------------------------------------------------------------


async def test_contract_point_8_a_stream_begins_with_messages_status_and_errors() -> None:
    async with serving(clock=lambda: NOON) as live:
        live.driver.say("banner “x”")
        live.driver.emit(NoticeRaised(Level.WARNING, "careful"))
        live.driver.idle()
        await live.say("hi")
        async with live.connect(REQUEST % b"/events") as reader:
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
            expected = (
                "event: message_update\n"
                'data: {"id":0,"role":"agent","message":"banner “x”","time":"2026-01-02T12:00:00Z"}'
                "\n\n"
                "event: message_update\n"
                'data: {"id":1,"role":"user","message":"hi","time":"2026-01-02T12:00:00Z"}\n\n'
                "event: status_change\n"
                'data: {"status":"running","agent_type":"codex"}\n\n'
                "event: agent_error\n"
                'data: {"message":"careful","level":"warning","time":"2026-01-02T12:00:00Z"}\n\n'
            ).encode()
            assert await asyncio.wait_for(reader.readexactly(len(expected)), PATIENCE) == expected
            live.driver.say("ok")
            live.driver.idle()
            expected = (
                b"event: message_update\n"
                b'data: {"id":2,"role":"agent","message":"ok","time":"2026-01-02T12:00:00Z"}\n\n'
                b"event: status_change\n"
                b'data: {"status":"stable","agent_type":"codex"}\n\n'
            )
            assert await asyncio.wait_for(reader.readexactly(len(expected)), PATIENCE) == expected


async def test_contract_point_8_of_many_errors_the_last_100_are_replayed() -> None:
    async with serving() as live:
        for number in range(130):
            live.driver.emit(NoticeRaised(Level.ERROR, str(number)))
        async with live.stream() as stream:
            events = await stream.events(102)
            assert [data["message"] for name, data in events if name == "agent_error"] == [
                str(number) for number in range(30, 130)
            ]


async def test_contract_point_8_a_stream_may_begin_before_the_agent_is_started() -> None:
    async with serving(start=False) as live, live.stream() as stream:
        assert [name for name, _ in await stream.events(2)] == ["message_update", "status_change"]
        await live.session.start()
        live.driver.idle()
        assert await stream.until("status_change", status="stable")


# -- 9: what events hold -------------------------------------------------------------------------


async def test_contract_point_9_the_members_of_each_event() -> None:
    async with serving() as live, live.stream() as stream:
        live.driver.emit(NoticeRaised(Level.ERROR, "oh"))
        (_, update), (_, status), (_, error) = await stream.events(3)
        assert set(update) == {"id", "role", "message", "time"}
        assert status == {"status": "running", "agent_type": "codex"}
        assert set(error) == {"message", "level", "time"}
        assert error["level"] == "error"


async def test_contract_point_9_statuses_are_deduplicated() -> None:
    async with serving() as live, live.stream() as stream:
        await stream.events(2)
        live.driver.phase(Phase.WORKING)
        live.driver.idle()
        live.driver.idle()
        live.driver.phase(Phase.BLOCKED)
        live.driver.phase(Phase.WORKING)
        live.driver.emit(NoticeRaised(Level.ERROR, "end"))
        events = await stream.events(3)
        assert [data.get("status") for _, data in events] == ["stable", "running", None]


# -- 10: nothing that the Go client does not know -------------------------------------------------


async def test_contract_point_10_keep_alives_are_comments() -> None:
    async with serving(HttpOptions(ping_interval=0.02)) as live, live.stream() as stream:
        await stream.events(2)
        assert await stream.frame() == b": ping\n\n"
        assert await stream.frame() == b": ping\n\n"


def test_contract_point_10_a_silent_stream_says_something_every_15_seconds() -> None:
    assert HttpOptions().ping_interval == 15


async def test_contract_point_10_only_the_three_known_events_appear() -> None:
    known = {"message_update", "status_change", "agent_error"}
    async with serving() as live, live.stream() as stream:
        live.driver.idle()
        live.driver.paint("screen")
        await live.say("hi")
        live.driver.phase(Phase.BLOCKED, "dialog")
        live.driver.turn("done")
        live.driver.emit(NoticeRaised(Level.ERROR, "last"))
        names = set()
        while "agent_error" not in names:
            names.add((await stream.event())[0])
        assert names <= known


@pytest.mark.parametrize("char", ["x", "é", "😀", "\n", "\x1b"])
async def test_contract_point_10_a_frame_stays_under_128_kib_and_messages_has_all(
    char: str,
) -> None:
    text = "begin" + char * 300_000 + "end"
    async with serving() as live, live.stream() as stream:
        await stream.events(2)
        live.driver.say(text)
        frame = await stream.frame()
        assert 100 * 1024 < len(frame) <= 128 * 1024
        message = frame.decode()
        assert "begin" in message
        assert "cut here" in message
        assert "end" in message
        assert (await live.get("/messages")).json["messages"][0]["content"] == text


# -- 11: headers, and who falls behind -------------------------------------------------------------


@pytest.mark.parametrize("path", ["/events", "/internal/screen"])
async def test_contract_point_11_the_headers_of_a_stream(path: str) -> None:
    async with serving() as live, live.stream(path) as stream:
        headers = stream.response.headers
        expected = {
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-cache, no-store, must-revalidate",
            "Pragma": "no-cache",
            "Expires": "0",
            "X-Accel-Buffering": "no",
            "X-Proxy-Buffering": "no",
            "Connection": "keep-alive",
        }
        assert {name: headers.get(name) for name in expected} == expected
        assert "Content-Encoding" not in headers


async def test_contract_point_11_a_subscriber_that_falls_1024_events_behind_is_closed() -> None:
    async with serving() as live:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(slow, ("127.0.0.1", live.port))
        await loop.sock_sendall(slow, REQUEST % b"/events")
        async with live.stream() as brisk:
            await brisk.events(2)
            while len(live.session.hub) < 2:
                await settle()
            sent = 0
            while live.session.hub.overflowed == 0:
                sent += 1
                live.driver.emit(NoticeRaised(Level.WARNING, f"{sent} " + "x" * 8192))
                assert (await brisk.until("agent_error"))["message"].startswith(f"{sent} ")
                assert sent < 20 * BACKLOG
        assert sent > BACKLOG
        received = 0
        while data := await asyncio.wait_for(loop.sock_recv(slow, 1 << 20), PATIENCE):
            received += len(data)
        assert received < sent * 8192
        slow.close()


async def test_contract_point_11_a_slow_subscriber_gets_the_newest_of_a_growing_message() -> None:
    async with serving() as live:
        reader, writer = await asyncio.open_connection("127.0.0.1", live.port, limit=2048)
        writer.write(REQUEST % b"/events")
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        live.driver.idle()
        await live.say("hi")
        updates = 0
        while live.session.hub.replaced < 5:
            updates += 1
            live.driver.say(f"<{updates}>" * 20_000)
            live.session.save()  # publishes what the throttle holds back
            await settle()
            assert updates < 5000
        live.driver.turn("the end")
        live.session.close_streams()
        data = await asyncio.wait_for(reader.read(), PATIENCE)
        frames = [frame for frame in data.split(b"\n\n") if not frame.startswith(b":")]
        assert sum(b'"id":2,' in frame for frame in frames) < updates
        assert b'"the end"' in frames[-3]
        assert b'"stable"' in frames[-2]
        writer.close()


async def test_contract_point_11_a_client_that_vanishes_is_forgotten() -> None:
    async with serving() as live:
        async with live.connect(REQUEST % b"/events") as reader:
            await asyncio.wait_for(reader.readuntil(b"\n\n"), PATIENCE)
            assert len(live.session.hub) == 1
        async with asyncio.timeout(PATIENCE):
            while live.session.hub:
                await settle()


async def test_contract_point_11_open_streams_do_not_delay_the_end() -> None:
    async with serving() as live, live.stream() as stream, live.stream("/internal/screen") as other:
        await stream.events(2)
        live.driver.idle()
        async with asyncio.timeout(PATIENCE):
            await live.server.stop()
            assert (await stream.until("status_change"))["status"] == "stable"
            assert await stream.frame() == b""
            await other.frame()
            assert await other.frame() == b""


# -- 12: ids --------------------------------------------------------------------------------------


async def test_contract_point_12_a_user_message_has_a_new_higher_id_and_the_same_on_replay() -> (
    None
):
    async with serving() as live, live.stream() as stream:
        live.driver.idle()
        ids = []
        for text in ("one", "two", "three"):
            await live.say(text)
            ids.append((await stream.until("message_update", role="user"))["id"])
            live.driver.turn(text.upper())
        assert ids == [1, 3, 5]
        async with live.stream() as replay:
            events = await replay.events(8)
        users = [data for name, data in events if data.get("role") == "user"]
        assert [(data["id"], data["message"]) for data in users] == [
            (1, "one"),
            (3, "two"),
            (5, "three"),
        ]


async def test_contract_point_12_ids_go_on_after_a_restart() -> None:
    roles = (Role.AGENT, Role.USER, Role.AGENT)
    history = tuple(Message(n, role, f"old {n}", NOON) for n, role in enumerate(roles))
    async with serving(history=RestoredState(history)) as live, live.stream() as stream:
        assert [data["id"] for _, data in await stream.events(3)] == [0, 1, 2]
        live.driver.say("old 0 old 1 old 2, painted again")
        live.driver.idle()
        await live.say("new")
        assert (await stream.until("message_update"))["id"] == 3


async def test_contract_point_12_every_subscriber_sees_the_same() -> None:
    async with serving() as live, live.stream() as one, live.stream() as other:
        live.driver.idle()
        await live.say("hi")
        live.driver.turn("hello")
        assert await one.events(6) == await other.events(6)


# -- 13: the screen -------------------------------------------------------------------------------


async def test_contract_point_13_the_screen_comes_at_once_and_on_each_change() -> None:
    async with serving() as live:
        live.driver.paint("first\nscreen   \n\n\n")
        async with live.stream("/internal/screen") as stream:
            assert await stream.frame() == (b'event: screen\ndata: {"screen":"first\\nscreen"}\n\n')
            live.driver.paint("second")
            assert await stream.event() == ("screen", {"screen": "second"})


async def test_contract_point_13_a_screen_stays_under_256_kib() -> None:
    async with serving() as live:
        live.driver.paint("😀" * 200_000)
        async with live.stream("/internal/screen") as stream:
            assert len(await stream.frame()) <= 256 * 1024
