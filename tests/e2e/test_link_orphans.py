"""What a killed app-server leaves behind: none of its commands, and no other app-server."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from agentapi.agents.codex import driver as codex
from tests.support.lasting import Workspace, kill
from tests.support.linked import Linked, linked
from tests.support.server import PATIENCE, all_gone, processes_of, runs_codex, scratch_folder

pytestmark = pytest.mark.codex


def words_of(pid: int) -> list[str]:
    """A process's command line; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    except OSError:
        return []


def app_server(folder: Path, *, shim: bool = False) -> int:
    """The native app-server, or npm's program around it."""
    (pid,) = (
        pid
        for pid in processes_of(folder)
        if "app-server" in (words := words_of(pid))
        and words[0] != "/bin/sh"
        and runs_codex(pid) != shim
    )
    return pid


def commands(folder: Path) -> list[int]:
    """The processes of Codex's command."""
    return [pid for pid in processes_of(folder) if words_of(pid) == ["sleep", "600"]]


async def command_runs(folder: Path) -> None:
    """Wait for it: nothing tells when the process is there."""
    async with asyncio.timeout(PATIENCE):
        while not commands(folder):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def restarted(talk: Linked, since: int) -> None:
    """Wait until it is ready again."""
    await talk.until(lambda: talk.phases_since(since)[-2:] == ["starting", "idle"], "the restart")


@pytest.mark.parametrize("shim", [False, True], ids=["native", "shim"])
async def test_the_commands_of_a_killed_app_server_end_before_the_next_one(shim: bool) -> None:
    with scratch_folder() as folder:
        async with linked(folder) as talk:
            await talk.driver.send("sleep 600")
            await command_runs(folder)
            since, native = len(talk.events), app_server(folder)
            os.kill(app_server(folder, shim=shim), signal.SIGKILL)
            await restarted(talk, since)
            assert commands(folder) == []
            assert native not in processes_of(folder)
            assert talk.driver.link == "on"
            assert await talk.turn("echo after") == "• echo after"


async def test_no_command_outlives_an_app_server_that_is_killed_with_its_tui() -> None:
    with scratch_folder() as folder:
        async with linked(folder) as talk:
            await talk.driver.send("sleep 600")
            await command_runs(folder)
            assert talk.tui.pid is not None
            since = len(talk.events)
            for pid in (talk.tui.pid, app_server(folder)):
                os.kill(pid, signal.SIGKILL)
            # Which of the two deaths is seen first decides whether all ends or begins again.
            await talk.until(
                lambda: talk.ended or talk.phases_since(since)[-2:] == ["starting", "idle"],
                "the end or the restart",
            )
            await talk.driver.stop(1.0)
            await all_gone(folder)


async def test_a_daemon_that_is_killed_after_the_shim_leaves_nothing(place: Workspace) -> None:
    home = place.home.home
    async with place.daemon() as server:
        await server.ready()
        await server.send("sleep 600")
        await command_runs(home)
        os.kill(app_server(home, shim=True), signal.SIGKILL)
        await kill(server)
    await all_gone(home)


async def test_losses_of_long_ago_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codex, "RESTART_SPAN", 0.0)
    with scratch_folder() as folder:
        async with linked(folder) as talk:
            for _ in range(codex.RESTARTS + 1):
                since = len(talk.events)
                os.kill(app_server(folder), signal.SIGKILL)
                await restarted(talk, since)
            assert talk.driver.link == "on"
