"""The core of a conversation, with each kind of Codex: one server a kind, turn after turn."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from agentapi.scripted import ScriptedModel
from agentapi.scripted.answers import numbered
from tests.e2e.furniture import furniture
from tests.support.codex import CodexHome, codex_binary
from tests.support.server import Sent, Server, codex_server, scratch_folder

pytestmark = [pytest.mark.codex, pytest.mark.asyncio(loop_scope="module")]


@dataclass(frozen=True)
class Kind:
    """A Codex and its terminal."""

    version: str | None = None
    inline: bool = False
    rows: int = 1000

    def __str__(self) -> str:
        return f"{self.version or 'pinned'}{'-inline' if self.inline else ''}-80x{self.rows}"


KINDS = [
    Kind(),
    Kind(inline=True),
    Kind(rows=50),
    Kind("0.125.0"),
    Kind("0.80.0"),
]


@dataclass
class Talk:
    """A server that the tests of one kind share, and what is behind it."""

    kind: Kind
    server: Server
    model: ScriptedModel
    home: CodexHome

    async def turn(self, prompt: str) -> str:
        """A turn; the model received the prompt as it was posted, the user's message is the
        prompt, and neither the answer nor what came before it ever showed furniture."""
        since = len(self.server.events)
        answer = await self.server.turn(prompt)
        assert self.prompts[-1] == prompt
        assert (await self.server.messages())[-2] == ("user", prompt)
        self.check(since)
        return answer

    @property
    def prompts(self) -> list[str]:
        """What the model was asked, without what only reports a tool's output."""
        return [r.prompt for r in self.model.requests if r.tool_output is None]

    def check(self, since: int) -> None:
        """No event from number `since` on may show furniture in an agent's message."""
        for event in self.server.events[since:]:
            if event.name == "message_update" and event.data["role"] == "agent":
                assert furniture(event.data["message"]) == [], event.data


@pytest.fixture(scope="module", params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """The kinds of Codex, one after the other."""
    found: Kind = request.param
    try:
        codex_binary(found.version)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(kind: Kind) -> AsyncIterator[Talk]:
    """A server that is ready."""
    with scratch_folder() as folder:
        async with (
            ScriptedModel() as model,
            codex_server(
                folder,
                model,
                *("--term-height", str(kind.rows)),
                version=kind.version,
                inline=kind.inline,
            ) as (server, home),
        ):
            await server.ready()
            yield Talk(kind, server, model, home)


@pytest.fixture
def talk(shared: Talk) -> Iterator[Talk]:
    """The shared server, between turns."""
    assert shared.server.status_now == "stable", "a test before this one left a turn open"
    yield shared
    assert shared.server.status_now == "stable"


async def test_the_startup_screen_is_message_0(talk: Talk) -> None:
    role, text = (await talk.server.messages())[0]
    assert role == "agent"
    assert "OpenAI Codex (v" in text
    assert "\n›" not in text
    assert "? for shortcuts" not in text
    assert talk.server.statuses == ["running", "stable"]


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
