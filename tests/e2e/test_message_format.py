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
from tests.support.codex import codex_binary
from tests.support.server import Server, codex_server

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
