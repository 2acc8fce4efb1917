"""What is posted as a user message reaches the model to the letter, or is refused."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.conftest import INLINE, PINNED, V80, V125, Kind, Talk
from tests.support.server import Sent

pytestmark = [pytest.mark.codex, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module", params=[PINNED, INLINE, V125, V80], ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """The kinds of Codex, one after the other."""
    found: Kind = request.param
    return found


COMMANDS = (
    "!touch bang",
    "!",
    "a\n!touch bang",
    "/quit",
    "/model",
    "/",
    "//",
    "a\n/quit",
    "look at @REA",
    "@README.md",
    "@",
    "tell @README.md and more",
    'see @"a b.txt"',
    "$x",
    "echo $PATH",
    "# heading",
    "?",
    "? what",
)
"""What Codex's composer would take for commands, mentions or keys when somebody types it."""

TEXTS = (
    "'quote' \"double\" `tick`; rm -rf $(x) && a | b > c < d \\ \\n",
    "a    b",
    "tab\tin it",
    "* [ ] item\n* **bold** _it_ `code`\n\n```python\nx = 1\n```\n\n| a | b |\n|---|---|\n> q",
    "• Ran ls\n  └ nothing\n› and this\n• Working (3s • esc to interrupt)",
    "[Pasted Content 1234 chars]",
    "héllo e\u0301 wörld, 你好世界, مرحبا, ｆｕｌｌ, no\u00a0break, zero\u200dwidth \ufeff end",
    "👍🏽 👨‍👩‍👧‍👦 ⚠️ 🏳️‍🌈 ✔ 🇩🇪",
    "你好世界" * 60,
    "\n".join(f"{n:04d} " + "abcdefghij " * 6 for n in range(1, 43))[:3000],
    "x" * 3000,
)

CONTROLS = (
    "before\x1b[201~\r!touch escaped\r",
    "\x1b[201~",
    "a\x9b201~b",
    "a\x1b[200~b",
    "\x03",
    "a\x03b",
    "a\x04b",
    "\x1bleading",
    "trailing\x1b",
    "a\x1b[Ab",
    "a\x1b]0;title\x07b",
    "a\x00b",
    "a\x08\x7fb",
    "a\x85b",
)


@pytest.mark.parametrize("prompt", COMMANDS)
async def test_a_command_is_text(talk: Talk, prompt: str) -> None:
    (talk.home.workdir / "README.md").touch()
    (talk.home.workdir / "a b.txt").touch()
    if prompt.startswith("!") and talk.kind.version:
        sent = await talk.server.send(prompt)  # older versions would run it, blank or no blank
        assert sent.status == 500
        assert "begins with !" in sent.error
        assert "raw" in sent.error
    else:
        await talk.turn(prompt)
    assert not (talk.home.workdir / "bang").exists()
    assert await talk.server.phase() == "idle"


@pytest.mark.parametrize("prompt", TEXTS, ids=lambda text: repr(text[:20]))
async def test_text_arrives_as_it_is(talk: Talk, prompt: str) -> None:
    answer = await talk.turn(prompt)
    assert answer.startswith("• Hello!")
    assert answer.endswith("Try markdown, lines 400, run ls, sleep 3 or approve date.")


async def test_an_answer_in_many_scripts(talk: Talk) -> None:
    text = "echo héllo wörld, 你好世界, مرحبا, emoji 👍🏽 👨‍👩‍👧‍👦 ✔, é, ｆｕｌｌ"
    assert await talk.turn(text) == f"• {text}"


async def test_surrounding_blanks_and_line_breaks(talk: Talk) -> None:
    server, count = talk.server, len(talk.server.statuses)
    assert await server.send(" \r\n /quit\r\nsecond\rthird \n\n") == Sent(200)
    await server.wait_status("running", "stable", since=count)
    assert talk.prompts[-1] == "/quit\nsecond\nthird"
    assert (await server.messages())[-2] == ("user", "/quit\nsecond\nthird")


@pytest.mark.parametrize("prompt", CONTROLS, ids=ascii)
async def test_a_control_character_is_refused(talk: Talk, prompt: str) -> None:
    events, requests = len(talk.server.events), len(talk.model.requests)
    sent = await talk.server.send(prompt)
    assert sent.status == 500
    assert "holds the control character U+00" in sent.error
    assert "raw" in sent.error
    assert (len(talk.server.events), len(talk.model.requests)) == (events, requests)


async def test_nothing_is_left_of_what_was_refused(talk: Talk) -> None:
    await talk.server.send("a\x1b[201~\r!touch escaped\r")
    assert await talk.turn("echo clean") == "• echo clean"
    assert not (talk.home.workdir / "escaped").exists()


@pytest.mark.parametrize(
    "prompt",
    ["word " * 19_999 + "last.", "\n".join(f"row {n} of a long one" for n in range(4500))],
    ids=["one line", "4,500 lines"],
)
async def test_100_000_characters(talk: Talk, prompt: str) -> None:
    if talk.kind is PINNED:
        return  # see test_lifecycle
    assert len(prompt) >= 90_000
    answer = await talk.turn(prompt)
    assert answer.startswith("• Hello!")


async def test_concurrent_posts_go_one_after_another(talk: Talk) -> None:
    """While one is sent, the others wait or are told that the agent is busy; each that was taken
    is one turn, and nobody who only looks has to wait."""
    server, model, asked = talk.server, talk.model, len(talk.prompts)
    model.hold()
    posts = [asyncio.create_task(server.send(f"echo number {n}")) for n in range(5)]
    await model.wait_until_held()
    assert await server.status() == "running"
    assert len(await server.messages()) == len(server.told)
    count = len(server.statuses)
    answers = await asyncio.gather(*posts)
    assert [answer.status for answer in answers].count(200) == 1
    assert {answer.error for answer in answers if answer.status == 500} == {
        "failed to send message: message can only be sent when the agent is waiting for user input"
    }
    model.release()
    await server.wait_status("stable", since=count)
    assert len(talk.prompts) == asked + 1
    role, text = (await server.messages())[-1]
    assert (role, text) == ("agent", f"• {talk.prompts[-1]}")
