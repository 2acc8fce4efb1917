"""The life of a link in `agentapi codex`: what follows a restart, what a killed daemon leaves, what
a wrapper wraps, and what `GET /session` says of it."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path

import pytest

from agentapi.agents.codex.link.folder import PREFIX
from agentapi.agents.codex.resume.sessions import SessionTracker
from agentapi.scripted import ScriptedModel
from agentapi.terminal.recording import RESTART_MARKER, read_recording
from tests.support.codex import codex_binary, pinned_version
from tests.support.lasting import Workspace, kill, workspace
from tests.support.server import Server, all_gone, codex_server, processes_of, scratch_folder

pytestmark = pytest.mark.codex


def processes_with(place: Workspace, word: str) -> list[tuple[int, list[str]]]:
    """The native Codexes with this word among their first arguments: pid and command line."""
    found = []
    for pid in processes_of(place.home.home):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if Path(f"/proc/{pid}/exe").resolve().name == "codex" and word in words:
            found.append((pid, words))
    return found


def link_folder(place: Workspace) -> Path:
    """Where the living app-server's socket is."""
    ((_, words),) = processes_with(place, "app-server")
    return Path(words[words.index("--listen") + 1].removeprefix("unix://")).parent


async def lose_link(place: Workspace, server: Server) -> None:
    """Kill the app-server and wait until Codex is ready again."""
    since = len(server.statuses)
    ((pid, _),) = processes_with(place, "app-server")
    os.kill(pid, signal.SIGKILL)
    await server.wait_status("running", "stable", since=since)


async def test_after_a_restart_everything_follows_the_new_process(place: Workspace) -> None:
    recording = place.home.home / "session.cast"
    tracker = SessionTracker(place.session_file, place.home.workdir)
    async with place.daemon("--record", str(recording)) as server:
        await server.ready()
        await server.turn("echo before")
        session, agent = place.session, tracker.previous_agent()
        assert session and agent
        await lose_link(place, server)

        assert (await server.get("/session"))["link"] == "on"
        assert tracker.previous_agent() not in (agent, None)
        await server.turn("echo after")
        assert "echo before" in str(place.model.requests[-1].body["input"])
        assert (await server.get("/session"))["session_id"] == session == place.session
        items = (await server.get("/transcript"))["items"]
        typed = [item["text"] for item in items if item["kind"] == "user_message"]
        assert typed == ["echo before", "echo after"]
        users = [text for role, text in await server.messages() if role == "user"]
        assert users == typed

        # Only the new process writes the next session.
        await server.raw("/new")
        await server.wait_for_screen("start a new chat")
        await server.raw("\r")
        await server.wait_for_screen("Ask Codex", gone="echo after")
        await server.turn("echo elsewhere")
        await server.wait_for_log(f"the folder's session before was {session}")
        assert place.session not in (session, None)
    events = read_recording(recording).events
    assert [event.data for event in events if event.kind == "m"] == [RESTART_MARKER]
    times = [event.seconds for event in events]
    assert times == sorted(times)
    place_of_mark = next(i for i, event in enumerate(events) if event.kind == "m")
    parts = (events[:place_of_mark], events[place_of_mark:])
    before, after = ("".join(e.data for e in part if e.kind == "o") for part in parts)
    assert "echo before" in before
    assert "echo after" not in before
    assert "echo after" in after


async def test_the_session_is_known_before_the_first_prompt(place: Workspace) -> None:
    async with place.daemon() as server:
        await server.ready()
        about = await server.get("/session")
        assert about["agent_version"] == pinned_version()
        assert about["session_id"] is not None
        assert place.session is None  # nothing to resume yet
        await server.turn("echo first")
        assert (await server.get("/session"))["session_id"] == about["session_id"]
        await server.wait_for_log(f"Session tracked: {about['session_id']}")


async def test_a_killed_daemon_leaves_nothing_that_its_successor_does_not_remove(
    place: Workspace,
) -> None:
    async with place.daemon() as server:
        await server.ready()
        left = link_folder(place)
        assert left.name.startswith(PREFIX)
        assert left.is_dir()
        await server.send("sleep 600")
        await server.wait_for_screen("sleep 600")
        await kill(server)
    await all_gone(place.home.home)  # the command, too
    async with place.daemon() as server:
        await server.ready()
        assert not left.exists()
        mine = link_folder(place)
        async with place.daemon("--codex-link", "on", workdir=place.home.home / "other") as other:
            await other.until(lambda: bool(other.events), "the first event")
            assert mine.is_dir()
    assert not mine.exists()


@pytest.mark.parametrize("version", [None, "0.125.0", "0.80.0"])
async def test_no_codex_outlives_a_killed_daemon_without_a_link(version: str | None) -> None:
    try:
        codex_binary(version)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with scratch_folder() as folder:
        async with workspace(folder, version) as place:
            async with place.daemon("--codex-link", "off") as server:
                await server.ready()
                await server.send("slow 600")
                await server.until(lambda: server.status_now == "running", "the turn")
                await kill(server)
            await all_gone(folder)


async def test_a_wrapper_wraps_the_app_server_and_the_tui(place: Workspace) -> None:
    log, wrapper = place.home.home / "wrapped.log", place.home.home / "wrapper"
    wrapper.write_text(
        "#!/bin/sh\n"
        f"printf '%s\\n' \"$*\" >> '{log}'\n"
        'while [ "$1" != -- ]; do shift; done; shift\n'
        'WRAPPED=yes exec "$@"\n'
    )
    wrapper.chmod(0o755)
    async with place.daemon("--wrap", f"{shlex.quote(str(wrapper))} --allow 'a b' --") as server:
        await server.ready()
        assert (await server.get("/session"))["link"] == "on"
        await server.turn("echo wrapped")
        calls = log.read_text().splitlines()
        command = f"--allow a b -- {codex_binary()}"
        assert [call.split("unix://")[0].removesuffix(" ") for call in calls] == [
            f"{command} app-server --listen",
            f"{command} --remote",
        ]
        for word in ("app-server", "--remote"):
            ((pid, _),) = processes_with(place, word)
            assert b"\0WRAPPED=yes\0" in b"\0" + Path(f"/proc/{pid}/environ").read_bytes()


@pytest.mark.parametrize(
    ("version", "options", "wanted"),
    [
        (None, ["--codex-link", "auto"], "on"),
        (None, ["--codex-link", "off"], "off: switched off"),
        (None, ["--", "-c", "x=1", "--no-daemon"], "off: the command line has --no-daemon"),
        ("0.125.0", [], "off: this version of Codex has no --remote unix://"),
        ("0.125.0", ["--verbatim"], "off: --verbatim"),
    ],
    ids=["auto", "off", "no-daemon", "0.125.0", "verbatim"],
)
async def test_the_session_says_whether_there_is_a_link_and_why_not(
    version: str | None, options: list[str], wanted: str
) -> None:
    try:
        codex_binary(version)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with scratch_folder() as folder:
        async with workspace(folder, version) as place, place.daemon(*options) as server:
            await server.ready()
            assert (await server.get("/session"))["link"] == wanted


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ([], "off: switched off"),
        (["--codex-link"], "on"),
        (["--codex-link", "auto", "--verbatim"], "off: --verbatim"),
    ],
    ids=["default", "bare", "verbatim"],
)
async def test_the_session_of_agentapi_server_says_so_too(options: list[str], wanted: str) -> None:
    with scratch_folder() as folder:
        async with ScriptedModel() as model:
            arguments = ["--no-daemon"] if "--verbatim" in options else []
            async with codex_server(folder, model, *options, arguments=arguments) as (server, _):
                await server.ready()
                assert (await server.get("/session"))["link"] == wanted


async def test_on_and_verbatim_is_a_usage_error(place: Workspace) -> None:
    async with place.daemon("--verbatim", wait=False) as server:
        assert await server.process.wait() == 2
        await server.ended()
        assert "--verbatim and --codex-link on exclude each other" in server.log
