"""The transcript of a real Codex: to the letter what the model got and sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentapi.scripted import ScriptedModel
from agentapi.scripted.answers import MARKDOWN, numbered
from agentapi.scripted.reply import Say
from tests.support.codex import codex_binary
from tests.support.lasting import kill, workspace
from tests.support.scenarios import MULTI, UNICODE
from tests.support.server import PATIENCE, Server, codex_server, serving

pytestmark = pytest.mark.codex

Items = list[dict[str, Any]]
AWKWARD = (
    "› not a prompt\n• Ran ls\n  └ esc to interrupt\n\n\n\ntrailing  \n\ttabs\t\n```\n\x60\n```\n\n"
)


def prepare(codex: Callable[[str | None], Path], version: str | None) -> None:
    """Skip where this Codex is missing."""
    codex(version)
    codex_binary(version)


async def transcript(server: Server) -> Items:
    """All of GET /transcript, read in pages of seven."""
    items: Items = []
    after = 0
    while page := (await server.get(f"/transcript?after={after}&limit=7")):
        if not page["items"]:
            break
        items += page["items"]
        after = page["next"]
    assert [item["id"] for item in items] == list(range(1, len(items) + 1))
    return items


async def until(server: Server, holds: Callable[[Items], bool]) -> Items:
    """Wait, told by the events, until the transcript satisfies a function."""
    async with (
        asyncio.timeout(PATIENCE),
        server.client.get(server.url + "/transcript/events") as response,
    ):
        items = await transcript(server)
        while not holds(items):
            await response.content.readuntil(b"\n\n")
            items = await transcript(server)
    return items


def texts(items: Items, kind: str) -> list[str]:
    """The texts of the items of a kind."""
    return [item["text"] for item in items if item["kind"] == kind]


def settled(count: int) -> Callable[[Items], bool]:
    """Whether so many agent messages are there, exactly."""

    def holds(items: Items) -> bool:
        exact = [i for i in items if i["kind"] == "agent_message" and i["source"] == "rollout"]
        return len(exact) == count and not any(item["partial"] for item in items)

    return holds


@pytest.mark.parametrize("version", [None, "0.125.0", "0.80.0"])
async def test_every_word_is_what_the_model_got_and_sent(
    version: str | None, scratch: Path, model: ScriptedModel, codex: Callable[[str | None], Path]
) -> None:
    prepare(codex, version)
    prompts = [
        MULTI,
        f"echo {UNICODE}",
        "markdown",
        "lines 400",
        "run seq 3; echo oops >&2; exit 3",
    ]
    answer = model.answer
    model.answer = lambda request: (
        [Say(AWKWARD)] if request.prompt == "awkward" else answer(request)
    )
    async with codex_server(scratch, model, version=version) as (server, home):
        await server.ready()
        for prompt in [*prompts, "awkward"]:
            await server.turn(prompt)
        items = await until(server, settled(len(prompts) + 1))
        said = [step.text for reply in model.replies for step in reply if isinstance(step, Say)]
        assert texts(items, "user_message") == [*prompts, "awkward"]
        assert texts(items, "agent_message") == said
        assert said[3] == numbered(400)
        assert said[-1] == AWKWARD
        [call] = [item for item in items if item["kind"] == "tool_call"]
        assert call["command"] == "seq 3; echo oops >&2; exit 3"
        assert (call["output"], call["exit_code"]) == ("1\n2\n3\noops\n", 3)
        assert {item["source"] for item in items} == {"rollout"}
        session = await server.get("/session")
        assert session["usage"]["total"]["total_tokens"] > 0
        assert session["usage"]["context"]["left_percent"] > 50
        assert session["session_id"] in str(home.rollouts()[-1])


async def test_an_approval_is_told(
    scratch: Path, model: ScriptedModel, codex: Callable[[str | None], Path]
) -> None:
    prepare(codex, None)
    async with codex_server(scratch, model, approvals=True) as (server, _):
        await server.ready()
        await server.send("approve date -u")
        await server.wait_for_screen("Would you like to")
        items = await until(server, lambda items: any(i["kind"] == "approval" for i in items))
        [asked] = [item for item in items if item["kind"] == "approval"]
        assert (asked["command"], asked["decision"], asked["partial"]) == (
            "date -u",
            "pending",
            True,
        )
        await server.raw("y")
        items = await until(server, settled(1))
        [given] = [item for item in items if item["kind"] == "approval"]
        assert given == {**asked, "decision": "approved", "partial": False}


async def test_text_on_the_screen_becomes_the_exact_item_of_the_same_id(
    scratch: Path, model: ScriptedModel, codex: Callable[[str | None], Path]
) -> None:
    prepare(codex, None)
    async with codex_server(scratch, model) as (server, _):
        await server.ready()
        await server.turn("hello")
        await until(server, settled(1))
        await server.send("slow 40")
        growing = await until(
            server, lambda items: items[-1]["partial"] and "word11" in items[-1]["text"]
        )
        assert growing[-1]["kind"] == "agent_message"
        assert growing[-1]["source"] == "screen"
        items = await until(server, settled(2))
        exact = items[growing[-1]["id"] - 1]
        assert exact["kind"] == "agent_message"
        assert (exact["source"], exact["partial"]) == ("rollout", False)
        [said] = [s.text for s in model.replies[-1] if isinstance(s, Say)]
        assert exact["text"] == said


async def test_a_resumed_session_has_the_items_and_ids_that_it_had(
    scratch: Path, model: ScriptedModel, codex: Callable[[str | None], Path]
) -> None:
    prepare(codex, None)
    async with codex_server(scratch, model) as (server, _):
        await server.ready()
        await server.turn("markdown")
        await server.turn("run echo one")
        before = await until(server, settled(2))
        session = (await server.get("/session"))["session_id"]
    async with codex_server(scratch, model, arguments=["resume", session]) as (server, _):
        await server.ready()
        await server.turn("hello")
        after = await until(server, settled(3))
        assert after[: len(before)] == before
        assert texts(after, "user_message") == ["markdown", "run echo one", "hello"]
        assert (await server.get("/session"))["session_id"] == session


async def test_another_agent_is_served_from_its_screen(scratch: Path) -> None:
    environment = {"HOME": str(scratch), "PATH": "/usr/bin:/bin", "PS1": "$ ", "LANG": "C.UTF-8"}
    command = ["bash", "--norc", "--noprofile"]
    async with serving(
        scratch, command, "--type", "custom", env=environment, cwd=scratch
    ) as server:
        await server.ready()
        await server.turn("echo exact enough")
        items = await until(
            server, lambda items: len(items) == 2 and not any(i["partial"] for i in items)
        )
        assert [(item["kind"], item["source"]) for item in items] == [
            ("user_message", "screen"),
            ("agent_message", "screen"),
        ]
        assert items[0]["text"] == "echo exact enough"
        assert "exact enough" in items[1]["text"]


async def test_a_killed_daemon_comes_back_with_the_same_items(
    scratch: Path, codex: Callable[[str | None], Path]
) -> None:
    prepare(codex, None)
    async with workspace(scratch) as place:
        async with place.daemon() as server:
            await server.ready()
            await server.turn("markdown")
            before = await until(server, settled(1))
            await kill(server)
        async with place.daemon() as server:
            await server.ready()
            assert await until(server, settled(1)) == before  # before anything new is said
            await server.turn("hello")
            after = await until(server, settled(2))
            assert after[: len(before)] == before


async def test_the_rollout_is_found_beside_the_link(
    scratch: Path, model: ScriptedModel, codex: Callable[[str | None], Path]
) -> None:
    prepare(codex, None)
    async with codex_server(scratch, model, "--codex-link", "on") as (server, _):
        await server.ready()
        await server.turn("markdown")
        items = await until(server, settled(1))
        assert texts(items, "user_message") == ["markdown"]
        assert texts(items, "agent_message") == [MARKDOWN]
