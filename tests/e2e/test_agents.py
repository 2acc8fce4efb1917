"""The other agents as real programs: that they run here and ask the scripted model."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agentapi.scripted import ScriptedModel
from tests.support.agent_looks import LOOKS
from tests.support.agents import AGENTS, Agent, pinned
from tests.support.terminal import Terminal

pytestmark = pytest.mark.agents


@pytest.mark.parametrize("name", AGENTS)
async def test_the_program_takes_a_prompt_and_asks_before_a_command(
    name: str, agent: Callable[..., Agent], model: ScriptedModel
) -> None:
    it, looks = agent(name), LOOKS[name]
    terminal = Terminal.spawn(it.argv, it.environment(), it.workdir)
    try:
        await terminal.until(looks.ready)
        await terminal.quiet(1)
        terminal.write("\x1b[200~approve touch made\x1b[201~")
        await terminal.until("approve touch made")
        await terminal.quiet(0.5)
        terminal.write("\r")
        await terminal.until(looks.asks)
        assert model.requests[0].prompt == "approve touch made"
        assert not (it.workdir / "made").exists()
        await terminal.quiet(0.5)
        terminal.write(looks.allow)
        await terminal.until("The command has finished")
        assert (it.workdir / "made").exists()
    finally:
        await terminal.close()


@pytest.mark.parametrize("name", [name for name, looks in LOOKS.items() if looks.trust])
async def test_the_trust_dialog_shows_where_it_is_wanted(
    name: str, agent: Callable[..., Agent]
) -> None:
    it, looks = agent(name, trusted=False), LOOKS[name]
    terminal = Terminal.spawn(it.argv, it.environment(), it.workdir)
    try:
        await terminal.until(looks.trust)
        await terminal.quiet(0.5)
        assert not it.trusts_the_folder()
        terminal.write(looks.trusted)
        await terminal.until(lambda screen: looks.trust not in screen and it.trusts_the_folder())
    finally:
        await terminal.close()


@pytest.mark.parametrize("name", AGENTS)
async def test_the_pinned_version_is_installed(name: str, agent: Callable[..., Agent]) -> None:
    it = agent(name)
    terminal = Terminal.spawn([it.argv[0], "--version"], it.environment(), it.workdir)
    try:
        await terminal.until(pinned(name))
    finally:
        await terminal.close()
