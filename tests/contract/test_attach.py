"""Contract point 18 (attach), and what ours adds: colours, sizes, a terminal as it was."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from agentapi.http.app import HttpOptions
from agentapi.terminal import Emulator, ExitStatus, PtyProcess
from tests.support.live import PATIENCE, Live, serving

SCRIPT = """
before=$(stty -g)
{command}
status=$?
[ "$(stty -g)" = "$before" ] && echo "terminal as before, status $status"
"""


class Attached:
    """`agentapi attach` in a real terminal, under a shell that looks at the terminal after it."""

    def __init__(self) -> None:
        self.emulator = Emulator(60, 12)
        self.output = b""
        self.process: PtyProcess
        self.ended = asyncio.Event()
        self._news = asyncio.Event()

    async def start(self, url: str, **environment: str) -> None:
        command = shlex.join([sys.executable, "-m", "agentapi", "attach", "--url", url])
        self.process = await PtyProcess.spawn(
            ["bash", "-c", SCRIPT.format(command=command)],
            cwd=None,
            env=dict(os.environ, TERM="xterm-256color", **environment),
            columns=60,
            rows=12,
            on_output=self._take,
            on_exit=self._exited,
        )

    def _take(self, data: bytes) -> None:
        self.output += data
        self.emulator.feed(data)
        self._news.set()

    def _exited(self, status: ExitStatus) -> None:
        self.ended.set()
        self._news.set()

    @property
    def screen(self) -> str:
        return "\n".join(self.emulator.screen_lines()).rstrip()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that some output brings about."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def shows(self, text: str) -> None:
        """Wait for the text on the screen."""
        try:
            await self.until(lambda: text in self.screen)
        except TimeoutError:
            raise AssertionError(f"{text!r} is not on the screen:\n{self.screen}") from None

    def child(self) -> int:
        """The process id of attach itself."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(children.read_text().split()[-1])


@asynccontextmanager
async def attached(url: str, **environment: str) -> AsyncIterator[Attached]:
    terminal = Attached()
    await terminal.start(url, **environment)
    try:
        yield terminal
    finally:
        await terminal.process.stop(1.0)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what happens in the server."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (another task has no event for it)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def attached_to(live: Live) -> AsyncIterator[Attached]:
    live.driver.paint("the agent's screen")
    async with attached(live.url) as terminal:
        await terminal.shows("the agent's screen")
        yield terminal


async def test_point_18_the_screen_shows_keys_go_in_order_ctrl_c_detaches() -> None:
    async with serving() as live, attached_to(live) as terminal:
        await eventually(lambda: bool(live.driver.sizes))
        assert live.driver.sizes == [(60, 12)]
        live.driver.paint("", b"\x1b[2J\x1b[H\x1b[31mred\x1b[0m and \x1b[6n\x1b]11;?\x07plain")
        await terminal.shows("red and plain")
        assert b"\x1b[31mred" in terminal.output
        keys = [bytes([n]) for n in b"hello world, typed fast \xc3\xa4\x1b[A\r\t\x7f\x1b"]
        for key in keys:
            terminal.process.write(key)
        await eventually(lambda: "".join(live.driver.typed).encode() == b"".join(keys))
        terminal.process.write(b"last\x03never")
        await terminal.shows("terminal as before, status 0")
        assert "Detached" in terminal.screen
        await eventually(lambda: "".join(live.driver.typed).endswith("last"))
        assert live.driver.watched == 0


async def test_point_18_no_question_reaches_the_terminal() -> None:
    """Its answers would be typed into the agent, which had its answer already."""
    async with serving() as live, attached_to(live) as terminal:
        live.driver.paint("", b"\x1b[6n\x1b[c\x1b]11;?\x07\x1b]10;?\x1b\\\x1b[?u.")
        await terminal.until(lambda: terminal.output.endswith(b"."))
        assert terminal.emulator.take_replies() == b""
        terminal.process.write(b"\x03")
        await terminal.shows("status 0")


async def test_the_agents_terminal_follows_the_size_and_has_its_own_again() -> None:
    options = HttpOptions(terminal_size=(80, 1000))
    async with serving(options) as live, attached_to(live) as terminal:
        terminal.process.resize(100, 30)
        await eventually(lambda: live.driver.sizes[-1:] == [(100, 30)])
        terminal.process.write(b"\x03")
        await terminal.until(terminal.ended.is_set)
        await eventually(lambda: live.driver.sizes[-1:] == [(80, 1000)])


async def test_a_terminal_that_does_not_know_its_size_changes_nothing() -> None:
    async with serving() as live, attached_to(live) as terminal:
        await eventually(lambda: bool(live.driver.sizes))
        terminal.process.resize(0, 0)
        terminal.process.write(b"k")
        await eventually(lambda: "".join(live.driver.typed) == "k")
        terminal.process.resize(100, 30)
        await eventually(lambda: live.driver.sizes[-1:] == [(100, 30)])
        assert live.driver.sizes == [(60, 12), (100, 30)]


async def test_what_the_agent_switched_on_is_off_again() -> None:
    modes = b"\x1b[?1049h\x1b[?2004h\x1b[?1000h\x1b[?1006h\x1b[?1004h\x1b[?25l\x1b[>7u\x1b[31m"
    async with serving() as live, attached_to(live) as terminal:
        live.driver.paint("", modes + b"in the other screen")
        await terminal.shows("in the other screen")
        assert terminal.emulator.take_frame().alternate
        terminal.process.write(b"\x1b[99;5u")  # Ctrl-C as that keyboard mode has it
        await terminal.shows("terminal as before, status 0")
        assert not terminal.emulator.take_frame().alternate
        assert not terminal.emulator.bracketed_paste
        assert "in the other screen" not in terminal.screen


async def test_a_signal_restores_the_terminal() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        async with serving() as live, attached_to(live) as terminal:
            os.kill(terminal.child(), number)
            await terminal.shows("terminal as before, status 0")


async def test_a_server_that_ends_is_told_apart_from_one_that_is_lost() -> None:
    async with AsyncExitStack() as stack:
        live = await stack.enter_async_context(serving())
        live.driver.paint("the agent's screen")
        async with attached(live.url) as terminal:
            await terminal.shows("the agent's screen")
            await stack.aclose()
            await terminal.shows("The server has ended.")
            await terminal.shows("terminal as before, status 0")


async def test_a_dropped_connection_is_explained() -> None:
    async with cut_off() as url, attached(url) as terminal:
        await terminal.shows(f"lost {url}")
        await terminal.shows("terminal as before, status 1")


async def test_point_18_nothing_answers() -> None:
    async with attached("localhost:9") as terminal:
        await terminal.shows("nothing answers at http://localhost:9")
        await terminal.shows("status 1")


async def test_something_else_answers() -> None:
    async with listening(web.Application()) as url, attached(url) as terminal:
        await terminal.shows("is it an AgentAPI server?")
        await terminal.shows("status 1")


async def test_a_token_is_asked_for_and_shown() -> None:
    async with serving(HttpOptions(auth_token="s3cret")) as live:
        live.driver.paint("the agent's screen")
        async with attached(live.url) as terminal:
            await terminal.shows("asks for a token")
        proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:9")
        async with attached(live.url, AGENTAPI_AUTH_TOKEN="s3cret", **proxy) as terminal:
            await terminal.shows("the agent's screen")  # no proxy ever sees the token
            terminal.process.write(b"\x03")
            await terminal.shows("status 0")


async def test_point_18_against_upstream_the_screen_is_text_and_keys_are_raw_messages() -> None:
    upstream = Upstream()
    async with listening(upstream.app()) as url, attached(url) as terminal:
        upstream.screens.put_nowait("first\n" + "\n" * 30 + "bottom   \n\n")
        await terminal.shows("bottom")
        for key in b"raw \x1b[B keys":
            terminal.process.write(bytes([key]))
        await eventually(lambda: "".join(upstream.typed) == "raw \x1b[B keys")
        upstream.screens.put_nowait("second")
        await terminal.shows("second")
        assert "bottom" not in terminal.screen
        terminal.process.write(b"\x03")
        await terminal.shows("terminal as before, status 0")


class Upstream:
    """The part of upstream's server that attach uses."""

    def __init__(self) -> None:
        self.screens: asyncio.Queue[str] = asyncio.Queue()
        self.typed: list[str] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/internal/screen", self._screen)
        app.router.add_post("/message", self._message)
        return app

    async def _screen(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            data = web.json_response({"screen": await self.screens.get()}).text
            await response.write(f"event: screen\ndata: {data}\n\n".encode())

    async def _message(self, request: web.Request) -> web.Response:
        message: dict[str, Any] = await request.json()
        assert message.keys() == {"content", "type"}
        assert message["type"] == "raw"
        self.typed.append(message["content"])
        return web.json_response({"ok": True})


@asynccontextmanager
async def cut_off() -> AsyncIterator[str]:
    """A server that loses its connection after the first picture."""

    async def terminal(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_bytes(b"shown for a moment")
        await socket.receive()
        assert request.transport is not None
        request.transport.abort()
        return socket

    app = web.Application()
    app.router.add_get("/terminal", terminal)
    async with listening(app) as url:
        yield url


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
