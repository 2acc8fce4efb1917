"""What becomes of a linked Codex when one of its processes dies or hangs: never an orphan, never a
TUI that does nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from agentapi.agents.codex.driver import CodexDriver
from agentapi.agents.codex.link import rpc
from agentapi.agents.registry import profile_for
from agentapi.model.conversation import Phase
from agentapi.model.errors import SendError
from agentapi.model.events import AgentText, Exited, UserText
from agentapi.scripted import ScriptedModel
from tests.support.codex import codex_binary, codex_home
from tests.support.lasting import Workspace, kill
from tests.support.linked import Linked, linked
from tests.support.server import Sent, all_gone, processes_of, runs_codex, scratch_folder

pytestmark = pytest.mark.codex


def app_servers(folder: Path) -> list[int]:
    """The native app-servers, not the programs around them."""
    found = []
    for pid in processes_of(folder):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended just now
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if words[1:2] == [b"app-server"]:
                found.append(pid)
    return found


async def restarted(talk: Linked, since: int) -> None:
    """Wait until it is ready again."""
    await talk.until(lambda: talk.phases_since(since)[-2:] == ["starting", "idle"], "the restart")


async def test_a_killed_app_server_is_started_again_with_the_session() -> None:
    with scratch_folder() as folder:
        async with linked(folder) as talk:
            await talk.turn("echo before")
            session, since = talk.driver.session_id, len(talk.events)
            (server,) = app_servers(folder)
            os.kill(server, signal.SIGKILL)
            await restarted(talk, since)
            assert talk.driver.session_id == session
            assert talk.driver.link == "on"
            assert "Codex is started again" in talk.notices[-1]
            told = [e for e in talk.events[since:] if isinstance(e, UserText | AgentText)]
            assert told == []
            assert await talk.turn("echo after") == "• echo after"
            assert "echo before" in str(talk.model.requests[-1].body["input"])
            assert server not in app_servers(folder)


async def test_a_turn_that_the_death_cuts_short_is_over() -> None:
    with scratch_folder() as folder:
        async with linked(folder) as talk:
            talk.model.hold()
            await talk.driver.send("hello")
            await talk.model.wait_until_held()
            since = len(talk.events)
            os.kill(app_servers(folder)[0], signal.SIGKILL)
            await restarted(talk, since)
            talk.model.release()
            assert await talk.turn("echo after") == "• echo after"


async def test_an_app_server_that_dies_again_and_again_is_given_up() -> None:
    with scratch_folder() as folder:
        async with linked(folder) as talk:
            for _ in range(3):
                since = len(talk.events)
                os.kill(app_servers(folder)[0], signal.SIGKILL)
                await restarted(talk, since)
            assert talk.driver.link.startswith("off: ")
            assert app_servers(folder) == []
            assert await talk.turn("echo alone") == "• echo alone"


async def test_a_server_that_hangs_is_noticed_by_the_next_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rpc, "CALL_LIMIT", 1.0)
    with scratch_folder() as folder:
        async with linked(folder) as talk:
            await talk.turn("echo before")
            since = len(talk.events)
            os.kill(app_servers(folder)[0], signal.SIGSTOP)
            with pytest.raises(SendError, match="not answered within 1 s"):
                await talk.driver.send("echo lost")
            await restarted(talk, since)
            assert await talk.turn("echo after") == "• echo after"
            assert "echo lost" not in [r.prompt for r in talk.model.requests]


async def test_the_end_of_the_tui_ends_the_app_server() -> None:
    with scratch_folder() as folder:
        async with linked(folder) as talk:
            talk.model.hold()
            await talk.driver.send("hello")
            await talk.model.wait_until_held()
            (ours,) = app_servers(folder)
            assert talk.tui.pid is not None
            os.kill(talk.tui.pid, signal.SIGKILL)
            await talk.until(lambda: talk.ended, "the end")
            ending = talk.events[-1]
            assert isinstance(ending, Exited)
            assert ending.failed
            await all_gone(folder)
            assert ours not in processes_of(folder)


async def test_no_app_server_outlives_a_killed_daemon_and_the_queue_is_kept(
    place: Workspace,
) -> None:
    async with place.daemon() as server:
        await server.ready()
        place.model.hold()
        assert await server.send("echo first") == Sent(200)
        await place.model.wait_until_held()
        for text in ("echo second", "echo third"):
            await server.post("/queue", {"content": text})
        assert len(app_servers(place.home.home)) == 1
        await kill(server)
        await all_gone(place.home.home)
        place.model.release()
    async with place.daemon() as server:
        await server.until(
            lambda: server.told[-1:] == [("agent", "• echo third")], "the queue's answers"
        )
        users = [text for role, text in await server.messages() if role == "user"]
        assert users == ["echo first", "echo second", "echo third"]


async def test_a_daemon_goes_on_when_its_app_server_dies_in_mid_turn(place: Workspace) -> None:
    async with place.daemon() as server:
        await server.ready()
        await server.turn("echo before")
        session, since = (await server.get("/session"))["session_id"], len(server.statuses)
        place.model.hold()
        assert await server.send("cut short") == Sent(200)
        await place.model.wait_until_held()
        os.kill(app_servers(place.home.home)[0], signal.SIGKILL)
        await server.wait_status("running", "stable", since=since)
        place.model.release()
        assert "Codex is started again" in server.notices[-1]
        about = await server.get("/session")
        assert (about["session_id"], about["link"]) == (session, "on")
        assert await server.turn("echo after") == "• echo after"
        users = [text for role, text in await server.messages() if role == "user"]
        assert users == ["echo before", "cut short", "echo after"]


async def test_a_daemon_tells_that_its_app_server_hangs(place: Workspace) -> None:
    """A call has five seconds, and so has the question whether anybody is there; then Codex is
    started again, and nothing of the message is left."""
    async with place.daemon() as server:
        await server.ready()
        await server.turn("echo before")
        since = len(server.statuses)
        os.kill(app_servers(place.home.home)[0], signal.SIGSTOP)
        sent = await server.send("echo lost")
        assert (sent.status, "not answered within 5 s" in sent.error) == (500, True), sent
        await server.wait_status("running", "stable", since=since)
        assert await server.turn("echo after") == "• echo after"
        assert "echo lost" not in [request.prompt for request in place.model.requests]


async def test_a_tui_that_dies_alone_ends_the_daemon(place: Workspace) -> None:
    async with place.daemon() as server:
        await server.ready()
        await server.turn("echo before")
        ours = app_servers(place.home.home)
        for pid in filter(runs_codex, set(processes_of(place.home.home)) - set(ours)):
            os.kill(pid, signal.SIGKILL)
        assert await server.ended() == 1
        assert "the agent ended with signal 9" in server.log
        await all_gone(place.home.home)


@pytest.mark.parametrize("version", ["0.125.0", "0.80.0"])
async def test_an_old_codex_runs_alone(version: str) -> None:
    with scratch_folder() as folder:
        async with linked(folder, version=version, link="auto") as talk:
            assert talk.driver.link == "off: this version of Codex has no --remote unix://"
            assert await talk.turn("echo alone") == "• echo alone"


async def test_on_means_on() -> None:
    with scratch_folder() as folder:
        driver = CodexDriver(
            profile_for("codex"),
            [str(codex_binary("0.125.0"))],
            cwd=folder,
            env={"HOME": str(folder), "PATH": os.environ["PATH"]},
            link="on",
        )
        with pytest.raises(OSError, match="--codex-link on: this version"):
            await driver.start(lambda event: None)
        await driver.stop(1)
        assert processes_of(folder) == []


async def test_a_refusing_app_server_leaves_the_screen_path() -> None:
    """A configuration that it does not take, and the TUI does not see."""
    with scratch_folder() as folder:
        wrapper = folder / "codex"
        wrapper.write_text(
            "#!/bin/sh\n"
            'for word; do [ "$word" = app-server ] && { echo "not today" >&2; exit 3; }; done\n'
            f'exec "{codex_binary()}" "$@"\n'
        )
        wrapper.chmod(0o755)
        async with ScriptedModel() as model:
            home = codex_home(folder, model.url)
            driver = CodexDriver(
                profile_for("codex"),
                [str(wrapper)],
                cwd=home.workdir,
                env=home.environment(),
                link="auto",
            )
            talk = Linked(driver, model, home)
            try:
                await driver.start(talk.take)
                await talk.until(lambda: talk.phases[-1:] == ["idle"], "the start")
                assert driver.link == "off: the app-server did not start: exit status 3: not today"
                assert await talk.turn("echo alone") == "• echo alone"
            finally:
                await driver.stop(2)
        await all_gone(folder)


async def test_the_phase_while_it_starts_again_is_starting() -> None:
    with scratch_folder() as folder:
        async with linked(folder) as talk:
            since = len(talk.events)
            os.kill(app_servers(folder)[0], signal.SIGKILL)
            await talk.until(lambda: talk.phase is Phase.STARTING, "the loss")
            with pytest.raises(SendError):
                await talk.driver.send("too early")
            await restarted(talk, since)
            await asyncio.sleep(0)
