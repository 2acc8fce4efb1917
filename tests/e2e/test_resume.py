"""A real Codex goes on where it was, whatever happened to the daemon and to itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agentapi.agents.codex.resume.sessions import SessionTracker
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
        assert place.session is None
        await server.turn("echo late")
        session = await learned(server, place)
    async with place.daemon() as server:
        await server.ready()
        assert [text for _, text in await server.messages()][1:] == ["echo late", "• echo late"]
        assert (await server.get("/session"))["session_id"] == session
        await server.turn("echo later")
        assert "echo late" in prompts_before(place)


async def test_a_stale_id_ends_in_a_fresh_session_with_the_prompt(place: Workspace) -> None:
    stale = "01a1fddc-2eb3-7532-99ae-a2decbc73a2e"
    place.session_file.parent.mkdir(parents=True)
    place.session_file.write_text(f"/other/place|{stale}\n{place.home.workdir}/|{stale}\n")
    async with place.daemon("--prompt", "echo anew") as server:
        assert [text for _, text in await answered(server, 3)][1:] == ["echo anew", "• echo anew"]
        assert any(stale in notice and "fresh" in notice for notice in server.notices)
        session = await learned(server, place)
        assert (await server.get("/session"))["resumed"] is False
    assert place.tracked() == {"/other/place": stale, str(place.home.workdir): session}
    kept = place.session_file.with_name(place.session_file.name + ".replaced").read_text()
    assert kept.endswith(f" {place.home.workdir}|{stale}\n")


@pytest.mark.parametrize("content", [b"", b"{", b'{"type":"session_meta","payload":{}}\n'])
async def test_a_broken_rollout_ends_in_a_fresh_session(place: Workspace, content: bytes) -> None:
    async with place.daemon("--prompt", "echo one") as server:
        await answered(server, 3)
        session = await learned(server, place)
    (rollout,) = place.home.rollouts()
    rollout.write_bytes(content)
    async with place.daemon("--prompt", "echo one") as server:
        assert [text for _, text in await answered(server, 3)][1:] == ["echo one", "• echo one"]
        assert any("empty or broken" in notice for notice in server.notices)
        assert any("is kept in" in notice for notice in server.notices)
        assert await learned(server, place) != session
    assert rollout.read_bytes() == content


async def test_a_codex_that_cannot_resume_does_not_end_the_server(place: Workspace) -> None:
    """The record looks whole to us and Codex refuses it all the same."""
    async with place.daemon("--prompt", "echo one") as server:
        await answered(server, 3)
        session = await learned(server, place)
    real = codex_binary(place.version)
    refusing = place.home.home / "codex"
    refusing.write_text(
        f'#!/bin/sh\ncase " $* " in *" resume "*)\n'
        f'  echo "ERROR: No saved session found with ID $0"; exit 1;;\nesac\nexec "{real}" "$@"\n'
    )
    refusing.chmod(0o755)
    async with place.daemon("--codex", str(refusing), "--prompt", "echo two") as server:
        told = await answered(server, 3)
        assert [text for _, text in told][1:] == ["echo two", "• echo two"]
        assert any("could not be resumed" in notice for notice in server.notices)
        assert (await server.get("/session"))["resumed"] is False
        assert await learned(server, place) != session


async def test_no_continue_starts_afresh(place: Workspace) -> None:
    async with place.daemon("--prompt", "echo one") as server:
        await answered(server, 3)
        session = await learned(server, place)
    async with place.daemon("--prompt", "echo one", "--no-continue") as server:
        assert [text for _, text in await answered(server, 3)][1:] == ["echo one", "• echo one"]
        assert await learned(server, place) != session


async def test_a_session_in_use_is_waited_for(place: Workspace) -> None:
    async with place.daemon("--prompt", "echo one") as first:
        await answered(first, 3)
        session = await learned(first, place)
        async with place.daemon("--prompt", "echo two") as second:
            await second.until(
                lambda: any("in use by process" in text for text in second.notices), "the warning"
            )
            assert await second.status() == "running"
            assert await first.turn("echo still here") == "• echo still here"
            assert place.session == session
            assert await first.stop() == 0
            await second.ready()
            about = await second.get("/session")
            assert (about["session_id"], about["resumed"]) == (session, True)
            assert await second.turn("echo from the second") == "• echo from the second"
            assert "echo still here" in prompts_before(place)


async def test_a_second_server_in_the_folder_says_who_has_it(place: Workspace) -> None:
    async with place.daemon() as first:
        await first.ready()
        async with place.daemon() as second:
            owner = f"another agentapi codex runs in {place.home.workdir} (process"
            assert any(
                notice.startswith(f"{owner} {first.process.pid}, running since 20")
                and f"on port {first.port}" in notice
                for notice in second.notices
            ), second.notices
        state = SessionTracker(place.session_file, place.home.workdir).data_file("state.json")
        assert state.with_name(state.name + ".lock").exists()
        async with place.daemon("--state-file", str(state), wait=False) as third:
            assert await third.ended() == 2
            assert f"is in use by another agentapi (process {first.process.pid}" in third.log


async def test_two_folders_at_once(place: Workspace) -> None:
    other = place.home.home / "an other | [a-z]*"
    config = place.home.codex_home / "config.toml"
    trust = f'\n[projects."{other}"]\ntrust_level = "trusted"\n'
    config.write_text(config.read_text() + trust)
    link = place.home.home / "link"
    link.symlink_to(other)
    async with (
        place.daemon("--prompt", "echo one") as first,
        place.daemon("--prompt", "echo two", workdir=other) as second,
    ):
        await answered(first, 3)
        await answered(second, 3)
        await learned(first, place)
        await second.wait_for_log("Session tracked")
    sessions = place.tracked()
    assert set(sessions) == {str(place.home.workdir), str(other)}
    assert len(set(sessions.values())) == 2
    async with place.daemon(workdir=link) as second:
        await second.ready()
        assert (await second.get("/session"))["session_id"] == sessions[str(other)]
        assert [text for _, text in await second.messages()][1:] == ["echo two", "• echo two"]


async def test_a_home_that_cannot_be_written_costs_the_memory_and_no_more(
    place: Workspace,
) -> None:
    """A file stands where the folder should be: that stops root, too."""
    place.session_file.parent.write_text("in the way")
    async with place.daemon("--prompt", "echo one") as server:
        told = await answered(server, 3)
        assert [text for _, text in told][1:] == ["echo one", "• echo one"]
        assert any("cannot be tracked" in notice for notice in server.notices)
        await server.wait_for_log("cannot be tracked in")
        assert (await server.get("/session"))["session_id"] is not None
    assert place.session_file.parent.read_text() == "in the way"


async def test_a_lost_state_file_comes_back_from_the_rollout(place: Workspace) -> None:
    async with place.daemon("--prompt", "echo one") as server:
        await answered(server, 3)
        await server.turn("echo two")
        await learned(server, place)
    for file in (place.session_file.parent / "state").iterdir():
        file.unlink()
    async with place.daemon("--prompt", "echo one") as server:
        await server.ready()
        assert [text for _, text in await server.messages()][1:] == [
            *("echo one", "echo one"),
            *("echo two", "echo two"),
        ]
        await server.turn("echo three")
        assert len(await server.messages()) == 7
