"""Dialogs: the status is stable, the phase blocked, nothing but a key answers them."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any

import pytest

from agentapi.scripted import ScriptedModel
from tests.e2e.conftest import Kind, Talk
from tests.support.scenarios import as_login, as_outdated, as_repository, with_model
from tests.support.server import Sent, codex_server

pytestmark = [pytest.mark.codex, pytest.mark.asyncio(loop_scope="module")]

TRANSCRIPT = "\x14"
"""The key that puts a view of the whole conversation in place of the composer."""
REFUSED = "failed to send message: the agent asks a question that only the user can answer:\n"


@pytest.fixture(
    scope="module",
    params=[
        Kind(approvals=True),
        Kind(approvals=True, inline=True),
        Kind(approvals=True, rows=50),
        Kind("0.125.0", approvals=True),
        Kind("0.80.0", approvals=True),
    ],
    ids=str,
)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Codex in its read-only sandbox, asking on request."""
    found: Kind = request.param
    return found


async def open_approval(talk: Talk, prompt: str) -> int:
    """Ask for something that needs an approval; how many statuses there were before."""
    count = len(talk.server.statuses)
    assert await talk.server.send(prompt) == Sent(200)
    await talk.server.wait_status("running", "stable", since=count)
    assert await talk.server.phase() == "blocked"
    return count


async def test_an_approval_is_answered_by_a_key(talk: Talk) -> None:
    server, since = talk.server, len(talk.server.events)
    before = await open_approval(talk, "approve touch approved")
    refused = await server.send("tell me your name")
    assert refused.status == 500
    assert refused.error.startswith(REFUSED)
    assert "touch approved" in refused.error
    assert "Yes" in refused.error
    assert await server.phase() == "blocked"
    assert server.statuses[before:] == ["running", "stable"]
    assert not (talk.home.workdir / "approved").exists()
    await server.raw("y")
    await server.wait_status("running", "stable", "running", "stable", since=before)
    assert (talk.home.workdir / "approved").exists()
    assert "tell me your name" not in str(talk.prompts)
    role, text = (await server.messages())[-1]
    assert role == "agent"
    assert "✔ You approved codex to run touch approved" in text
    assert "The command has finished" in text
    assert "Would you like" not in text
    talk.check(since)


async def test_an_answer_by_call_is_over_when_it_says_so(talk: Talk) -> None:
    server = talk.server
    for label in ("Yes, proceed", "No, and tell"):
        before = await open_approval(talk, "approve touch called")
        dialog = (await server.get("/approval"))["open"]
        choice = next(one["id"] for one in dialog["choices"] if one["label"].startswith(label))
        await server.post("/approval", {"id": dialog["id"], "choice": choice})
        assert (await server.get("/approval"))["open"] is None
        assert await server.phase() in ("working", "idle")
        assert "Would you like" not in (await server.messages())[-1][1]
        while await server.phase() != "idle":  # noqa: ASYNC110 - no event tells of every phase
            await asyncio.sleep(0.02)
        ends = (["running", "stable"] * 2, ["running", "stable"])
        await server.until(lambda n=before, e=ends: server.statuses[n:] in e, "the end")  # type: ignore[misc]


async def test_a_declined_command_does_not_run(talk: Talk) -> None:
    server = talk.server
    before = await open_approval(talk, "approve touch declined")
    await server.raw("\x1b")
    await server.until(lambda: "■ Conversation interrupted" in server.told[-1][1], "the mark")
    if await server.phase() != "idle":  # some versions tell that they work while they clear up
        await server.wait_status("running", "stable", "running", "stable", since=before)
    assert await server.phase() == "idle"
    assert "✗ You canceled the request to run touch declined" in server.told[-1][1]
    assert not (talk.home.workdir / "declined").exists()


async def test_nothing_is_typed_where_no_composer_is(talk: Talk) -> None:
    if not talk.kind.inline:
        return  # elsewhere this view ends otherwise, or does not hide the composer
    server, asked, events = talk.server, len(talk.model.requests), len(talk.server.events)
    await server.raw(TRANSCRIPT)
    await server.wait_for_screen("T R A N S C R I P T")
    sent = await server.send("1\ny\n")
    assert sent.status == 500
    assert sent.error.startswith("failed to send message: check: the screen shows no input box")
    await server.raw("q")
    await server.wait_for_screen("shortcuts")
    assert len(talk.model.requests) == asked
    assert [e.data for e in server.events[events:] if e.data.get("role") == "user"] == []


async def test_keys_do_not_come_between_a_message_and_its_enter(talk: Talk) -> None:
    server, before = talk.server, len(talk.server.statuses)
    sent, _ = await asyncio.gather(server.send("echo mine alone"), server.raw("yours"))
    assert sent == Sent(200), sent.error
    await server.wait_status("running", "stable", since=before)
    assert talk.prompts[-1] == "echo mine alone"
    assert (await server.messages())[-1] == ("agent", "• echo mine alone")


async def test_the_conversation_goes_on_after_dialogs(talk: Talk) -> None:
    assert await talk.turn("echo still here") == "• echo still here"


MODEL = {None: "gpt-5.5", "0.125.0": "gpt-5.2"}
"""A model that is old enough for a question, by version."""


@pytest.mark.parametrize("version", MODEL)
@pytest.mark.asyncio(loop_scope="function")
async def test_a_newer_model_is_a_question(
    scratch: Path, model: ScriptedModel, codex: Any, version: str | None
) -> None:
    codex(version)
    prepare = functools.partial(with_model, name=MODEL[version])
    async with codex_server(scratch, model, "-I", "hello", version=version, prepare=prepare) as (
        server,
        home,
    ):
        await server.ready()
        dialog = (await server.get("/approval"))["open"]
        assert dialog["kind"] == "other"
        [(keep, _)] = [
            (one["id"], one["label"]) for one in dialog["choices"] if "existing" in one["label"]
        ]
        refused = await server.send("y")
        assert refused.status == 500
        assert "Try new model" in refused.error
        body = {"id": dialog["id"], "choice": keep}
        async with server.client.post(server.url + "/approval", json=body) as response:
            assert response.status == 200, await response.text()
        await server.wait_status("running", "stable", "running", "stable")
        assert [request.prompt for request in model.requests] == ["hello"]
        assert MODEL[version] in home.codex_home.joinpath("config.toml").read_text()


@pytest.mark.parametrize("version", [None, "0.125.0", "0.80.0"])
@pytest.mark.asyncio(loop_scope="function")
async def test_a_screen_without_an_input_box_blocks(
    scratch: Path, model: ScriptedModel, codex: Any, version: str | None
) -> None:
    codex(version)
    async with codex_server(
        scratch, model, "-I", "hello", "--codex-link", "off", version=version, arguments=["resume"]
    ) as (server, _):
        await server.ready()
        dialog = (await server.get("/approval"))["open"]
        assert (dialog["kind"], dialog["choices"]) == ("other", [])
        assert "Resume a previous session" in dialog["reason"]
        refused = await server.send("y")
        assert refused.status == 500
        assert "Resume a previous session" in refused.error
        assert await server.phase() == "blocked"
        await server.raw("\x1b")  # a new session
        await server.wait_status("running", "stable", "running", "stable")
        assert [request.prompt for request in model.requests] == ["hello"]
        assert (await server.get("/approval"))["open"] is None


STARTUP: dict[str, dict[str, Any]] = {
    "trust": {"trusted": False, "prepare": as_repository},
    "update": {"prepare": as_outdated},
    "login": {"prepare": as_login},
}


@pytest.mark.parametrize("version", [None, "0.125.0", "0.80.0"])
@pytest.mark.parametrize(("name", "label"), [("trust", ""), ("update", "Skip")])
@pytest.mark.asyncio(loop_scope="function")
async def test_a_dialog_at_the_start_is_answered(
    scratch: Path, model: ScriptedModel, codex: Any, name: str, label: str, version: str | None
) -> None:
    codex(version)
    async with codex_server(scratch, model, "-I", "hello", version=version, **STARTUP[name]) as (
        server,
        _,
    ):
        await server.ready()
        dialog = (await server.get("/approval"))["open"]
        assert dialog["kind"] == name
        choice = next(one["id"] for one in dialog["choices"] if one["label"].startswith(label))
        body = {"id": dialog["id"], "choice": choice}
        async with server.client.post(server.url + "/approval", json=body) as response:
            assert response.status == 200, await response.text()
        await server.wait_status("running", "stable", "running", "stable")
        assert [request.prompt for request in model.requests] == ["hello"]


@pytest.mark.parametrize("version", [None, "0.125.0", "0.80.0"])
@pytest.mark.parametrize("name", STARTUP)
@pytest.mark.asyncio(loop_scope="function")
async def test_a_dialog_at_the_start_blocks(
    scratch: Path, model: ScriptedModel, codex: Any, name: str, version: str | None
) -> None:
    codex(version)
    async with codex_server(scratch, model, "-I", "hello", version=version, **STARTUP[name]) as (
        server,
        _,
    ):
        await server.ready()
        assert await server.phase() == "blocked"
        refused = await server.send("y")
        assert refused.status == 500
        assert refused.error.startswith(REFUSED)
        assert await server.phase() == "blocked"
        assert server.statuses == ["running", "stable"]
        assert [role for role, _ in await server.messages()] == ["agent"]
        assert model.requests == []
        if name == "login":
            return
        await server.raw("2\r" if name == "update" else "\r")
        await server.wait_status("running", "stable", "running", "stable")
        assert [role for role, _ in await server.messages()] == ["agent", "user", "agent"]
        assert [request.prompt for request in model.requests] == ["hello"]
        assert "Hello!" in (await server.messages())[-1][1]
