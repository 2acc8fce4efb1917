"""A real server with a real Codex that the tests of a module share, turn after turn.

A module says with a `kind` fixture of its own which Codex its tests run with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from agentapi.scripted import ScriptedModel
from tests.e2e.furniture import furniture
from tests.support.codex import CodexHome, codex_binary
from tests.support.lasting import Workspace, workspace
from tests.support.server import Server, codex_server, scratch_folder


@dataclass(frozen=True)
class Kind:
    """A Codex and its terminal."""

    version: str | None = None
    """The pinned one by default."""
    inline: bool = False
    rows: int = 1000
    approvals: bool = False
    link: bool = False

    def __str__(self) -> str:
        version, inline = self.version or "pinned", "-inline" * self.inline
        return f"{version}{'-linked' * self.link}{inline}-80x{self.rows}"


PINNED = Kind()
INLINE = Kind(inline=True)
LOW = Kind(rows=50)
LINKED = Kind(link=True)
V158_LINKED = Kind("0.158.0", link=True)
V142_LINKED = Kind("0.142.0", link=True)
V125 = Kind("0.125.0")
V80 = Kind("0.80.0")


@dataclass
class Talk:
    """A server that the tests of one kind share, and what is behind it."""

    kind: Kind
    server: Server
    model: ScriptedModel
    home: CodexHome

    async def turn(self, prompt: str) -> str:
        """A turn; the model received the prompt as it was posted, the user's message is the
        prompt, and neither the answer nor what came before it ever showed furniture."""
        since = len(self.server.events)
        answer = await self.server.turn(prompt)
        assert self.prompts[-1] == prompt
        assert (await self.server.messages())[-2] == ("user", prompt)
        self.check(since)
        return answer

    @property
    def prompts(self) -> list[str]:
        """What the model was asked, without what only reports a tool's output."""
        return [r.prompt for r in self.model.requests if r.tool_output is None]

    async def end_turn(self) -> None:
        """Stop what the agent does."""
        async with self.server.client.post(self.server.url + "/interrupt") as response:
            assert response.status == 200, await response.text()
        await self.server.until(lambda: self.server.status_now == "stable", "the turn's end")

    def check(self, since: int) -> None:
        """No event from number `since` on may show furniture in an agent's message."""
        for event in self.server.events[since:]:
            if event.name == "message_update" and event.data["role"] == "agent":
                assert furniture(event.data["message"]) == [], event.data


async def calm(server: Server) -> None:
    """Wait until nothing was told for a second. On a busy machine the start takes longer than the
    settling time: Codex paints its banner late, or is idle, busy with its tools and idle again."""
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(1):
                await _news(server)


async def _news(server: Server) -> None:
    told = len(server.events)
    await server.until(lambda: len(server.events) > told, "another event")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(kind: Kind) -> AsyncIterator[Talk]:
    """A server that is ready."""
    try:
        codex_binary(kind.version)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with scratch_folder() as folder:
        async with (
            ScriptedModel() as model,
            codex_server(
                folder,
                model,
                *("--term-height", str(kind.rows)),
                *("--codex-link", "on" if kind.link else "off"),
                version=kind.version,
                inline=kind.inline,
                approvals=kind.approvals,
            ) as (server, home),
        ):
            await server.ready()
            await calm(server)
            yield Talk(kind, server, model, home)


@pytest_asyncio.fixture(loop_scope="module")
async def talk(shared: Talk) -> AsyncIterator[Talk]:
    """The shared server, between turns. Whatever a test that failed left open ends first."""
    if await shared.server.phase() != "idle":
        await shared.end_turn()
    yield shared
    assert shared.server.status_now == "stable", "the test left a turn open"


@pytest.fixture
async def place() -> AsyncIterator[Workspace]:
    """A home whose daemons run linked."""
    with scratch_folder() as folder:
        async with workspace(folder) as made:
            made.options = ["--codex-link", "on"]
            yield made
