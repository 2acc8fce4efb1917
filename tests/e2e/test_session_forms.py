"""A real Codex's session is found in every form, and restored as the model knows it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.codex import codex_binary
from tests.support.lasting import Workspace, kill, workspace
from tests.support.rollout_files import cut, pack
from tests.support.server import Server, scratch_folder

pytestmark = pytest.mark.codex

ESC, ENTER, CLEAR = "\x1b", "\r", "\x15"


@pytest.fixture(params=["on", "off"], ids=["linked", "alone"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Workspace]:
    """The pinned version."""
    with scratch_folder() as folder:
        async with workspace(folder) as made:
            made.options = ["--codex-link", request.param]
            yield made


@pytest.fixture
async def old(request: pytest.FixtureRequest) -> AsyncIterator[Workspace]:
    """Another version, without the link."""
    try:
        codex_binary(request.param)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with scratch_folder() as folder:
        async with workspace(folder, request.param) as made:
            yield made


async def conversation(server: Server) -> list[str]:
    """What both sides said, as clients are told, without the marks of the screen."""
    return [text.removeprefix("• ") for _, text in (await server.messages())[1:]]


async def transcript(server: Server) -> list[tuple[int, str]]:
    items: list[dict[str, Any]] = [item async for item in server.items()]
    return [(i["id"], i["text"]) for i in items if i["kind"].endswith("_message")]


def both(*said: str) -> list[str]:
    return [f"echo {text}" for text in said for _ in range(2)]


async def talk(server: Server, *said: str) -> None:
    """Some turns; the session is tracked after them."""
    for text in said:
        await server.turn(f"echo {text}")
    await server.wait_for_log("Session tracked")


async def rewind(server: Server, prompts: int = 1) -> None:
    """Take back the last exchanges by the keys of the TUI, and empty the composer."""
    followed = server.log.count("the transcript comes from")
    await server.raw(ESC)
    await server.wait_for_screen("esc again")
    await server.raw(ESC)
    await server.wait_for_screen("rewind")
    for _ in range(prompts - 1):
        await server.raw("h")
    await server.raw(ENTER)
    await server.wait_for_screen("reverted")
    await server.until(
        lambda: server.log.count("the transcript comes from") > followed, "the segment"
    )
    await server.raw(CLEAR)
    await server.wait_for_screen("Ask Codex")


def lose_state(place: Workspace) -> None:
    for file in (place.session_file.parent / "state").iterdir():
        file.unlink()


async def restored(place: Workspace, *said: str, exact: list[tuple[int, str]]) -> None:
    """With the state and without it a new run shows this, and the model knows nothing else."""
    for lost in (False, True):
        if lost:
            lose_state(place)
        async with place.daemon(compare=False) as server:
            await server.ready()
            about = await server.get("/session")
            assert (about["session_id"], about["resumed"]) == (place.session, True)
            assert await conversation(server) == both(*said)
            assert await transcript(server) == exact
            assert server.notices == []
            if lost:
                await server.turn("echo the end")
                asked = str(place.model.requests[-1].body["input"])
                assert [text for text in ALL if f"echo {text}'" in asked] == list(said)


ALL = ["one", "two", "three", "four", "five", "six"]


async def test_packed(place: Workspace) -> None:
    async with place.daemon() as server:
        await server.ready()
        await talk(server, "one", "two")
        exact = await transcript(server)
    (rollout,) = place.home.rollouts()
    pack(rollout)
    await restored(place, "one", "two", exact=exact)
    assert place.home.rollouts() == [rollout]


async def test_rewound(place: Workspace) -> None:
    """Live, then after a restart: the taken-back exchanges are gone, and nothing is to be sent
    again."""
    async with place.daemon(compare=False) as server:
        await server.ready()
        await talk(server, "one", "two", "three")
        session = place.session
        stays = (await transcript(server))[:4]
        await rewind(server)
        assert await transcript(server) == stays
        assert await server.phase() == "idle"
        await talk(server, "four")
        exact = await transcript(server)
        assert exact[:4] == stays
        assert [text for _, text in exact] == both("one", "two", "four")
        assert place.session == session
    await restored(place, "one", "two", "four", exact=exact)


async def test_rewound_several_times(place: Workspace) -> None:
    """From a segment, and to before a segment; then all of it is packed."""
    async with place.daemon(compare=False) as server:
        await server.ready()
        await talk(server, "one", "two", "three")
        await rewind(server)
        await talk(server, "four", "five")
        await rewind(server, 3)
        assert [text for _, text in await transcript(server)] == both("one")
        await talk(server, "six")
        exact = await transcript(server)
    for rollout in place.home.rollouts():
        pack(rollout)
    await restored(place, "one", "six", exact=exact)


async def test_rewound_and_killed_before_the_next_turn(place: Workspace) -> None:
    async with place.daemon(compare=False) as server:
        await server.ready()
        await talk(server, "one", "two")
        await rewind(server)
        exact = await transcript(server)
        await kill(server)
    await restored(place, "one", exact=exact)


async def test_a_damaged_archive_is_told_and_kept(place: Workspace) -> None:
    async with place.daemon() as server:
        await server.ready()
        await talk(server, "one")
        session = place.session
    packed = pack(place.home.rollouts()[0])
    cut(packed)
    damaged = packed.read_bytes()
    async with place.daemon("--prompt", "echo anew") as server:
        await server.until(lambda: len(server.told) == 3 and server.status_now == "stable")
        assert await conversation(server) == both("anew")
        (notice,) = server.notices
        assert f"the session {session} cannot be resumed" in notice
        assert "the packed file is damaged" in notice
        assert "is kept in" in notice
    assert packed.read_bytes() == damaged


async def test_archived(place: Workspace) -> None:
    """Codex asks whether to take it back."""
    async with place.daemon() as server:
        await server.ready()
        await talk(server, "one")
        exact = await transcript(server)
    await place.codex("archive", str(place.session))
    assert place.home.rollouts() == []
    async with place.daemon(compare=False) as server:
        await server.until(lambda: server.status_now == "stable")
        question = (await server.get("/approval"))["open"]
        assert "archived" in question["title"]
        assert question["choices"][0]["label"] == "Unarchive and resume"
        answer = {"id": question["id"], "choice": question["choices"][0]["id"]}
        await server.post("/approval", answer)
        await server.wait_for_log("Session tracked")
        assert await conversation(server) == both("one")
        await server.turn("echo two")
        assert [text for _, text in await transcript(server)] == both("one", "two")
        assert (await transcript(server))[:2] == exact
        assert server.notices == []


@pytest.mark.parametrize("old", ["0.158.0", "0.142.0", "0.125.0"], indirect=True)
async def test_another_version_takes_back(old: Workspace) -> None:
    """Up to 0.142 in the same file."""
    async with old.daemon(compare=False) as server:
        await server.ready()
        await talk(server, "one", "two", "three")
        await server.raw(ESC)
        await server.wait_for_screen("esc again")
        await server.raw(ESC)
        await server.wait_for_screen("enter to edit" if old.version != "0.158.0" else "rewind")
        await server.raw(ENTER)
        taken_back = "reverted" if old.version == "0.158.0" else "› echo three\n"
        await server.wait_for_screen(taken_back, gone="T R A N S C R I P T")
        await server.raw(CLEAR)
        await talk(server, "four")
    for lost in (False, True):
        if lost:
            lose_state(old)
        async with old.daemon(compare=False) as server:
            await server.ready()
            assert await conversation(server) == both("one", "two", "four")
            assert server.notices == []
