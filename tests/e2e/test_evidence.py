"""Why does it say so? The evidence for the phase with a real Codex behind a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentapi.scripted import ScriptedModel
from tests.support.codex import codex_binary
from tests.support.lasting import kill, workspace
from tests.support.server import PATIENCE, Server, codex_server

pytestmark = pytest.mark.codex


async def until(server: Server, source: str, detail: str) -> dict[str, Any]:
    """Wait until a source says something; all of GET /session. Its evidence is no event."""
    async with asyncio.timeout(PATIENCE):
        while True:
            session: dict[str, Any] = await server.get("/session")
            if [said["detail"] for said in session["evidence"] if said["source"] == source] == [
                detail
            ]:
                return session
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("version", ["0.107.0", None])
async def test_the_rollout_is_among_the_evidence(
    version: str | None, scratch: Path, model: ScriptedModel, codex: Callable[[str | None], Path]
) -> None:
    codex(version)
    codex_binary(version)
    async with codex_server(scratch, model, version=version) as (server, _):
        await server.ready()
        for number, prompt in enumerate(("hello", "markdown"), 1):
            await server.turn(prompt)
            session = await until(server, "rollout", f"turn {number} completed")
        [said] = [said for said in session["evidence"] if said["source"] == "rollout"]
        assert (said["phase"], said["counts"]) == ("idle", True)
        assert 0 <= said["age_seconds"] < PATIENCE
        assert session["phase"] == "idle"
        if version is not None:  # it has neither OSC 7501 nor a title nor a notification
            assert session["phase_reason"] == "rollout: turn 2 completed"


@pytest.mark.parametrize("version", ["0.107.0", None])
async def test_a_turn_that_a_kill_left_open_says_nothing_when_it_is_resumed(
    version: str | None, scratch: Path, codex: Callable[[str | None], Path]
) -> None:
    codex(version)
    codex_binary(version)
    async with workspace(scratch, version) as there:
        async with there.daemon("--codex-link", "off") as server:
            await server.ready()
            await server.turn("hello")
            await server.send("sleep 30")
            assert await server.phase() == "working"
            await kill(server)
        async with there.daemon("--codex-link", "off") as server:
            await server.ready()
            session = await server.get("/session")
            assert session["resumed"]
            assert "rollout" not in [said["source"] for said in session["evidence"]]
            await server.turn("hello again")
            last = (await until_completed(server))["evidence"]
            assert [said["counts"] for said in last if said["source"] == "rollout"] == [True]


async def until_completed(server: Server) -> dict[str, Any]:
    """Wait until the rollout tells the end of the session's last turn."""
    items = await server.get("/transcript")
    return await until(server, "rollout", f"turn {items['items'][-1]['turn']} completed")
