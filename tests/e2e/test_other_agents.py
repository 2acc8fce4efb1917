"""Programs without a profile of their own, as real programs: nothing is typed into their dialogs,
every message arrives once, and the messages are what the agent said."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from agentapi.scripted import ScriptedModel
from tests.support.agent_looks import LOOKS, composer_rows
from tests.support.agents import AGENTS, Agent, agent_server
from tests.support.server import Sent, Server

pytestmark = pytest.mark.agents

TELLS = "tell me your name"
"""A message that a person might send without knowing that a dialog is open."""
GREETING = "Hello! I am a scripted model: no key, no network. You wrote:"

Make = Callable[..., Agent]


@asynccontextmanager
async def serving_agent(it: Agent) -> AsyncIterator[Server]:
    # At a thousand rows opencode needs half a minute to its first frame.
    options = ("--term-height", "50") if it.name == "opencode" else ()
    async with agent_server(it, *options) as server:
        yield server


async def blocked(server: Server) -> str:
    """Wait until the server says that somebody has to answer; the text of the dialog."""
    await server.wait_for_log("phase blocked")
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
        await server.wait_for_log("phase idle")
        await server.until(lambda: server.status_now == "stable", "stable")
        assert (await server.get("/approval"))["open"] is None
        assert GREETING in await server.turn("hello")
        assert prompts(model) == ["hello"]
        assert it.trusts_the_folder()


@pytest.mark.parametrize("name", AGENTS)
async def test_a_message_does_not_allow_a_command(
    name: str, agent: Make, model: ScriptedModel
) -> None:
    it, looks = agent(name), LOOKS[name]
    async with serving_agent(it) as server:
        await server.ready()
        assert looks.ready in await server.screen()
        assert await server.send("approve touch made") == Sent(200)
        assert "touch made" in await blocked(server)
        await refused(server, looks.asks)
        assert not (it.workdir / "made").exists()
        await server.raw(looks.allow)
        await server.until(lambda: "command has finished" in server.told[-1][1], "the answer")
        await server.until(lambda: server.status_now == "stable", "stable")
        assert await server.phase() == "idle"
        assert (it.workdir / "made").exists()
        assert (await server.get("/approval"))["open"] is None
        answer = clean((await server.messages())[-1][1])
        assert looks.asks not in answer
        assert prompts(model) == ["approve touch made"]


@pytest.mark.parametrize("name", AGENTS)
async def test_a_refused_command_is_not_run(name: str, agent: Make, model: ScriptedModel) -> None:
    it = agent(name)
    async with serving_agent(it) as server:
        await server.ready()
        assert await server.send("approve touch made") == Sent(200)
        await blocked(server)
        await server.raw("\x1b")
        await server.until(lambda: "phase idle" in server.log.split("phase blocked")[-1], "idle")
        await server.until(lambda: server.status_now == "stable", "stable")
        assert not (it.workdir / "made").exists()
        assert GREETING in await server.turn("hello")
        assert prompts(model) == ["approve touch made", "hello"]


@pytest.mark.parametrize("name", AGENTS)
async def test_messages_arrive_once_and_are_answered(
    name: str, agent: Make, model: ScriptedModel
) -> None:
    said = ["hello", "echo the same words", "echo the same words", "slow 20"]
    said.append("echo first\nsecond line\nthird line\n\nthe last line")
    async with serving_agent(agent(name)) as server:
        await server.ready()
        assert LOOKS[name].ready in await server.screen()
        answers = [clean(await server.turn(text)) for text in said]
        assert [prompt.rstrip() for prompt in prompts(model)] == said
        assert [text for role, text in await server.messages() if role == "user"] == said
    assert GREETING in answers[0]
    assert "echo the same words" in answers[1]
    assert "echo the same words" in answers[2]
    assert "word1 word2" in answers[3]
    assert "word20" in answers[3]
    for line in said[-1].split("\n"):
        assert line in answers[4]
