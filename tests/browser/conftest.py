"""A real Chromium, a server for what it shows, and an eye on what it does."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    async_playwright,
    expect,
)
from yarl import URL

from tests.browser.wire import Wire

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

Serve = Callable[[web.Application], Awaitable[str]]


@dataclass
class Watch:
    """What a page must not do: write errors to the console, ask foreign origins."""

    origins: set[str]
    expected: list[str] = field(default_factory=list)
    """Patterns of console lines that this test provokes."""
    console: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def follow(self, context: BrowserContext) -> None:
        """Watch every page of `context`."""
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.console.append(f"uncaught: {error.error}"))
        context.on("request", lambda request: self._on_request(request.url))

    def check(self) -> None:
        """Raise AssertionError when a page did what it must not do."""
        unexpected = [
            line
            for line in self.console
            if not any(re.search(pattern, line) for pattern in self.expected)
        ]
        assert not unexpected, unexpected
        assert not self.foreign, self.foreign

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.console.append(f"{message.type}: {message.text}")

    def _on_request(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")) and str(URL(url).origin()) not in self.origins:
            self.foreign.append(url)


@dataclass
class Visit:
    """One browser context with its pages, and the watch over them."""

    context: BrowserContext
    watch: Watch

    async def open(self, url: str) -> Page:
        """Open a page."""
        self.watch.origins.add(str(URL(url).origin()))
        page = await self.context.new_page()
        await page.goto(url)
        return page


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The system's Chromium, once for all tests; skips them where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium: run scripts/setup")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def visiting(chromium: Browser, **options: Any) -> AsyncIterator[Visit]:
    """A browser context with Playwright's `options`, watched."""
    context = await chromium.new_context(**options)
    context.set_default_timeout(10_000)
    watch = Watch(origins=set())
    watch.follow(context)
    yield Visit(context, watch)
    await context.close()
    watch.check()


@pytest_asyncio.fixture(loop_scope="session")
async def serve() -> AsyncIterator[Serve]:
    """`await serve(app)` serves it on a port of its own and returns `http://127.0.0.1:PORT`."""
    async with AsyncExitStack() as stack:

        async def start(app: web.Application) -> str:
            # Event streams do not end by themselves.
            runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return f"http://127.0.0.1:{runner.addresses[0][1]}"

        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def visit(chromium: Browser, serve: Serve) -> AsyncIterator[Visit]:
    """A fresh browser context; at the end its pages must have behaved, and close before what
    serves them."""
    async with visiting(chromium) as visit:
        yield visit


@dataclass
class Chat:
    """A page that shows the conversation of `wire`."""

    page: Page
    wire: Wire
    visit: Visit
    url: str


@pytest_asyncio.fixture(loop_scope="session")
async def chat(visit: Visit, serve: Serve) -> Chat:
    """The page at `/chat`, connected, with an agent that waits."""
    wire = Wire()
    wire.say("agent", "Welcome to the agent")
    url = await serve(wire.app())
    page = await visit.open(f"{url}/chat")
    await page.get_by_text("Welcome to the agent").wait_for()
    return Chat(page, wire, visit, url)


@pytest.fixture(autouse=True)
def _assertion_timeout() -> None:
    expect.set_options(timeout=10_000)
