"""The other agents as real programs: that they run here and ask the scripted model."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agentapi.scripted import ScriptedModel
from tests.support.agents import AGENTS, Agent, pinned
from tests.support.terminal import Terminal

pytestmark = pytest.mark.agents

READY = {
    "claude": "? for shortcuts",
    "gemini": "Type your message",
    "opencode": "Ask anything",
    "copilot": "/ commands",
}
ALLOWED = {"claude": "1", "gemini": "1", "opencode": "\r", "copilot": "1"}
ASKED = {
    "claude": "Do you want to proceed?",
    "gemini": "Allow execution of",
    "opencode": "Permission required",
    "copilot": "Do you want to run this command?",
}
TRUST = {
    "claude": "Accessing workspace:",
    "gemini": "Do you trust the files in this folder?",
    "copilot": "Confirm folder trust",
}
TRUSTED = {"claude": "\x1b[B\r", "gemini": "1", "copilot": "2"}


@pytest.mark.parametrize("name", AGENTS)
async def test_the_program_takes_a_prompt_and_asks_before_a_command(
    name: str, agent: Callable[..., Agent], model: ScriptedModel
) -> None:
    it = agent(name)
    terminal = Terminal.spawn(it.argv, it.environment(), it.workdir)
    try:
        await terminal.until(READY[name])
        await terminal.quiet(1)
        terminal.write("\x1b[200~approve touch made\x1b[201~")
        await terminal.until("approve touch made")
        await terminal.quiet(0.5)
        terminal.write("\r")
        await terminal.until(ASKED[name])
        assert model.requests[0].prompt == "approve touch made"
        assert not (it.workdir / "made").exists()
        await terminal.quiet(0.5)
        terminal.write(ALLOWED[name])
        await terminal.until("The command has finished")
        assert (it.workdir / "made").exists()
    finally:
        await terminal.close()


@pytest.mark.parametrize("name", TRUST)
async def test_the_trust_dialog_shows_where_it_is_wanted(
    name: str, agent: Callable[..., Agent]
) -> None:
    it = agent(name, trusted=False)
    terminal = Terminal.spawn(it.argv, it.environment(), it.workdir)
    try:
        await terminal.until(TRUST[name])
        await terminal.quiet(0.5)
        assert not it.trusts_the_folder()
        terminal.write(TRUSTED[name])
        await terminal.until(lambda screen: TRUST[name] not in screen and it.trusts_the_folder())
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
