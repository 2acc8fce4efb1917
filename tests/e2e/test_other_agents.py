"""Programs without a profile of their own, as real programs: nothing is typed into their dialogs,
every message arrives once, and the messages are what the agent said."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio

from agentapi.conversation.document import GAP
from agentapi.scripted import ScriptedModel
from tests.support.agent_looks import LOOKS, Looks, composer_rows
from tests.support.agents import AGENTS, Agent, agent_server, make_agent
from tests.support.server import Sent, Server, scratch_folder

pytestmark = [pytest.mark.agents, pytest.mark.asyncio(loop_scope="module")]

TELLS = "tell me your name"
"""A message that a person might send without knowing that a dialog is open."""
GREETING = "Hello! I am a scripted model: no key, no network. You wrote:"

SMALL = [("claude", 24), ("gemini", 24), ("copilot", 50)]
"""Windows in which a long answer does not fit."""
CHOICES = {
    "claude": ("Yes",),
    "gemini": ("Allow once",),
    "opencode": ("Allow always", "Confirm"),
    "copilot": ("Yes",),
}

Make = Callable[..., Agent]


@asynccontextmanager
async def serving_agent(it: Agent) -> AsyncIterator[Server]:
    # At a thousand rows opencode needs half a minute to its first frame.
    options = ("--term-height", "50") if it.name == "opencode" else ()
    async with agent_server(it, *options) as server:
        yield server


@dataclass(frozen=True)
class Shared:
    """An agent in a folder that it trusts, which several tests talk with."""

    agent: Agent
    looks: Looks
    server: Server
    model: ScriptedModel


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=AGENTS)
async def shared(request: pytest.FixtureRequest) -> AsyncIterator[Shared]:
    """Each agent, one after the other, ready."""
    name: str = request.param
    with scratch_folder() as folder:
        async with ScriptedModel() as model:
            try:
                it = make_agent(name, folder, model)
            except FileNotFoundError as error:
                pytest.skip(str(error))
            async with serving_agent(it) as server:
                await server.ready()
                assert LOOKS[name].ready in await server.screen()
                yield Shared(it, LOOKS[name], server, model)


@pytest_asyncio.fixture(loop_scope="module")
async def talk(shared: Shared) -> AsyncIterator[Shared]:
    """The shared agent, idle. Whatever a test that failed left open ends first."""
    server = shared.server
    await server.until(lambda: server.status_now == "stable", "stable")
    if await server.phase() != "idle":
        await server.raw(shared.looks.stop)
        await phase(server, "idle")
    yield shared


async def phase(server: Server, wanted: str) -> None:
    """Wait until the last phase that the server logged is this one."""
    await server.until(lambda: [it.phase for it in server.phases][-1:] == [wanted], wanted)


async def blocked(server: Server) -> str:
    """Wait until the server says that somebody has to answer; the text of the dialog."""
    await phase(server, "blocked")
    await server.until(lambda: server.status_now == "stable", "stable")
    assert await server.phase() == "blocked"
    approval = await server.get("/approval")
    assert approval["open"], approval
    return str(approval["open"])


async def refused(server: Server, words: str) -> None:
    """A message is refused with the dialog's text and leaves the dialog as it was."""
    sent = await server.send(TELLS)
    assert sent.status == 500
    assert words in sent.error
    assert await server.phase() == "blocked"
    screen = await server.screen()
    assert words in screen
    assert TELLS not in screen
    assert server.process.returncode is None


def prompts(model: ScriptedModel) -> list[str]:
    """What the model was asked, without what only reports a tool's output."""
    return [request.prompt for request in model.requests if request.tool_output is None]


def clean(answer: str) -> str:
    """The answer, seen to have nothing of the composer and no run of blank rows."""
    assert composer_rows(answer) == [], answer
    assert "\n\n\n\n" not in answer, answer
    assert answer == answer.strip("\n"), answer
    return answer


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize("name", [name for name in AGENTS if LOOKS[name].trust])
async def test_a_message_does_not_answer_the_dialog_of_the_start(
    name: str, agent: Make, model: ScriptedModel
) -> None:
    it, looks = agent(name, trusted=False), LOOKS[name]
    async with serving_agent(it) as server:
        shown = await blocked(server)
        assert looks.trust in shown
        assert server.statuses == ["running", "stable"]
        await refused(server, looks.trust)
        assert not it.trusts_the_folder()
        await server.raw(looks.trusted)
        await server.wait_for_screen(looks.ready)
        await phase(server, "idle")
        await server.until(lambda: server.status_now == "stable", "stable")
        assert (await server.get("/approval"))["open"] is None
        assert GREETING in await server.turn("hello")
        assert prompts(model) == ["hello"]
        assert it.trusts_the_folder()


async def test_a_message_does_not_allow_a_command(talk: Shared) -> None:
    it, looks, server = talk.agent, talk.looks, talk.server
    before = len(prompts(talk.model))
    assert await server.send("approve touch allowed") == Sent(200)
    assert "touch allowed" in await blocked(server)
    await refused(server, looks.asks)
    assert not (it.workdir / "allowed").exists()
    await server.raw(looks.allow)
    await server.until(lambda: "command has finished" in server.told[-1][1], "the answer")
    await server.until(lambda: server.status_now == "stable", "stable")
    assert await server.phase() == "idle"
    assert (it.workdir / "allowed").exists()
    assert (await server.get("/approval"))["open"] is None
    answer = clean((await server.messages())[-1][1])
    assert looks.asks not in answer
    assert prompts(talk.model)[before:] == ["approve touch allowed"]


async def test_a_refused_command_is_not_run(talk: Shared) -> None:
    server, before = talk.server, len(prompts(talk.model))
    assert await server.send("approve touch refused") == Sent(200)
    assert "touch refused" in await blocked(server)
    await server.raw("\x1b")
    await phase(server, "idle")
    await server.until(lambda: server.status_now == "stable", "stable")
    assert not (talk.agent.workdir / "refused").exists()
    assert GREETING in await server.turn("hello")
    assert prompts(talk.model)[before:] == ["approve touch refused", "hello"]


async def test_messages_arrive_once_and_are_answered(talk: Shared) -> None:
    said = ["hello", "echo the same words", "echo the same words", "slow 20"]
    said.append("echo first\nsecond line\nthird line\n\nthe last line")
    before, since = len(prompts(talk.model)), len(await talk.server.messages())
    answers = [clean(await talk.server.turn(text)) for text in said]
    assert [prompt.rstrip() for prompt in prompts(talk.model)[before:]] == said
    new = (await talk.server.messages())[since:]
    assert [text for role, text in new if role == "user"] == said
    assert GREETING in answers[0]
    assert "echo the same words" in answers[1]
    assert "echo the same words" in answers[2]
    assert "word1 word2" in answers[3]
    assert "word20" in answers[3]
    for line in said[-1].split("\n"):
        assert line in answers[4]


async def offered(server: Server, label: str) -> dict[str, str]:
    """Wait for a choice; the body that picks it."""
    while True:
        known = len(server.events)
        opened = (await server.get("/approval"))["open"] or {"choices": []}
        for choice in opened["choices"]:
            if choice["label"] == label:
                return {"id": opened["id"], "choice": choice["id"]}
        what = f"the choice {label!r} in {opened}"
        await server.until(lambda: len(server.events) > known, what)  # noqa: B023 - awaited here


async def test_a_command_is_allowed_by_the_choices_that_are_offered(talk: Shared) -> None:
    """Also by those that only arrow keys reach, one question after the other."""
    server = talk.server
    assert await server.send("approve touch chosen") == Sent(200)
    for label in CHOICES[talk.agent.name]:
        await server.post("/approval", await offered(server, label))
    await server.until(lambda: "command has finished" in server.told[-1][1], "the answer")
    assert (talk.agent.workdir / "chosen").exists()


async def long_answers(server: Server) -> str:
    """See that each of some messages is of its own turn, also where it does not fit into the
    window. Nothing is missing at its end, and nothing is marked as missing that is not (a loss is
    not marked where the next window begins with a blank row). The longest one."""
    first = clean(await server.turn("lines 15"))
    long = clean(await server.turn("lines 70"))
    last = clean(await server.turn("hello"))
    assert "line 15 of 15" in first
    numbers = [int(number) for number in re.findall(r"line (\d+) of 70$", long, re.MULTILINE)]
    assert numbers[-10:] == list(range(61, 71))
    assert numbers == sorted(set(numbers))
    assert GAP not in long or len(numbers) < 70
    assert " of 15" not in long
    assert last.lstrip(" ●✦").startswith(GREETING)
    for text in (first, long, last):
        assert not re.search(r"Current {3}Sessions|Tip: |^. \w+…$", text, re.MULTILINE), text
    return long


async def test_a_long_answer(talk: Shared) -> None:
    """Whole, where it fits into the window (opencode's is small)."""
    long = await long_answers(talk.server)
    assert talk.agent.name == "opencode" or GAP not in long


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize(("name", "rows"), SMALL)
async def test_a_long_answer_in_a_small_window(
    name: str, rows: int, agent: Make, model: ScriptedModel
) -> None:
    async with agent_server(agent(name), "--term-height", str(rows)) as server:
        await server.ready()
        await long_answers(server)
