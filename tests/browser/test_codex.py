"""The page, the server as a process of its own, and the real Codex."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from agentapi.scripted import Reply, Request, ScriptedModel, Shell
from agentapi.scripted.answers import answer
from tests.browser.conftest import Visit
from tests.support.codex import codex_binary, codex_command, codex_home
from tests.support.daemon import daemon

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
            await _asks(page)
            assert not await asyncio.to_thread((home.workdir / "made-here").exists)
            await page.get_by_role("button", name="Control").click()
            await page.keyboard.press("y")
            await expect(page.locator(".agent").last).to_contain_text("Ran touch made-here")
            await _ready(page)
            assert await asyncio.to_thread((home.workdir / "made-here").exists)
            # The page must be gone before its server.
            await visit.context.close()


@pytest.mark.parametrize(
    ("version", "options"),
    [
        (None, ["--codex-link", "--message-format=markdown"]),
        (None, []),
        ("0.125.0", ["--message-format=markdown"]),
    ],
    ids=["link", "screen", "0.125.0"],
)
async def test_questions_are_answered_by_buttons_one_after_the_other(
    visit: Visit,
    scratch: Path,
    codex: Callable[[str | None], Path],
    version: str | None,
    options: list[str],
) -> None:
    codex(version)
    async with ScriptedModel(answer=_two_at_once) as model:
        home = codex_home(scratch, model.url, approvals=True)
        there = ("env", "-C", str(home.workdir))
        words = ("--type=codex", *options, "--", str(codex_binary(version)))
        running = daemon(*words, prefix=there, **home.environment())  # type: ignore[arg-type]
        async with running as server:
            url = f"{await server.url()}/chat"
            page, other = await visit.open(url), await visit.open(url)
            await _ready(page)
            await page.get_by_label("Message to the agent").fill("both")
            await page.keyboard.press("Enter")
            made = [home.workdir / name for name in ("one", "two")]
            for _ in made:
                await _asks(page)
                named = page.locator(".card .asked")
                await expect(named).to_have_text(re.compile("^touch (one|two)$"))
                command = await named.inner_text()
                await expect(other.locator(".card .asked")).to_have_text(command)
                await expect(page.locator(".agent").last).to_contain_text(command)
                await page.screenshot(path=scratch / "asks.png")
                await page.get_by_role("button", name="Yes, proceed").click()
                for shown in (page, other):
                    gone = shown.locator(".card .asked").get_by_text(command, exact=True)
                    await expect(gone).to_have_count(0)
            await expect(page.locator(".agent").last).to_contain_text("has finished")
            for shown in (page, other):
                await _ready(shown)
                await expect(shown.locator(".card, .toast")).to_have_count(0)
                await expect(shown.locator(".agent").last).not_to_contain_text("Yes, proceed")
            assert all([await asyncio.to_thread(file.exists) for file in made])
            await visit.context.close()


def _two_at_once(request: Request) -> Reply:
    if request.tool_output is None and request.prompt == "both":
        return [Shell("touch one", "May I one?"), Shell("touch two", "May I two?")]
    return answer(request)


async def _asks(page: Page) -> None:
    await expect(page.locator("header .state")).to_have_text("Needs you", timeout=30_000)


async def _ready(page: Page) -> None:
    await expect(page.locator("header .state")).to_have_text("Ready", timeout=30_000)
