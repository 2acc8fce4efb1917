"""The transcript of a real Codex: to the letter what the model got and sent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agentapi.scripted import ScriptedModel
from agentapi.scripted.answers import MARKDOWN, numbered
from agentapi.scripted.reply import Call, Reply, Say, Shell, Think
from agentapi.scripted.request import Request
from tests.e2e.test_link_failures import app_servers
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


def ended(items: Items) -> bool:
    """Return whether the end of the last turn is recorded: the link may report it first."""
    last = items[-1]
    return last.get("event") == "completed" and last["source"] == "rollout"


def texts(items: Items, kind: str) -> list[str]:
    """The texts of the items of a kind."""
    return [item["text"] for item in items if item["kind"] == kind]


def settled(count: int) -> Callable[[Items], bool]:
    """Return a check that all is recorded, with so many agent messages."""

    def holds(items: Items) -> bool:
        exact = [i for i in items if i["kind"] == "agent_message" and i["source"] == "rollout"]
        live = any(item["partial"] or item["source"] == "link" for item in items)
        return len(exact) == count and not live

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
        "run exec >&2; seq 3; echo oops; exit 3",
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
        assert call["command"] == "exec >&2; seq 3; echo oops; exit 3"
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
        await server.raw("y")
        items = await until(server, settled(1))
        [given] = [item for item in items if item["kind"] == "approval"]
        told = (given["command"], given["decision"], given["partial"], given["source"])
        assert told == ("date -u", "approved", False, "rollout")


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


class Followed:
    """What /transcript/events told: each version of each item."""

    def __init__(self) -> None:
        self.versions: list[dict[str, Any]] = []
        self.items: dict[int, dict[str, Any]] = {}
        """The items as the events left them, by their ids."""
        self._changed = asyncio.Condition()

    async def read(self, server: Server) -> None:
        """Read the events until they end."""
        async with server.client.get(server.url + "/transcript/events") as response:
            while frame := await response.content.readuntil(b"\n\n"):
                fields = frame.decode().strip().split("\n")
                if len(fields) == 3:
                    async with self._changed:
                        self._take(fields[1] == "event: item", json.loads(fields[2][6:]))
                        self._changed.notify_all()

    def _take(self, is_item: bool, data: dict[str, Any]) -> None:
        self.items.pop(data["id"], None)
        if is_item:
            self.versions.append(data)
            self.items[data["id"]] = data

    async def until(self, holds: Callable[[Items], bool]) -> Items:
        """Wait until the items satisfy a function."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: holds(self.now))
        return self.now

    @property
    def now(self) -> Items:
        """The items in order."""
        return [self.items[number] for number in sorted(self.items)]

    def of(self, kind: str) -> Items:
        """The versions of the items of a kind, in order."""
        return [version for version in self.versions if version["kind"] == kind]


@asynccontextmanager
async def following(server: Server) -> AsyncIterator[Followed]:
    """The events from now on."""
    followed = Followed()
    task = asyncio.create_task(followed.read(server))
    yield followed
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


LINKED = pytest.mark.parametrize("version", ["0.142.0", "0.158.0", None])
OUTPUT = "line 1\nline 2\nline 3\n"
COUNT = "for n in 1 2 3; do echo line $n; sleep 0.4; done"


@LINKED
async def test_a_tool_call_is_seen_as_it_runs(
    version: str | None, scratch: Path, model: ScriptedModel, codex: Callable[[str | None], Path]
) -> None:
    prepare(codex, version)
    async with codex_server(scratch, model, "--codex-link", "on", version=version) as (server, _):
        await server.ready()
        async with following(server) as followed:
            await server.send(f"run {COUNT}")
            items = await followed.until(ended)
            calls = [call for call in followed.of("tool_call") if call["command"] == COUNT]
            assert {call["id"] for call in calls} == {calls[-1]["id"]}
            assert (calls[0]["status"], calls[0]["partial"]) == ("running", True)
            grown = [call["output"] for call in calls if call["status"] == "running"]
            assert len(set(grown)) >= 3, grown
            assert all(part in OUTPUT for part in grown)  # Codex may keep back its first words
            assert grown == sorted(grown, key=len)
            last = calls[-1]
            assert (last["status"], last["exit_code"], last["source"]) == (
                "completed",
                0,
                "rollout",
            )
            assert last["output"] == OUTPUT
            assert last["duration_ms"] > 0
            assert {version["source"] for version in followed.versions} <= {"link", "rollout"}
            assert {item["source"] for item in items} == {"rollout"}
            assert items == await transcript(server)


@LINKED
async def test_everything_is_told_once_and_stays_what_it_was(
    version: str | None, scratch: Path, model: ScriptedModel, codex: Callable[[str | None], Path]
) -> None:
    prepare(codex, version)
    steps = [{"step": "look", "status": "in_progress"}, {"step": "act", "status": "pending"}]
    busy: Reply = [
        Think("**Planning**\n\nA little."),
        Say("I begin."),
        Call("update_plan", {"explanation": "why", "plan": steps}),
        Shell("sleep 0.5; echo one"),
        Shell("sleep 0.2; echo two"),
        Say("Two run."),
    ]
    answer = model.answer

    def answering(request: Request) -> Reply:
        if request.tool_output is not None:
            return [Say("Both ran.")]
        return busy if request.prompt == "busy" else answer(request)

    model.answer = answering
    async with codex_server(scratch, model, "--codex-link", "on", version=version) as (server, _):
        await server.ready()
        async with following(server) as followed:
            for prompt, texts_so_far in (("busy", 3), ("slow 20", 4)):
                await server.turn(prompt)
                items = await followed.until(settled(texts_so_far))
            recorded = await followed.until(ended)
        assert [i["event"] for i in recorded if i["kind"] == "turn"] == ["started", "completed"] * 2
        [slow] = [step.text for step in model.replies[-1] if isinstance(step, Say)]
        assert texts(items, "agent_message") == ["I begin.", "Two run.", "Both ran.", slow]
        assert texts(items, "reasoning") == ["**Planning**\n\nA little."]
        assert [i["steps"] for i in items if i["kind"] == "plan"] == [steps]
        calls = [i for i in items if i["kind"] == "tool_call"]
        assert [call["output"] for call in calls] == ["one\n", "two\n"]
        assert {item["source"] for item in recorded} == {"rollout"}
        assert {version["source"] for version in followed.versions} == {"link", "rollout"}
        growing = [text["text"] for text in followed.of("agent_message") if text["partial"]]
        assert len([text for text in growing if text and slow.startswith(text)]) > 3, growing


@pytest.mark.parametrize("link", ["off", "on"])
@pytest.mark.parametrize("what", ["command", "patch"])
async def test_a_dialog_is_announced_when_it_opens_and_when_it_closes(
    link: str,
    what: str,
    scratch: Path,
    model: ScriptedModel,
    codex: Callable[[str | None], Path],
) -> None:
    prepare(codex, None)
    options = ("--codex-link", link)
    async with codex_server(scratch, model, *options, approvals=True) as (server, home):
        await server.ready()
        async with following(server) as followed:
            await server.send("approve date -u" if what == "command" else "patch new.txt")
            await followed.until(lambda items: any(i.get("dialog") for i in items))
            dialog = (await server.get("/approval"))["open"]
            [asked] = [item for item in followed.now if item.get("dialog")]
            assert (asked["dialog"], asked["title"]) == (dialog["id"], dialog["title"])
            told = (asked["decision"], asked["partial"], asked["source"])
            assert told == ("pending", True, "link" if link == "on" else "screen")
            body = {"id": dialog["id"], "choice": dialog["choices"][0]["id"]}
            async with server.client.post(server.url + "/approval", json=body) as response:
                assert response.status == 200, await response.text()
            items = await followed.until(ended)
            versions = [version for version in followed.of("approval") if version["dialog"]]
            assert versions[-1]["decision"] == "answered"
            assert not versions[-1]["partial"]
            kept = [item["decision"] for item in items if item["kind"] == "approval"]
            assert kept == (["approved"] if what == "command" else [])
            assert {item["source"] for item in items} == {"rollout"}
            assert (home.workdir / "new.txt").exists() == (what == "patch")


async def test_a_link_that_is_lost_within_a_turn_loses_and_doubles_nothing(
    scratch: Path, model: ScriptedModel, codex: Callable[[str | None], Path]
) -> None:
    prepare(codex, None)
    async with codex_server(scratch, model, "--codex-link", "on") as (server, _):
        await server.ready()
        await server.turn("markdown")
        async with following(server) as followed:
            await server.send("slow 100")
            await followed.until(
                lambda items: items[-1]["partial"] and "word11" in items[-1]["text"]
            )
            os.kill(app_servers(scratch)[0], signal.SIGKILL)
            await server.wait_status("running", "stable", since=4)
            before = await followed.until(lambda items: not any(i["partial"] for i in items))
            await server.turn("hello")
            items = await followed.until(ended)
        assert items[: len(before)] == before
        assert texts(items, "user_message") == ["markdown", "slow 100", "hello"]
        said = [step.text for reply in model.replies for step in reply if isinstance(step, Say)]
        assert texts(items, "agent_message") == [said[0], said[-1]]
        assert {item["source"] for item in items} == {"rollout"}


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
