"""`--message-format markdown` with a real Codex: messages to the letter what the model sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agentapi.scripted import ScriptedModel
from agentapi.scripted.answers import MARKDOWN
from agentapi.scripted.reply import Reply, Say, Shell
from agentapi.scripted.request import Request
from tests.e2e.test_transcript import settled, until
from tests.support.codex import codex_binary
from tests.support.lasting import kill, workspace
from tests.support.server import Server, codex_server, serving

pytestmark = pytest.mark.codex

AWKWARD = "› not a prompt\n• Ran ls\n\n\n\n* one  \n* two\n\ttabs\t\n```\nesc to interrupt\n```\n\n"
COMMAND = "seq 3; exit 3"


@asynccontextmanager
async def exact_server(
    folder: Path, model: ScriptedModel, link: str, version: str | None = None
) -> AsyncIterator[Server]:
    """A server whose messages are exact and that is ready."""
    options = ("--message-format", "markdown", "--codex-link", link)
    async with codex_server(folder, model, *options, version=version) as (server, _):
        await server.ready()
        yield server
        # Exact text has the blanks at the ends of lines that a screen never shows.
        server.faults = [fault for fault in server.faults if "blanks at the end" not in fault]


def answering(model: ScriptedModel) -> None:
    """Give the prompts of these tests answers of their own."""
    usual = model.answer

    def answer(request: Request) -> Reply:
        if request.tool_output is not None:
            return [Say("**Three** lines.\n\n- and `exit 3`")]
        if request.prompt == "awkward":
            return [Say(AWKWARD)]
        if request.prompt == "count":
            return [Say("I *count* first."), Shell(COMMAND)]
        return usual(request)

    model.answer = answer


def told(server: Server) -> list[tuple[str, str]]:
    """The messages behind the start-up screen, as the events left them."""
    return server.told[1:]


@pytest.mark.parametrize(
    ("version", "link"),
    [(None, "off"), (None, "on"), ("0.125.0", "off"), ("0.80.0", "off")],
)
async def test_three_turns_to_the_letter(
    version: str | None,
    link: str,
    scratch: Path,
    model: ScriptedModel,
    codex: Callable[[str | None], Path],
) -> None:
    codex(version)
    codex_binary(version)
    answering(model)
    async with exact_server(scratch, model, link, version) as server:
        # What `turn` returns was read after `stable`: the exact text was in by then.
        assert await server.turn("markdown") == MARKDOWN
        counted = f"I *count* first.\n\n- ✗ {COMMAND}\n\n**Three** lines.\n\n- and `exit 3`"
        assert await server.turn("count") == counted
        assert await server.turn("awkward") == AWKWARD
        await server.until(lambda: told(server)[-1][1] == AWKWARD)
        assert told(server) == [
            ("user", "markdown"),
            ("agent", MARKDOWN),
            ("user", "count"),
            ("agent", counted),
            ("user", "awkward"),
            ("agent", AWKWARD),
        ]
        assert (await server.messages())[1:] == told(server)


async def test_the_link_gives_exact_text_while_it_streams(
    scratch: Path, model: ScriptedModel, codex: Callable[[str | None], Path]
) -> None:
    codex(None)
    async with exact_server(scratch, model, "on") as server:
        await server.turn("hello")
        since = len(server.events)
        answer = await server.turn("slow 30")
        [said] = [step.text for step in model.replies[-1] if isinstance(step, Say)]
        assert answer == said
        grown = [
            event.data["message"]
            for event in server.events[since:]
            if event.name == "message_update" and event.data["role"] == "agent"
        ]
        exact = [text for text in grown if text and said.startswith(text) and text != said]
        assert len(exact) > 5, grown


async def test_the_link_gives_a_tool_s_line_while_it_runs(
    scratch: Path, model: ScriptedModel, codex: Callable[[str | None], Path]
) -> None:
    codex(None)
    command = "sleep 1; echo done"
    usual = model.answer
    model.answer = lambda request: (
        [Say("I *wait*."), Shell(command)]
        if request.prompt == "wait" and request.tool_output is None
        else usual(request)
    )
    async with exact_server(scratch, model, "on") as server:
        await server.turn("hello")
        await server.send("wait")
        running, ended = (f"I *wait*.\n\n- {mark} {command}" for mark in "…✓")
        await server.until(lambda: told(server)[-1] == ("agent", running), "its line")
        await server.until(lambda: told(server)[-1][1].startswith(ended), "its end")
        await server.wait_status("running", "stable", since=4)
        [said] = [step.text for step in model.replies[-1] if isinstance(step, Say)]
        assert (await server.messages())[-1] == ("agent", f"{ended}\n\n{said}")


async def test_live_text_of_the_link_becomes_the_exact_item_of_the_same_id(
    scratch: Path, model: ScriptedModel, codex: Callable[[str | None], Path]
) -> None:
    codex(None)
    async with exact_server(scratch, model, "on") as server:
        await server.turn("hello")
        await server.send("slow 40")
        growing = await until(
            server, lambda items: items[-1]["partial"] and "word11" in items[-1]["text"]
        )
        assert (growing[-1]["kind"], growing[-1]["source"]) == ("agent_message", "link")
        items = await until(server, settled(2))
        [said] = [step.text for step in model.replies[-1] if isinstance(step, Say)]
        assert said.startswith(growing[-1]["text"])
        assert items[growing[-1]["id"] - 1]["text"] == said
        await server.wait_status("running", "stable", since=4)
        assert (await server.messages())[-1] == ("agent", said)


async def test_a_killed_daemon_comes_back_with_exact_messages(
    scratch: Path, codex: Callable[[str | None], Path]
) -> None:
    codex(None)
    async with workspace(scratch) as place:
        place.options = ["--message-format", "markdown"]
        async with place.daemon() as server:
            await server.ready()
            assert await server.turn("markdown") == MARKDOWN
            await kill(server)
            server.faults.clear()
        async with place.daemon() as server:
            await server.ready()
            assert (await server.messages())[1:] == [("user", "markdown"), ("agent", MARKDOWN)]
            assert await server.turn("markdown") == MARKDOWN
            assert len(await server.messages()) == 5
            server.faults.clear()


async def test_an_agent_without_a_transcript_is_as_on_its_screen(scratch: Path) -> None:
    environment = {"HOME": str(scratch), "PATH": "/usr/bin:/bin", "PS1": "$ ", "LANG": "C.UTF-8"}
    command = ["bash", "--norc", "--noprofile"]
    options = ("--type", "custom", "--message-format", "markdown")
    async with serving(scratch, command, *options, env=environment, cwd=scratch) as server:
        await server.ready()
        assert "exact enough" in await server.turn("echo exact enough")
