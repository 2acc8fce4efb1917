"""The page and the real server together: their routes, their words, the way through a proxy."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from agentapi.http.app import HttpOptions, create_app
from agentapi.model.conversation import Choice, Dialog, Level, Phase
from agentapi.model.events import NoticeRaised
from agentapi.session.session import AgentSession
from tests.browser.conftest import Serve, Visit
from tests.browser.proxy import StrippingProxy
from tests.support.fixed_driver import FixedDriver

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PREFIX = "/@owner/ws.agent/apps/slug"


@dataclass
class Behind:
    """The real application, behind a proxy that takes the prefix away."""

    driver: FixedDriver
    proxy: StrippingProxy
    url: str
    """What a browser puts before `/chat`."""
    direct: str


@pytest_asyncio.fixture(loop_scope="session")
async def behind(serve: Serve) -> AsyncIterator[Behind]:
    """An agent that waits for its user."""
    driver = FixedDriver()
    session = AgentSession(driver, agent_type="codex")
    direct = await serve(create_app(session, HttpOptions(chat_base_path=f"{PREFIX}/chat")))
    proxy = StrippingProxy(PREFIX, direct)
    url = await serve(proxy.app()) + PREFIX
    await session.start()
    driver.turn("OpenAI Codex")
    yield Behind(driver, proxy, url, direct)
    await session.stop()


async def _ready(page: Page) -> None:
    await expect(page.locator(".state")).to_have_text("Ready")


@pytest.mark.parametrize("path", ["/chat", "/chat/", "/chat/embed", "/chat/embed/"])
async def test_a_turn_from_the_first_word_to_the_last(
    visit: Visit, behind: Behind, path: str
) -> None:
    page = await visit.open(behind.url + path)
    await page.get_by_text("OpenAI Codex").wait_for()
    await _ready(page)
    await page.get_by_label("Message to the agent").fill("what is in here?")
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Stop").wait_for()
    await expect(page.locator(".user")).to_contain_text("what is in here?")
    for text in ("• Looking", "• Looking around", "• Looking around\n• Found it"):
        behind.driver.say(text)
    await expect(page.locator(".terminal").last).to_have_text("• Looking around\n• Found it")
    behind.driver.idle()
    await _ready(page)
    assert await page.locator("[data-role]").count() == 3
    assert behind.driver.sent == ["what is in here?"]
    assert behind.proxy.asked_outside == []


async def test_the_old_address_leads_to_the_page(visit: Visit, behind: Behind) -> None:
    """`/` redirects to where `--chat-base-path` says that the proxy has the page."""
    async with aiohttp.ClientSession() as client:
        answer = await client.get(behind.direct + "/", allow_redirects=False)
    assert answer.headers["Location"] == f"{PREFIX}/chat/embed"
    page = await visit.open(f"{behind.url}/")
    await page.get_by_text("OpenAI Codex").wait_for()
    assert page.url == f"{behind.url}/chat/embed/"


async def test_keys_stop_and_upload_reach_the_agent(
    visit: Visit, behind: Behind, tmp_path: Path
) -> None:
    page = await visit.open(f"{behind.url}/chat/embed/")
    await _ready(page)
    (tmp_path / "notes.txt").write_text("noted")
    await page.get_by_label("Files to attach").set_input_files(tmp_path / "notes.txt")
    field = page.get_by_label("Message to the agent")
    await expect(field).to_have_value(re.compile(r'^ @"/.*/[0-9a-f]{16}/notes\.txt"$'))
    stored = Path((await field.input_value()).strip().removeprefix('@"').removesuffix('"'))
    assert await asyncio.to_thread(stored.read_text) == "noted"

    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Stop").click()
    await page.get_by_role("button", name="Control").click()
    async with page.expect_response(lambda answer: answer.request.post_data == RAW_ENTER):
        for key in ("y", "ArrowDown", "Enter"):
            await page.keyboard.press(key)
    assert behind.driver.sent == [f'@"{stored}"']
    assert behind.driver.typed == ["\x1b", "y", "\x1b[B", "\r"]


RAW_ENTER = r'{"content":"\r","type":"raw"}'


async def test_a_refusal_and_a_notice_are_toasts(visit: Visit, behind: Behind) -> None:
    page = await visit.open(f"{behind.url}/chat")
    await _ready(page)
    visit.watch.expected.append("500")
    # The agent became busy, and the page does not know it yet.
    await page.route("**/message", lambda route: _busy_first(route, behind.driver))
    await page.get_by_label("Message to the agent").fill("too late")
    await page.keyboard.press("Enter")
    toast = page.get_by_role("alert")
    await expect(toast).to_have_text(
        "unexpected error occurred: failed to send message: message can only be sent when the "
        "agent is waiting for user input"
    )
    await page.get_by_role("button", name="Dismiss").click()
    behind.driver.emit(NoticeRaised(Level.WARNING, "the disk is full"))
    await expect(toast).to_have_text("the disk is full")


async def test_a_question_is_answered_with_a_button(visit: Visit, behind: Behind) -> None:
    page = await visit.open(f"{behind.url}/chat")
    await _ready(page)
    await page.get_by_label("Message to the agent").fill("look")
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Stop").wait_for()
    choices = (Choice("1", "Yes", "y"), Choice("2", "No", "n", "leave it"))
    for number in ("d1", "d2"):
        behind.driver.phase(
            Phase.BLOCKED,
            dialog=Dialog(number, "command", "Run it?", command="ls", choices=choices),
        )
    await expect(page.locator(".state")).to_have_text("Needs you")
    await expect(page.locator(".agent").last).to_contain_text("Run it?")
    await page.get_by_role("button", name="No leave it").click()
    await expect(page.locator(".state")).to_have_text("Working…")
    assert behind.driver.answered == [("d2", "2")]
    behind.driver.turn("I left it.")
    await expect(page.locator(".agent").last).to_contain_text("I left it.")
    await expect(page.locator(".agent").last).not_to_contain_text("Run it?")
    assert behind.proxy.asked_outside == []


async def _busy_first(route: Route, driver: FixedDriver) -> None:
    driver.phase(Phase.WORKING)
    await route.continue_()


async def test_a_cut_connection_in_mid_turn_heals(visit: Visit, behind: Behind) -> None:
    visit.watch.expected.append("ERR_|502")
    page = await visit.open(f"{behind.url}/chat")
    await _ready(page)
    await page.clock.install()
    await page.get_by_label("Message to the agent").fill("count")
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Stop").wait_for()
    behind.driver.say("one")
    await page.get_by_text("one", exact=True).wait_for()
    behind.proxy.cut()
    await expect(page.locator(".state")).to_have_text("Connection lost, trying again…")
    await expect(page.locator("[data-role]")).to_have_count(3)
    behind.driver.turn("one two three")
    await page.clock.fast_forward(3000)
    await page.get_by_text("one two three").wait_for()
    await _ready(page)
    assert await page.locator("[data-role]").count() == 3
