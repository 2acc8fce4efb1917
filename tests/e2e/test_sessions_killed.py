"""kill -9 of the daemon, of Codex, of both, at any moment: the session goes on, nothing is lost.

AGENTAPI_TEST_KILLS sets how often; 30 runs were made of each Codex. The moment is random, the seed
is shown on failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import random
import signal
from dataclasses import dataclass, field

import aiohttp
import pytest

from agentapi.processes.tree import family
from tests.support.codex import codex_binary
from tests.support.lasting import Workspace, kill, workspace
from tests.support.server import PATIENCE, Server, scratch_folder

pytestmark = [pytest.mark.codex, pytest.mark.timeout(900)]
KILLS = int(os.environ.get("AGENTAPI_TEST_KILLS", "6"))
LONGEST = 2.5
"""Seconds from a daemon's start to its kill: start-up, a turn or two, and the idle time after."""


@dataclass
class Ledger:
    """What clients were promised."""

    acknowledged: list[str] = field(default_factory=list)
    tried: int = 0
    session: str | None = None

    def next(self) -> str:
        self.tried += 1
        return f"echo number {self.tried}"


@pytest.mark.parametrize(
    ("version", "link"),
    [(None, "auto"), (None, "off"), ("0.125.0", "auto")],
    ids=["linked", "alone", "0.125.0"],
)
async def test_kills_at_random_moments(version: str | None, link: str) -> None:
    try:
        codex_binary(version)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    seed = int(os.environ.get("AGENTAPI_TEST_SEED", "0")) or random.randrange(1 << 30)
    chance, ledger = random.Random(seed), Ledger()
    with scratch_folder() as folder:
        async with workspace(folder, version) as place:
            place.options = ["--codex-link", link]
            for run in range(KILLS):
                whom = chance.choice(["daemon", "codex", "both"])
                moment = chance.uniform(0.1, LONGEST)
                where = f"seed {seed}, run {run}: {whom} killed after {moment:.3f} s"
                print(where)
                await one_run(place, ledger, whom, moment)
            await check_at_the_end(place, ledger, f"seed {seed}")


async def one_run(place: Workspace, ledger: Ledger, whom: str, moment: float) -> None:
    """Start, talk, and be killed."""
    async with place.daemon("--prompt", "echo the prompt", wait=False) as server:
        talking = asyncio.create_task(talk(server, ledger))
        await asyncio.sleep(moment)  # the moment of the kill is what is tested
        victims = family(server.process.pid) - {server.process.pid}
        if whom != "codex":
            await kill(server)
        if whom != "daemon":
            for pid in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await ended_or_kill(server)
        await server.ended()
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)


async def ended_or_kill(server: Server) -> None:
    """A daemon ends with its Codex; where that had not started yet, the daemon is killed."""
    try:
        await asyncio.wait_for(server.process.wait(), 5)
    except TimeoutError:
        await kill(server)


async def talk(server: Server, ledger: Ledger) -> None:
    """Send one message after the other until the connection breaks."""
    with contextlib.suppress(aiohttp.ClientError, AssertionError, TimeoutError):
        await server.until(lambda: server.status_now == "stable", "ready")
        while True:
            text = ledger.next()
            statuses = len(server.statuses)
            if (await server.send(text)).status == 200:
                ledger.acknowledged.append(text)
            await server.until(functools.partial(turn_over, server, statuses), "the turn's end")


def turn_over(server: Server, statuses: int) -> bool:
    """Whether a turn began and ended after so many statuses."""
    return len(server.statuses) > statuses and server.status_now == "stable"


async def check_at_the_end(place: Workspace, ledger: Ledger, where: str) -> None:
    """The conversation holds the prompt once and every acknowledged message once, in order; the
    session is the one of the beginning, and the model sees what came before."""
    async with place.daemon("--prompt", "echo the prompt") as server:
        async with asyncio.timeout(PATIENCE):
            await server.ready()
        users = [text for role, text in await server.messages() if role == "user"]
        assert users.count("echo the prompt") == 1, (where, users)
        assert users[0] == "echo the prompt", (where, users)
        sent = [text for text in users if text in ledger.acknowledged]
        assert sent == ledger.acknowledged, (where, users, ledger)
        assert len(users) == len(set(users)), (where, users)
        await server.turn("echo the end")
        seen = str(place.model.requests[-1].body["input"])
        assert "echo the prompt" in seen, where
        unrecorded = [text for text in ledger.acknowledged if f"{text!r}" not in seen]
        about = await server.get("/session")
        print(
            f"{len(ledger.acknowledged)} acknowledged, {len(unrecorded)} of them unknown to Codex;"
            f" {len(place.home.rollouts())} rollouts; notices: {server.notices}"
        )
        assert about["session_id"] == place.session, where
