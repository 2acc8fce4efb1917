"""The core of a conversation, with each kind of Codex: one server a kind, turn after turn."""

from __future__ import annotations

import re

import pytest

from agentapi.scripted.answers import numbered
from tests.e2e.conftest import (
    INLINE,
    LINKED,
    LOW,
    PINNED,
    V80,
    V125,
    V142_LINKED,
    V158_LINKED,
    Kind,
    Talk,
)
from tests.support.server import Sent

pytestmark = [pytest.mark.codex, pytest.mark.asyncio(loop_scope="module")]


KINDS = [PINNED, LINKED, INLINE, LOW, V158_LINKED, V142_LINKED, V125, V80]


@pytest.fixture(scope="module", params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """The kinds of Codex, one after the other."""
    found: Kind = request.param
    return found


async def test_the_startup_screen_is_message_0(talk: Talk) -> None:
    role, text = (await talk.server.messages())[0]
    assert role == "agent"
    assert "OpenAI Codex (v" in text
    assert "\n›" not in text
    assert "? for shortcuts" not in text
    assert talk.server.statuses[:2] == ["running", "stable"]


async def test_one_line(talk: Talk) -> None:
    answer = await talk.turn("hello")
    assert answer == (
        "• Hello! I am a scripted model: no key, no network. You wrote:\n\n  > hello\n\n"
        "  Try markdown, lines 400, run ls, sleep 3 or approve date."
    )
    assert await talk.server.status() == "stable"


async def test_many_lines(talk: Talk) -> None:
    prompt = "first line\nsecond line\n\n  indented after a blank line\n\ttabbed\nlast line"
    answer = await talk.turn(prompt)
    assert "(and 1 more lines)" in answer
    assert answer.startswith("• Hello!")


async def test_markdown(talk: Talk) -> None:
    answer = await talk.turn("markdown")
    assert answer.startswith("• # A heading\n\n  A paragraph with bold, italic, code and a link")
    assert '      return f"Hello, {name}!"\n' in answer
    assert answer.endswith("\n  That is all.")
    for word in ("first", "nested, with code", "deeper", "two and a half", "alpha", "beta"):
        assert answer.count(word) == (2 if word == "first" else 1), word


async def test_400_lines(talk: Talk) -> None:
    answer = await talk.turn("lines 400")
    lines = [line.strip(" •") for line in answer.split("\n") if line]
    if talk.kind.rows == 1000:
        assert "\n".join(lines) == numbered(400)
        return
    # On 50 rows of the alternate screen Codex shows the end only; nothing may come twice.
    numbers = [int(m[1]) for line in lines if (m := re.fullmatch(r"line (\d+) of 400", line))]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 400


async def test_the_same_question_twice_is_answered_twice(talk: Talk) -> None:
    first = await talk.turn("hello")
    assert await talk.turn("hello") == first
    assert await talk.turn("hello") == first
    assert len(first.split("\n")) == 5


async def test_a_silent_command_is_one_long_turn(talk: Talk) -> None:
    answer = await talk.turn("sleep 3")
    assert "Waiting." in answer
    # These paint nothing of a command in a background terminal, or too late.
    if talk.kind not in (V125, V142_LINKED):
        assert re.search(r"^• Ran .*sleep 3; echo slept", answer, re.MULTILINE)
        assert "\n  └ slept" in answer
    assert answer.endswith("its last line of output was slept.")


async def test_an_interrupt_ends_the_turn(talk: Talk) -> None:
    server, count = talk.server, len(talk.server.statuses)
    since, messages = len(server.events), len(server.told)
    talk.model.hold()
    try:
        assert await server.send("hello") == Sent(200)
        await talk.model.wait_until_held()
        assert await server.status() == "running"
        await server.wait_for_screen("esc to interrupt")
        await server.raw("\x1b")
        await server.wait_status("running", "stable", since=count)
    finally:
        talk.model.release()
    talk.check(since)
    answer = (await server.messages())[messages:]
    assert [role for role, _ in answer] == ["user", "agent"]
    assert "■ Conversation interrupted" in answer[1][1]


async def test_after_an_interrupt_the_next_turn_is_whole(talk: Talk) -> None:
    answer = await talk.turn("echo after it")
    assert answer == "• echo after it"
