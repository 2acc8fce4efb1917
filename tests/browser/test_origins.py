"""Where the page may be and what it may not do: prefixes, frames, policies, hostile text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Chat, Serve, Visit, visiting
from tests.browser.proxy import StrippingProxy
from tests.browser.wire import Wire

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PREFIX = "/@owner/ws.agent/apps/slug"
HOSTILE = """
<img src=x onerror="pwned = 1"><script>pwned = 2</script><svg onload="pwned = 3">
<a href="javascript:pwned = 4">click</a> [click](javascript:pwned=5) ![x](/pwned.png)
<iframe srcdoc="<script>parent.pwned = 6</script>"></iframe><style>* { display: none }</style>
<form action="/steal"><input name=a autofocus onfocus="pwned = 7"></form> <b id=app>kept text</b>
<http://127.0.0.1/"onmouseover="pwned=8> https://127.0.0.1/"onmouseover="pwned=9
"""


async def _talk(page: Page, wire: Wire) -> None:
    """Send a message and see it answered."""
    sent = len(wire.posted)
    await page.get_by_label("Message to the agent").fill("hello")
    async with page.expect_response(re.compile("/message$")):
        await page.get_by_role("button", name="Send").click()
    assert wire.posted[sent:] == [("user", "hello")]
    wire.say("user", "hello")
    wire.say("agent", "hello yourself")
    await page.get_by_text("hello yourself").wait_for()


@pytest.mark.parametrize("path", ["/chat", "/chat/embed/"])
@pytest.mark.parametrize("prefix", ["", PREFIX])
async def test_works_under_any_prefix(visit: Visit, serve: Serve, path: str, prefix: str) -> None:
    wire = Wire()
    url = await serve(wire.app())
    proxy = StrippingProxy(PREFIX, url)
    if prefix:
        url = await serve(proxy.app())
    page = await visit.open(url + prefix + path)
    await _talk(page, wire)
    await expect(page.locator("header")).to_have_count(0 if "embed" in path else 1)
    await page.get_by_role("button", name="Markdown").click()
    await page.locator(".markdown").last.wait_for()
    assert proxy.asked_outside == []


async def test_url_names_another_server(visit: Visit, serve: Serve) -> None:
    near, far = Wire(), Wire()
    far.headers["Access-Control-Allow-Origin"] = "*"
    far.say("agent", "from afar")
    app = far.app()
    app.router.add_route("OPTIONS", "/message", _allow_content_type)
    far_url = await serve(app)
    visit.watch.origins.add(far_url)
    page = await visit.open(f"{await serve(near.app())}/chat/embed/?url={far_url}/")
    await page.get_by_text("from afar").wait_for()
    await _talk(page, far)
    assert near.connections == 0


async def _allow_content_type(request: web.Request) -> web.Response:
    return web.Response(headers={"Access-Control-Allow-Headers": "Content-Type"})


async def test_url_may_be_a_path(visit: Visit, serve: Serve) -> None:
    wire = Wire()
    proxy = StrippingProxy(PREFIX, await serve(wire.app()))
    page = await visit.open(f"{await serve(proxy.app())}{PREFIX}/chat/embed/?url={PREFIX}")
    await _talk(page, wire)
    assert proxy.asked_outside == []


async def test_a_wrong_url_says_so(visit: Visit, serve: Serve) -> None:
    wire = Wire()
    page = await visit.open(f"{await serve(wire.app())}/chat?url=javascript:alert(1)")
    await expect(page.get_by_role("alert")).to_contain_text("“javascript:alert(1)”")
    assert wire.connections == 0


async def test_works_in_a_frame_of_another_origin(visit: Visit, serve: Serve) -> None:
    wire = Wire()
    url = await serve(wire.app())

    async def outer(request: web.Request) -> web.Response:
        html = (
            f'<link rel="icon" href="data:,"><iframe src="{url}/chat/embed/" width=600 height=500>'
        )
        return web.Response(text=html, content_type="text/html")

    host = web.Application()
    host.router.add_get("/", outer)
    # Another host name, so that it is another site and not only another port.
    host_url = (await serve(host)).replace("127.0.0.1", "localhost")
    visit.watch.origins.add(url)
    page = await visit.open(host_url)
    frame = page.frame_locator("iframe")
    await frame.get_by_label("Message to the agent").fill("from the frame")
    await frame.get_by_role("button", name="Send").click()
    wire.say("user", "from the frame")
    await expect(frame.locator(".user")).to_contain_text("from the frame")
    await expect(frame.locator(".pending")).to_have_count(0)
    assert wire.posted == [("user", "from the frame")]


async def test_works_under_a_strict_policy(visit: Visit, serve: Serve) -> None:
    wire = Wire()
    wire.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; require-trusted-types-for 'script'"
    )
    page = await visit.open(f"{await serve(wire.app())}/chat")
    await _talk(page, wire)
    await page.get_by_role("button", name="Markdown").click()
    await page.locator(".markdown").last.wait_for()


async def test_the_page_may_talk_to_its_own_api_only(chat: Chat, serve: Serve) -> None:
    chat.visit.watch.expected.append("Content Security Policy")
    other = Wire()
    other_url = await serve(other.app())
    with pytest.raises(Exception, match="Failed to fetch"):
        await chat.page.evaluate(
            f"fetch('{other_url}/message', {{method: 'POST', mode: 'no-cors'}})"
        )
    assert other.posted == []


@pytest.mark.parametrize("markdown", [False, True], ids=["terminal", "markdown"])
async def test_hostile_text_is_inert(chat: Chat, markdown: bool) -> None:
    page, wire = chat.page, chat.wire
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    if markdown:
        await page.get_by_role("button", name="Markdown").click()
        wire.say("agent", "# What loads the parser")
        await page.locator(".markdown").wait_for()
    asked.clear()
    wire.say("user", HOSTILE)
    wire.say("agent", HOSTILE)
    wire.notify("error", HOSTILE)
    wire.ask(HOSTILE, HOSTILE, command=HOSTILE, diff=HOSTILE, reason=HOSTILE)
    await expect(page.locator(".card .choice")).to_contain_text("<script>pwned = 2</script>")
    wire._tell("status_change", {"status": HOSTILE, "agent_type": HOSTILE})
    await page.get_by_role("alert").get_by_text("kept text").wait_for()
    await expect(page.locator(".agent").last).to_contain_text("kept text")
    await expect(page.locator(".user")).to_contain_text("kept text")
    await expect(page.locator("header .state")).to_contain_text("kept text")
    await expect(page.locator(".agent").last).to_contain_text("<script>pwned = 2</script>")
    found = await page.evaluate(FORBIDDEN)
    assert found == []
    assert await page.evaluate("typeof pwned") == "undefined"
    assert [url for url in asked if not url.endswith("/approval")] == []


FORBIDDEN = """() => {
  const elements = [...document.querySelector(".page").querySelectorAll("*")];
  const tags = "IMG SCRIPT IFRAME STYLE FORM SVG OBJECT EMBED BASE".split(" ");
  return elements.filter((it) =>
    !it.closest("footer") && tags.includes(it.tagName) ||
    it.getAttributeNames().some((name) => name.startsWith("on")) ||
    (it.href && !/^(https?|mailto):/.test(it.href))
  ).map((it) => it.outerHTML);
}"""


async def test_markdown_is_rendered_on_request_only(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    wire.say(
        "agent", "# Title\n\n* **one**\n\n```py\nif a < b: pass\n```\n\n[docs](https://example.com)"
    )
    await expect(page.locator(".terminal").last).to_contain_text("# Title")
    await page.get_by_role("button", name="Markdown").click()
    message = page.locator(".markdown").last
    await expect(message.get_by_role("heading", name="Title")).to_be_visible()
    await expect(message.locator("pre code")).to_have_text("if a < b: pass\n")
    await expect(message.locator("li strong")).to_have_text("one")
    await expect(message.get_by_role("link")).to_have_attribute("rel", "noopener noreferrer")
    await page.reload()
    await expect(page.locator(".markdown").last).to_be_visible()


SIZES: list[dict[str, Any]] = [
    {"viewport": {"width": 320, "height": 568}, "has_touch": True, "is_mobile": True},
    {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
]


@pytest.mark.parametrize("options", SIZES, ids=["phone", "dark"])
async def test_nothing_sticks_out(chromium: Browser, serve: Serve, options: dict[str, Any]) -> None:
    wire = Wire()
    wire.say("agent", "╭" + "─" * 118 + "╮\n" + "x" * 500)
    wire.say("user", "y" * 500)
    async with visiting(chromium, **options) as visit:
        page = await visit.open(f"{await serve(wire.app())}/chat")
        await page.locator(".user").wait_for()
        await page.get_by_role("button", name="Control").click()
        wide = "(it) => it.scrollWidth - it.clientWidth"
        for place in ("html", ".messages", ".composer"):
            assert await page.locator(place).evaluate(wide) == 0, place
        colour = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert colour == ("rgb(20, 22, 26)" if "color_scheme" in options else "rgb(255, 255, 255)")
