"""When a fresh session takes the place of another, what was said before is set aside: clients see
what the agent knows, now and after the next start, and are told where the rest is."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.codex import codex_binary
from tests.support.lasting import Workspace, kill, workspace
from tests.support.rollout_files import insert_line
from tests.support.server import Server, scratch_folder

pytestmark = pytest.mark.codex
OLD = "0.125.0"


@pytest.fixture
async def place() -> AsyncIterator[Workspace]:
    try:
        codex_binary(OLD)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with scratch_folder() as folder:
        async with workspace(folder) as made:
            yield made


async def conversation(server: Server) -> list[str]:
    return [text.removeprefix("• ") for _, text in (await server.messages())[1:]]


def both(*said: str) -> list[str]:
    return [f"echo {text}" for text in said for _ in range(2)]


async def talk(place: Workspace, *said: str) -> str:
    """A run with these turns; the session."""
    async with place.daemon() as server:
        await server.ready()
        for text in said:
            await server.turn(f"echo {text}")
        await server.wait_for_log("Session tracked")
    assert place.session is not None
    return place.session


def kept_in(notice: str) -> list[str]:
    """What the file that a notice names holds."""
    found = re.search(r"is kept in (/.+)$", notice)
    assert found, notice
    messages = json.loads(Path(found[1]).read_text())["messages"]
    return [message["message"].removeprefix("• ") for message in messages[1:]]


async def says(server: Server, *said: str) -> None:
    """Wait until the conversation is this."""
    expected = [("user", "agent")[n % 2] for n in range(2 * len(said))]
    await server.until(
        lambda: [role for role, _ in server.told[1:]] == expected and server.status_now == "stable",
        f"{said}",
    )
    assert await conversation(server) == both(*said)


async def knows(place: Workspace, server: Server, *said: str) -> None:
    """The model knows this, and no more."""
    await server.turn("echo the end")
    asked = str(place.model.requests[-1].body["input"])
    found = re.findall(r"'echo (\w+)'", asked)
    assert list(dict.fromkeys(found)) == list(said)


def with_an_older_codex(place: Workspace) -> None:
    place.version = OLD


def with_a_binary_line(place: Workspace) -> None:
    place.version = OLD
    insert_line(place.home.rollouts()[0], b"\xff\xfe\x00\x01\n")


@pytest.mark.parametrize("break_it", [with_an_older_codex, with_a_binary_line])
@pytest.mark.parametrize("state", ["kept", "lost"])
async def test_a_session_that_codex_refuses(
    place: Workspace, break_it: Callable[[Workspace], None], state: str
) -> None:
    if break_it is with_a_binary_line:
        place.version = OLD
    session = await talk(place, "one", "two")
    if state == "lost":
        for file in (place.session_file.parent / "state").iterdir():
            file.unlink()
    break_it(place)
    async with place.daemon("--prompt", "echo three") as server:
        await says(server, "three")
        (notice,) = server.notices
        assert "could not be resumed, a fresh one is started" in notice
        assert kept_in(notice) == both("one", "two")
        await server.wait_for_log("Session tracked")
        about = await server.get("/session")
        assert (about["session_id"], about["resumed"]) == (place.session, False)
        assert place.session != session
        items = [item async for item in server.items()]
        said = [item["text"] for item in items if item["kind"].endswith("_message")]
        assert said == both("three")
    async with place.daemon("--prompt", "echo three") as server:
        await server.ready()
        assert await conversation(server) == both("three")
        assert server.notices == []
        await knows(place, server, "three")
    assert (
        session in place.session_file.with_name(place.session_file.name + ".replaced").read_text()
    )


async def test_killed_as_soon_as_it_is_set_aside(place: Workspace) -> None:
    await talk(place, "one")
    place.version = OLD
    async with place.daemon() as server:
        await server.wait_for_log("is kept in")
        await kill(server)
    async with place.daemon("--prompt", "echo two") as server:
        await says(server, "two")
        await server.wait_for_log("Session tracked")
    async with place.daemon() as server:
        await server.ready()
        assert await conversation(server) == both("two")
    asides = (place.session_file.parent / "state").glob("*.json.*Z")
    assert both("one") in [kept_in(f"is kept in {aside}") for aside in asides]


async def test_another_session_in_the_terminal(place: Workspace) -> None:
    """`/new`: told at once, set aside at the next start."""
    async with place.daemon(compare=False) as server:
        await server.ready()
        await server.turn("echo one")
        await server.wait_for_log("Session tracked")
        session = place.session
        await server.raw("/new")
        await server.wait_for_screen("start a new chat")
        await server.raw("\r")
        await server.wait_for_screen("Ask Codex", gone="echo one")
        await server.turn("echo two")
        await server.until(lambda: bool(server.notices), "the notice")
        assert "in another session now" in server.notices[0]
        assert str(session) in server.notices[0]
        assert await conversation(server) == both("one", "two")
    async with place.daemon(compare=False) as server:
        await server.ready()
        assert await conversation(server) == both("two")
        (notice,) = server.notices
        assert kept_in(notice) == both("one", "two")
        await knows(place, server, "two")
    async with place.daemon(compare=False) as server:
        await server.ready()
        assert await conversation(server) == [*both("two"), *both("the end")]
        assert server.notices == []


async def test_a_fork_in_the_terminal_goes_on(place: Workspace) -> None:
    async with place.daemon(compare=False) as server:
        await server.ready()
        await server.turn("echo one")
        await server.wait_for_log("Session tracked")
        session = place.session
        await server.raw("/fork")
        await server.wait_for_screen("fork the current chat")
        await server.raw("\r")
        await server.wait_for_screen("Fork created")  # until then the TUI is in the session before
        await server.turn("echo two")
        await server.wait_for_log(f"the folder's session before was {session}")
        assert server.notices == []
    async with place.daemon(compare=False) as server:
        await server.ready()
        assert await conversation(server) == both("one", "two")
        assert server.notices == []
        await knows(place, server, "one", "two")


async def test_a_fresh_start_that_was_asked_for(place: Workspace) -> None:
    session = await talk(place, "one")
    async with place.daemon("--no-continue", "--prompt", "echo two") as server:
        await says(server, "two")
        assert kept_in(server.notices[0]) == both("one")
        await server.wait_for_log("Session tracked")
    async with place.daemon() as server:
        await server.ready()
        assert await conversation(server) == both("two")
        assert server.notices == []
    async with place.daemon("--session", session) as server:
        await server.ready()
        assert await conversation(server) == both("one")
        assert kept_in(server.notices[0]) == both("two")
        await knows(place, server, "one")


async def test_a_state_file_of_another_folder(place: Workspace) -> None:
    place.options = ["--state-file", str(place.home.home / "state.json")]
    await talk(place, "one")
    other = place.home.home / "other"
    config = place.home.codex_home / "config.toml"
    config.write_text(f'{config.read_text()}\n[projects."{other}"]\ntrust_level = "trusted"\n')
    async with place.daemon("--prompt", "echo two", workdir=other) as server:
        await says(server, "two")
        assert kept_in(server.notices[0]) == both("one")
        await server.wait_for_log("Session tracked")
    async with place.daemon(workdir=other) as server:
        await server.ready()
        assert await conversation(server) == both("two")
        assert server.notices == []
