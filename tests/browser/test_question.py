"""The card of the open question: how it comes, is answered and goes, and whom it leaves alone."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.conftest import Chat, Serve, Visit, visiting
from tests.browser.proxy import StrippingProxy
from tests.browser.wire import Wire

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PREFIX = "/@owner/ws.agent/apps/slug"
GONE = {"title": "Conflict", "status": 409, "detail": "no dialog is open"}


def card(page: Page) -> Locator:
    return page.get_by_role("region", name="Run it?")


def field(page: Page) -> Locator:
    return page.get_by_label("Message to the agent")


async def state(page: Page, wanted: str) -> None:
    await expect(page.locator(".state")).to_have_text(wanted)


async def test_a_question_has_a_button_for_each_choice(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    wire.become("running")
    await state(page, "Working…")
    wire.ask("Run it?", "Yes", "No", command="ls -l", reason="To look.")
    await expect(card(page)).to_contain_text("To look.ls -l")
    await expect(card(page).get_by_role("button")).to_have_text(["Yes", "No"])
    await state(page, "Needs you")
    await expect(page).to_have_title("(!) Codex")
    await expect(page.locator(".unseen[role=status]")).to_have_text("Codex needs you: Run it?")
    wire.hold = asyncio.Event()
    await card(page).get_by_role("button", name="Yes").click()
    await expect(card(page).get_by_role("button", name="Yes")).to_have_attribute(
        "aria-busy", "true"
    )
    await card(page).get_by_role("button", name="No").dispatch_event("click")  # too late
    wire.decide()
    await expect(card(page)).to_have_count(0)
    await state(page, "Working…")
    wire.hold.set()
    wire.become("stable")
    await state(page, "Ready")
    assert wire.answered == [("dialog Run it?", "1")]


async def test_nothing_is_asked_for_without_a_reason(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    await state(page, "Ready")
    looks = wire.looks
    wire.become("running")
    number = wire.say("agent", "one")
    for text in ("one two", "one two three"):
        wire.grow(number, text)
    await page.get_by_text("one two three").wait_for()
    await state(page, "Working…")
    assert wire.looks == looks == 1
    wire.ask("Run it?", "Yes")
    await card(page).wait_for()
    assert wire.looks <= looks + 2


@pytest.mark.parametrize("status", ["running", "stable"])
async def test_a_question_that_is_answered_elsewhere_goes(chat: Chat, status: str) -> None:
    page, wire = chat.page, chat.wire
    wire.ask("Run it?", "Yes")
    await card(page).wait_for()
    wire.decide(status)
    await expect(card(page)).to_have_count(0)
    await state(page, "Ready" if status == "stable" else "Working…")
    assert wire.answered == []


async def test_the_next_question_is_not_answered_by_the_last_one_s_keys(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    wire.ask("Run it?", "Yes", "No")
    await card(page).wait_for()
    await expect(field(page)).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Shift+Tab")
    await expect(card(page).get_by_role("button", name="Yes")).to_be_focused()
    async with page.expect_response("**/approval"):
        await page.keyboard.press("Enter")
    wire.ask("Run the next?", "Yes", "No")
    following = page.get_by_role("region", name="Run the next?")
    await following.wait_for()
    await expect(page.locator(".question")).to_be_focused()
    await page.keyboard.press("Enter")
    await following.get_by_role("button", name="Yes").dispatch_event("click", {"detail": 2})
    assert wire.answered == [("dialog Run it?", "1")]
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await expect(following.get_by_role("button", name="No")).to_be_focused()
    async with page.expect_response("**/approval"):
        await page.keyboard.press("Space")
    wire.decide()
    await expect(field(page)).to_be_focused()
    assert wire.answered[1:] == [("dialog Run the next?", "2")]


async def test_who_writes_is_left_alone_and_told_why_it_waits(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    wire.become("running")
    await field(page).press_sequentially("and th")
    wire.ask("Run it?", "Yes")
    await card(page).wait_for()
    await page.keyboard.type("en this")
    await page.keyboard.press("Enter")
    await expect(field(page)).to_have_value("and then this")
    why = "Codex takes a message once its question is answered; what you write stays here."
    await expect(field(page)).to_have_accessible_description(why)
    await expect(page.get_by_role("button", name="Send")).to_be_disabled()
    assert wire.posted == []
    wire.decide("stable")
    await state(page, "Ready")
    await expect(field(page)).to_have_accessible_description("")
    await page.keyboard.press("Enter")
    await wire.got(1)
    assert wire.posted == [("user", "and then this")]


async def test_an_answer_that_fails_says_so_beside_the_choices(chat: Chat) -> None:
    chat.visit.watch.expected.append("409")
    page, wire = chat.page, chat.wire
    wire.ask("Run it?", "Yes")
    wire.refuse = GONE
    await card(page).get_by_role("button", name="Yes").click()
    await expect(card(page).get_by_role("alert")).to_have_text("no dialog is open")
    wire.refuse = None
    await card(page).get_by_role("button", name="Yes").click()
    await expect(card(page).get_by_role("alert")).to_have_text("")
    assert len(wire.answered) == 2


async def test_an_answer_that_comes_too_late_says_so_where_the_card_was(chat: Chat) -> None:
    chat.visit.watch.expected.append("409")
    page, wire = chat.page, chat.wire
    wire.ask("Run it?", "Yes")
    wire.refuse = GONE
    wire.hold = asyncio.Event()
    await card(page).get_by_role("button", name="Yes").click()
    wire.decide()
    await expect(card(page)).to_have_count(0)
    wire.hold.set()
    await expect(page.locator(".toast")).to_contain_text("no dialog is open")


async def test_words_are_given_by_keys(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    wire.ask("Run it?", reason="wants words")
    await expect(card(page)).to_contain_text("wants words")
    await card(page).get_by_role("button", name="Answer with keys").click()
    await expect(page.get_by_label("Keys for the agent's terminal")).to_be_focused()
    await expect(card(page)).to_be_visible()


async def test_it_is_not_ready_for_a_moment_before_it_asks(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    wire.become("running")
    await state(page, "Working…")
    await page.evaluate(
        """() => {
          window.seen = [];
          const place = document.querySelector(".state");
          new MutationObserver(() => seen.push(place.textContent))
            .observe(place, { subtree: true, childList: true, characterData: true });
        }"""
    )
    wire.hold_look = asyncio.Event()
    async with page.expect_request("**/approval"):
        wire.ask("Run it?", "Yes")
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    wire.hold_look.set()
    await state(page, "Needs you")
    assert await page.evaluate("seen") == ["Needs you"]


async def test_a_lost_connection_takes_the_question_along(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    await page.clock.install()
    wire.ask("Run it?", "Yes")
    await card(page).wait_for()
    wire.drop()
    await state(page, "Connection lost, trying again…")
    await expect(card(page)).to_have_count(0)
    await page.clock.fast_forward(3000)
    await card(page).wait_for()


async def test_a_server_without_questions_shows_none_and_no_error(
    visit: Visit, serve: Serve
) -> None:
    visit.watch.expected.append("404")
    wire = Wire(plain=True)
    wire.say("agent", "May I?")
    page = await visit.open(f"{await serve(wire.app())}/chat")
    await state(page, "Ready")
    for text in ("Run it?", "Run it now?"):
        wire.become("running")
        await state(page, "Working…")
        wire.ask(text, "Yes")
        await page.locator(".block").get_by_text(text).wait_for()
        await state(page, "Ready")
    await expect(page.locator(".card, .toast")).to_have_count(0)
    assert len([line for line in visit.watch.console if "404" in line]) == 1


async def test_a_question_that_cannot_be_fetched_is_no_error(chat: Chat) -> None:
    chat.visit.watch.expected.append("ERR_FAILED|500")
    page, wire = chat.page, chat.wire
    await page.route("**/approval", lambda route: route.abort())
    wire.become("running")
    await state(page, "Working…")
    wire.ask("Run it?", "Yes")
    await state(page, "Ready")
    await expect(page.locator(".toast")).to_have_count(0)
    await page.unroute("**/approval")
    wire.ask("Run it?", "Yes", "No")
    await expect(card(page).get_by_role("button")).to_have_count(2)


@pytest.mark.parametrize("path", ["/chat", "/chat/embed/"])
async def test_it_is_answered_through_a_prefix(visit: Visit, serve: Serve, path: str) -> None:
    wire = Wire()
    wire.say("agent", "May I?")
    proxy = StrippingProxy(PREFIX, await serve(wire.app()))
    page = await visit.open(f"{await serve(proxy.app())}{PREFIX}{path}")
    wire.ask("Run it?", "Yes")
    await card(page).get_by_role("button", name="Yes").click()
    wire.decide()
    await expect(card(page)).to_have_count(0)
    assert wire.answered == [("dialog Run it?", "1")]
    assert proxy.asked_outside == []


async def test_it_is_answered_on_another_server(visit: Visit, serve: Serve) -> None:
    near, far = Wire(), Wire()
    far.headers["Access-Control-Allow-Origin"] = "*"
    far.say("agent", "May I?")
    app = far.app()
    app.router.add_route("OPTIONS", "/approval", _allow_content_type)
    far_url = await serve(app)
    visit.watch.origins.add(far_url)
    page = await visit.open(f"{await serve(near.app())}/chat/embed/?url={far_url}/")
    far.ask("Run it?", "Yes")
    await state(page, "Needs you")
    await card(page).get_by_role("button", name="Yes").click()
    far.decide()
    await expect(card(page)).to_have_count(0)
    assert far.answered == [("dialog Run it?", "1")]
    assert near.looks == 0


async def _allow_content_type(request: web.Request) -> web.Response:
    return web.Response(headers={"Access-Control-Allow-Headers": "Content-Type"})


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_on_a_phone_and_its_words_can_be_read(
    chromium: Browser, serve: Serve, scheme: str
) -> None:
    wire = Wire()
    wire.say("agent", "May I?")
    phone = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
    async with visiting(chromium, color_scheme=scheme, **phone) as visit:
        page = await visit.open(f"{await serve(wire.app())}/chat")
        labels = ("Yes", "Yes, and never ask for this again " + "x" * 80, "No")
        wire.ask("Run it?", *labels, command="y" * 900, diff="+z\n" * 90, reason="w" * 90)
        await card(page).locator("summary").click()
        wide = "(it) => it.scrollWidth - it.clientWidth"
        for place in ("html", ".question", ".about", ".composer"):
            assert await page.locator(place).evaluate(wide) == 0, place
        for button in await card(page).get_by_role("button").all():
            await expect(button).to_be_in_viewport(ratio=1)
        for colours in (".choice", ".card h2", ".card .asks", ".card p.answer-error", ".waits"):
            assert await page.locator(colours).first.evaluate(CONTRAST) >= 4.5, colours


CONTRAST = """(it) => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (text) => {
    const [r, g, b] = parts(text).map((one) => one / 255)
      .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = (element) => getComputedStyle(element).backgroundColor;
  let behind = it;
  while ((parts(back(behind))[3] ?? 1) === 0) behind = behind.parentElement;
  const [a, b] = [getComputedStyle(it).color, back(behind)].map(light).sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""
"""The contrast of an element's text with what is behind it (WCAG)."""
