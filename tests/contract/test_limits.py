"""What connections may cost: idle, slow and too many ones, and a flood of them at a real daemon."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from agentapi.http.app import HttpOptions
from agentapi.http.connections import SPARE
from agentapi.http.options import Limits
from tests.support.daemon import daemon
from tests.support.live import PATIENCE, Live, serving

FILES = 256
CROWD = 1_000
GET_STATUS = b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"


def limited(**limits: float) -> HttpOptions:
    return HttpOptions(limits=Limits(**limits))  # type: ignore[arg-type]


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and the body of the next answer."""
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return int(head.split()[1]), await reader.readexactly(int(length))


async def closed(reader: asyncio.StreamReader) -> bytes:
    """What still comes before the connection is closed."""
    async with asyncio.timeout(PATIENCE):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


class TestTime:
    @pytest.mark.parametrize(
        "begun", [b"GET /status HTTP/1.1\r\nHost: loc", b"\r", b"POST /message HTTP/1.1\r\n"]
    )
    async def test_a_header_that_does_not_end(self, begun: bytes) -> None:
        async with serving(limited(header=0.05)) as live, live.connect(begun) as reader:
            assert (await closed(reader)).startswith(b"HTTP/1.1 408 ")

    async def test_a_second_header_that_does_not_end(self) -> None:
        async with serving(limited(header=0.05)) as live:
            reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
            writer.write(GET_STATUS)
            assert (await answer(reader))[0] == 200
            writer.write(GET_STATUS[:20])
            assert (await closed(reader)).startswith(b"HTTP/1.1 408 ")
            writer.close()

    async def test_a_connection_without_a_request(self) -> None:
        async with serving(limited(idle=0.05)) as live, live.connect(b"") as reader:
            assert await closed(reader) == b""

    async def test_a_connection_after_its_request(self) -> None:
        async with serving(limited(idle=0.05)) as live, live.connect(GET_STATUS) as reader:
            assert (await answer(reader))[0] == 200
            assert await closed(reader) == b""

    async def test_a_stream_is_not_idle(self) -> None:
        options = HttpOptions(limits=Limits(idle=0.01, header=0.01), ping_interval=0.05)
        request = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"
        async with serving(options) as live, live.connect(request) as reader:
            async with asyncio.timeout(PATIENCE):
                for _ in range(3):
                    await reader.readuntil(b": ping\n\n")


@asynccontextmanager
async def streams(live: Live, count: int) -> AsyncIterator[list[int]]:
    """So many streams; their statuses."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            response = await stack.enter_async_context(live.client.get(live.url + "/events"))
            found.append(response.status)
        yield found


async def until_it_is(status: int, live: Live, path: str) -> bool:
    """Wait until a request is answered so: the server learns a little later who has gone."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with live.client.get(live.url + path) as response:
                if response.status == status:
                    return True


class TestNumber:
    async def test_the_one_that_is_idle_longest_makes_room(self) -> None:
        async with serving(limited(connections=2)) as live, AsyncExitStack() as stack:
            most = 16  # never fewer
            readers = [await stack.enter_async_context(live.connect(b"")) for _ in range(most)]
            assert (await live.get("/status")).status == 200
            assert await closed(readers[0]) == b""
            assert (await live.get("/status")).status == 200
            assert not any(reader.at_eof() for reader in readers[1:])

    async def test_streams_leave_room_for_requests(self) -> None:
        async with serving(limited(connections=20, streams=0.5)) as live:
            async with streams(live, 11) as statuses:
                assert statuses == [200] * 10 + [503]
                assert (await live.get("/status")).status == 200
            assert await until_it_is(200, live, "/events")

    async def test_when_all_are_busy_health_is_told_and_nothing_else(self) -> None:
        async with serving(limited(connections=16, streams=1.0)) as live:
            async with streams(live, 16) as statuses:
                assert statuses == [200] * 16
                refused = await live.get("/status")
                assert refused.status == 503
                assert refused.headers["Retry-After"]
                assert json.loads(refused.body)["status"] == 503
                assert (await live.get("/healthz")).status == 200
            assert await until_it_is(200, live, "/status")

    async def test_slow_requests_beyond_the_limit_do_not_hide_health(self) -> None:
        async with (
            serving(limited(connections=16, streams=1.0)) as live,
            streams(live, 16),
            AsyncExitStack() as stack,
        ):
            for begun in (b"", b"POST /upload HTTP/1.1\r\n") * SPARE:
                await stack.enter_async_context(live.connect(begun))
            assert (await live.get("/healthz")).status == 200
            assert (await live.get("/status")).status == 503


async def test_a_crowd_of_idle_connections_with_few_descriptors() -> None:
    """1,000 clients that ask nothing, at a daemon that may open 256 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * CROWD), hard))
    limit = ("prlimit", f"--nofile={FILES}:{FILES}")
    try:
        async with daemon("--", "cat", prefix=limit) as running, AsyncExitStack() as crowd:
            port = int((await running.url()).rpartition(":")[2])
            for _ in range(CROWD):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                crowd.callback(writer.close)
            for _ in range(3):
                assert (await running.get("/status"))["agent_type"] == "custom"
            await crowd.aclose()
            async with running.events() as events:
                assert await anext(events)
            assert (await running.get("/status"))["agent_type"] == "custom"
            assert await running.end() == 0
            assert len(running.log) < 4_000, running.log[:4_000]
            assert "Traceback" not in running.log
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_the_agent_has_the_limit_that_the_daemon_was_given() -> None:
    limit = ("prlimit", "--nofile=300:2000")
    program = ("sh", "-c", "echo files: $(ulimit -Sn) $(ulimit -Hn); exec cat")
    async with daemon("--", *program, prefix=limit) as running:
        await running.until(lambda messages: "files: 300 2000" in messages[0][1])
        own = resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE)
        assert own == (2000, 2000)
