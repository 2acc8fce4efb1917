"""The page, the server as a process of its own, and the real Codex."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from agentapi.scripted import ScriptedModel
from tests.browser.conftest import Visit
from tests.support.codex import codex_command, codex_home
from tests.support.daemon import Daemon, daemon

pytestmark = [
    pytest.mark.browser,
    pytest.mark.codex,
    pytest.mark.asyncio(loop_scope="session"),
]


async def test_a_command_is_approved_by_a_key(
    visit: Visit, scratch: Path, codex: Callable[[], Path]
) -> None:
    codex()
    async with ScriptedModel() as model:
        home = codex_home(scratch, model.url, approvals=True)
        there = ("env", "-C", str(home.workdir))
        words = ("--type=codex", "--", *codex_command())
        running = daemon(*words, prefix=there, **home.environment())  # type: ignore[arg-type]
        async with running as server:
            page = await visit.open(f"{await server.url()}/chat")
            await _ready(page)
            await page.get_by_label("Message to the agent").fill("approve touch made-here")
            await page.keyboard.press("Enter")
            await _blocked(server)
            await _ready(page)
            assert not await asyncio.to_thread((home.workdir / "made-here").exists)
            await page.get_by_role("button", name="Control").click()
            await page.keyboard.press("y")
            await expect(page.locator(".agent").last).to_contain_text("Ran touch made-here")
            await _ready(page)
            assert await asyncio.to_thread((home.workdir / "made-here").exists)
            # The page must be gone before its server.
            await visit.context.close()


async def _blocked(server: Daemon) -> None:
    """Wait until Codex asks. The page cannot tell that from any other `stable`."""
    async with asyncio.timeout(30):
        while (await server.get("/session"))["phase"] != "blocked":  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _ready(page: Page) -> None:
    await expect(page.locator("header .state")).to_have_text("Ready", timeout=30_000)
