"""The agent's beginning and end, and what its server makes of them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from agentapi.scripted import ScriptedModel
from agentapi.scripted.answers import numbered
from tests.e2e.furniture import furniture
from tests.support.codex import codex_home
from tests.support.server import Sent, codex_server, processes_of, runs_codex, serving

pytestmark = pytest.mark.codex

RUNS = [(None, "off"), (None, "on"), ("0.125.0", "off"), ("0.80.0", "off")]
"""The Codexes, and the link to their app-server."""
LINKS = pytest.mark.parametrize("link", ["off", "on"])


@pytest.mark.parametrize(("version", "link"), RUNS)
async def test_the_initial_prompt_goes_out_once(
    scratch: Path, model: ScriptedModel, codex: Any, version: str | None, link: str
) -> None:
    codex(version)
    options = ("-I", "echo *the* first one", "--codex-link", link)
    async with codex_server(scratch, model, *options, version=version) as (server, _):
        await model.wait_for_request(1)
        await server.ready()
        assert server.statuses == ["running", "stable"]
        names = [(e.name, e.data.get("id"), e.data.get("status")) for e in server.events]
        assert names.index(("message_update", 1, None)) < names.index(
            ("status_change", None, "stable")
        )
        assert [role for role, _ in await server.messages()] == ["agent", "user", "agent"]
        assert (await server.messages())[1:] == [
            ("user", "echo *the* first one"),
            ("agent", "• echo the first one"),
        ]
        assert await server.turn("echo second") == "• echo second"
        assert [request.prompt for request in model.requests] == [
            "echo *the* first one",
            "echo second",
        ]


async def test_codex_killed_in_mid_turn_ends_the_server(
    scratch: Path, model: ScriptedModel, codex: Any
) -> None:
    codex(None)
    async with codex_server(scratch, model) as (server, _):
        await server.ready()
        model.hold()
        assert await server.send("a question without an answer") == Sent(200)
        await model.wait_until_held()
        await server.wait_for_screen("› a question without an answer")
        for pid in filter(runs_codex, processes_of(scratch)):
            os.kill(pid, signal.SIGKILL)
        assert await server.ended() == 1
        _, _, after = server.log.partition("========")
        assert "› a question without an answer" in after
        assert "Error: the agent ended with signal 9." in after


async def test_a_program_that_does_not_exist(scratch: Path, model: ScriptedModel) -> None:
    home = codex_home(scratch, model.url)
    command = ["codex-that-nobody-installed"]
    async with serving(
        scratch, command, "--type", "codex", env=home.environment(), cwd=home.workdir, wait=False
    ) as server:
        assert await server.ended() == 1
    assert "'codex-that-nobody-installed' was not found in PATH" in server.log


async def test_a_wrong_option_of_codex_is_shown(
    scratch: Path, model: ScriptedModel, codex: Any
) -> None:
    codex(None)
    async with codex_server(scratch, model, arguments=["--no-such-option"]) as (server, _):
        assert await server.ended() == 1
    assert "unexpected argument '--no-such-option'" in server.log
    assert "Error: the agent ended with status 2." in server.log


@LINKS
async def test_codex_that_is_left_ends_the_server_well(
    scratch: Path, model: ScriptedModel, codex: Any, link: str
) -> None:
    codex(None)
    async with codex_server(scratch, model, "--codex-link", link) as (server, _):
        await server.ready()
        await server.turn("hello")
        await server.raw("\x03")
        assert await server.ended() == 0
    assert "stable" not in server.statuses[4:]


@LINKS
async def test_a_signal_in_mid_turn_leaves_nothing_behind(
    scratch: Path, model: ScriptedModel, codex: Any, link: str
) -> None:
    codex(None)
    async with codex_server(scratch, model, "--codex-link", link) as (server, _):
        await server.ready()
        assert await server.send("sleep 30") == Sent(200)
        await server.until(lambda: "sleep 30" in server.told[-1][1], "the command")
        assert await server.stop() == 0


async def test_2000_lines_inline(scratch: Path, model: ScriptedModel, codex: Any) -> None:
    codex(None)
    async with codex_server(scratch, model, "--term-height", "50", inline=True) as (server, _):
        await server.ready()
        answer = await server.turn("lines 2000")
        assert "\n".join(line[2:] for line in answer.split("\n")) == numbered(2000)
        for event in server.events:
            if event.name == "message_update" and event.data["id"] == 2:
                assert furniture(event.data["message"]) == []
        assert await server.turn("echo after it") == "• echo after it"


async def test_100_000_characters_reach_the_model_on_the_alternate_screen(
    scratch: Path, model: ScriptedModel, codex: Any
) -> None:
    codex(None)
    prompt = "word " * 19_999 + "last."
    async with codex_server(scratch, model) as (server, _):
        await server.ready()
        assert await server.send(prompt) == Sent(200)
        await server.wait_status("running", "stable", "running", "stable")
        assert model.requests[-1].prompt == prompt
        assert (await server.messages())[1] == ("user", prompt)


async def test_100_000_characters_are_answered_on_the_alternate_screen(
    scratch: Path, model: ScriptedModel, codex: Any
) -> None:
    codex(None)
    async with codex_server(scratch, model) as (server, _):
        await server.ready()
        await server.turn("word " * 19_999 + "last.")
        assert await server.turn("echo after it") == "• echo after it"


async def test_a_conversation_laid_out_anew_changes_no_message(
    scratch: Path, model: ScriptedModel, codex: Any
) -> None:
    codex(None)
    async with codex_server(scratch, model) as (server, _):
        await server.ready()
        await server.turn("hello")
        before = await server.messages()
        await server.raw("\x14")
        await server.wait_for_screen("Model metadata")
        await server.turn("echo after it")
        assert (await server.messages())[:3] == before
