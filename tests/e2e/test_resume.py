"""A real Codex goes on where it was, whatever happened to the daemon and to itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.codex import codex_binary
from tests.support.lasting import Workspace, workspace
from tests.support.server import Server, scratch_folder

pytestmark = pytest.mark.codex


@pytest.fixture(params=[None, "0.125.0"], ids=["pinned", "0.125.0"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Workspace]:
    try:
        codex_binary(request.param)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with scratch_folder() as folder:
        async with workspace(folder, request.param) as made:
            yield made


async def answered(server: Server, messages: int) -> list[tuple[str, str]]:
    """Wait for the end of the turn that makes the conversation this long."""
    await server.until(
        lambda: len(server.told) >= messages and server.status_now == "stable",
        f"{messages} messages",
    )
    return await server.messages()


async def learned(server: Server, place: Workspace) -> str:
    await server.wait_for_log("Session tracked")
    session = (await server.get("/session"))["session_id"]
    assert session == place.session
    return str(session)


def prompts_before(place: Workspace) -> str:
    """What the model was given with its last request, as text."""
    return str(place.model.requests[-1].body["input"])


async def test_a_prompt_a_restart_and_a_follow_up(place: Workspace) -> None:
    async with place.daemon("--prompt", "echo the first") as server:
        before = await answered(server, 3)
        assert before[1:] == [("user", "echo the first"), ("agent", "• echo the first")]
        session = await learned(server, place)
        assert (await server.get("/session"))["resumed"] is False
    async with place.daemon("--prompt", "echo the first") as server:
        await server.ready()
        assert await server.messages() == before
        about = await server.get("/session")
        assert (about["session_id"], about["resumed"]) == (session, True)
        assert await server.turn("echo the second") == "• echo the second"
        assert len(await server.messages()) == 5
        assert "echo the first" in prompts_before(place)
        assert server.notices == []
    assert [r.prompt for r in place.model.requests if r.tool_output is None].count(
        "echo the first"
    ) == 1
    assert place.session == session
    assert len(place.home.rollouts()) == 1


async def test_without_a_prompt_the_session_is_learned_later(place: Workspace) -> None:
    async with place.daemon() as server:
        await server.ready()
        assert (await server.get("/session"))["session_id"] is None
        await server.turn("echo late")
        session = await learned(server, place)
    async with place.daemon() as server:
        await server.ready()
        assert [text for _, text in await server.messages()][1:] == ["echo late", "• echo late"]
        assert (await server.get("/session"))["session_id"] == session
        await server.turn("echo later")
        assert "echo late" in prompts_before(place)
