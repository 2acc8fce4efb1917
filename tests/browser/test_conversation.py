"""What the page shows: messages, their growth, the scroll position, a lost connection."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Chat

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LONG = "\n".join(f"line {number}" for number in range(10_000))


async def test_shows_the_conversation_in_order(chat: Chat) -> None:
    chat.wire.say("user", "first question")
    chat.wire.say("agent", "first answer")
    messages = chat.page.locator("[data-role]")
    await expect(messages).to_contain_text(
        ["Welcome to the agent", "first question", "first answer"]
    )
    roles = await messages.evaluate_all("all => all.map((one) => one.dataset.role)")
    assert roles == ["agent", "user", "agent"]


async def test_terminal_text_keeps_its_blanks_and_is_monospaced(chat: Chat) -> None:
    chat.wire.say("agent", "   a  b\n\n\tc   \n  **not bold**\n\n")
    block = chat.page.locator(".terminal").last
    await expect(block).to_contain_text("**not bold**")
    assert await block.evaluate("it => it.textContent") == "   a  b\n\n\tc\n  **not bold**"
    assert "mono" in await block.evaluate("it => getComputedStyle(it).fontFamily")
    assert await block.evaluate("it => getComputedStyle(it).whiteSpace") == "pre-wrap"


async def test_addresses_are_links_that_open_elsewhere(chat: Chat) -> None:
    chat.wire.say("agent", "see (https://example.com/a?b=c#d). Not javascript:alert(1)")
    link = chat.page.locator(".terminal a")
    await expect(link).to_have_attribute("href", "https://example.com/a?b=c#d")
    await expect(link).to_have_attribute("rel", "noopener noreferrer")
    await expect(link).to_have_attribute("target", "_blank")


async def test_status_shows_and_is_announced(chat: Chat) -> None:
    await expect(chat.page.locator("header .state")).to_have_text("Ready")
    await expect(chat.page).to_have_title("Codex")
    chat.wire.become("running")
    await expect(chat.page.locator("header .state")).to_have_text("Working…")
    await expect(chat.page).to_have_title("● Codex")
    chat.wire.say("agent", "the whole answer")
    chat.wire.become("stable")
    announced = chat.page.locator(".unseen[role=status]")
    await expect(announced).to_have_text("Codex is ready and said: the whole answer")


async def test_growth_touches_only_the_end_of_a_long_message(chat: Chat) -> None:
    number = chat.wire.say("agent", LONG)
    await expect(chat.page.locator(".block").last).to_contain_text("line 9999")
    await _record_mutations(chat.page)
    chat.wire.grow(number, f"{LONG}\nthe line that came")
    await expect(chat.page.locator(".block").last).to_contain_text("the line that came")
    assert await chat.page.evaluate("touched") == ["last block"]


async def _record_mutations(page: Page) -> None:
    await page.evaluate(
        """() => {
          window.touched = [];
          const last = [...document.querySelectorAll(".block")].at(-1);
          new MutationObserver((records) => {
            for (const { target } of records) {
              const where = last.contains(target) ? "last block" : target.outerHTML.slice(0, 200);
              if (!touched.includes(where)) touched.push(where);
            }
          }).observe(document.querySelector(".messages"),
            { subtree: true, childList: true, characterData: true });
        }"""
    )


async def test_markdown_that_grows_fast_ends_with_the_last_text(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    await page.get_by_role("button", name="Markdown").click()
    number = wire.say("agent", "* item")
    await page.locator(".markdown").wait_for()
    many = "\n".join(f"* item **{item}**" for item in range(3000))
    wire.grow(number, many)
    # So much takes its time, and what comes right after it has to wait.
    await expect(page.locator(".markdown li")).to_have_count(3000)
    wire.grow(number, f"{many}\n* more")
    wire.grow(number, f"{many}\n* more\n* the end")
    await expect(page.locator(".markdown li").last).to_have_text("the end")
    assert await page.locator(".terminal").count() == 1, "the start-up screen stays as it is"


async def at_bottom(page: Page) -> None:
    """Wait until the end is in view. Playwright's own way evaluates text in the page from the
    second look on, which the page's content security policy forbids."""
    async with asyncio.timeout(10):
        while not await page.evaluate(AT_BOTTOM):
            await page.evaluate("() => new Promise(requestAnimationFrame)")


async def test_follows_the_end_until_the_user_scrolls_up(chat: Chat) -> None:
    page = chat.page
    number = chat.wire.say("agent", LONG)
    await at_bottom(page)
    chat.wire.grow(number, LONG + "\nmore" * 50)
    await expect(page.locator(".block").last).to_contain_text("more")
    await at_bottom(page)

    await page.locator(".messages").hover()
    await page.mouse.wheel(0, -3000)
    latest = page.get_by_role("button", name="Latest")
    await latest.wait_for()
    top = await page.evaluate("document.querySelector('.messages').scrollTop")
    chat.wire.grow(number, LONG + "\nmore" * 50 + "\nthe very end")
    await expect(page.locator(".block").last).to_contain_text("the very end")
    assert await page.evaluate("document.querySelector('.messages').scrollTop") == top

    await latest.click()
    await at_bottom(page)
    await expect(latest).to_have_count(0)


AT_BOTTOM = """() => {
  const box = document.querySelector(".messages");
  return box.scrollTop > 0 && box.scrollHeight - box.clientHeight - box.scrollTop < 2;
}"""


async def test_a_drop_blanks_nothing_and_the_new_snapshot_replaces_everything(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    wire.say("user", "an old question")
    await page.get_by_text("an old question").wait_for()
    await page.clock.install()
    wire.hold_snapshot = asyncio.Event()
    received = await _events_received(page)

    wire.drop()
    wire.messages.clear()
    wire.say("agent", "another start-up screen")
    await expect(page.locator("header .state")).to_have_text("Connection lost, trying again…")
    await expect(page.get_by_role("button", name="Send")).to_be_disabled()
    await page.clock.fast_forward(3000)
    # Half of the snapshot is here.
    assert "another start-up screen" in await asyncio.wait_for(received.get(), 10)
    await _next_picture(page)
    await expect(page.get_by_text("an old question")).to_be_visible()
    await expect(page.get_by_text("another start-up screen")).to_have_count(0)

    wire.hold_snapshot.set()
    await page.get_by_text("another start-up screen").wait_for()
    await expect(page.get_by_text("an old question")).to_have_count(0)
    await expect(page.locator("header .state")).to_have_text("Ready")


async def _events_received(page: Page) -> asyncio.Queue[str]:
    """The data of server-sent events, as the browser's network layer gets them."""
    received: asyncio.Queue[str] = asyncio.Queue()
    session = await page.context.new_cdp_session(page)
    session.on("Network.eventSourceMessageReceived", lambda it: received.put_nowait(it["data"]))
    await session.send("Network.enable")
    return received


async def _next_picture(page: Page) -> None:
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


async def test_a_restarted_server_leaves_no_message_pending(chat: Chat) -> None:
    """It took the message, and ended before it told of it; the new one counts from 0 again."""
    page, wire = chat.page, chat.wire
    await page.clock.install()
    async with page.expect_response("**/message"):
        await page.get_by_label("Message to the agent").fill("into the void")
        await page.keyboard.press("Enter")
    await expect(page.locator(".pending")).to_contain_text("into the void")
    wire.drop()
    await expect(page.locator("header .state")).to_have_text("Connection lost, trying again…")
    await expect(page.locator(".pending")).to_contain_text("into the void")
    await page.clock.fast_forward(3000)
    await expect(page.locator("header .state")).to_have_text("Ready")
    await expect(page.locator(".pending")).to_have_count(0)
    await page.get_by_label("Message to the agent").fill("again")
    await expect(page.get_by_role("button", name="Send")).to_be_enabled()


async def test_keeps_trying_while_the_server_is_away(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    chat.visit.watch.expected.append("502")
    await page.clock.install()
    wire.unreachable = True
    wire.drop()
    for connection in (2, 3):
        await expect(page.locator("header .state")).to_have_text("Connection lost, trying again…")
        while wire.connections < connection:
            await page.clock.fast_forward(3000)
    await expect(page.get_by_text("Welcome to the agent")).to_be_visible()
    wire.unreachable = False
    await page.clock.fast_forward(6000)
    await expect(page.locator("header .state")).to_have_text("Ready")


async def test_stored_notices_are_told_once(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    await page.clock.install()
    wire.notify("error", "The state file is broken")
    toast = page.get_by_text("The state file is broken")
    await toast.wait_for()
    await page.get_by_role("button", name="Dismiss").click()
    await expect(toast).to_have_count(0)
    wire.drop()
    await expect(page.locator("header .state")).to_have_text("Connection lost, trying again…")
    await page.clock.fast_forward(3000)
    await expect(page.locator("header .state")).to_have_text("Ready")
    wire.notify("error", "Another notice, after the stored one")
    await page.get_by_text("Another notice").wait_for()
    await expect(toast).to_have_count(0)


async def test_padding_of_a_terminal_is_not_shown(chat: Chat) -> None:
    chat.wire.say("agent", f"{'':80}\n{'padded':80}\n{'':80}\n{'twice':80}\n{'':80}")
    block = chat.page.locator(".terminal").last
    await expect(block).to_contain_text("padded")
    assert await block.evaluate("it => it.textContent") == "padded\n\ntwice"
