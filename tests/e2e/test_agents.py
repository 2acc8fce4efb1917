"""The other agents as real programs: the versions that `test_other_agents` talks with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.agents import AGENTS, Agent, pinned
from tests.support.terminal import Terminal

pytestmark = pytest.mark.agents


@pytest.mark.parametrize("name", AGENTS)
async def test_the_pinned_version_is_installed(name: str, agent: Callable[..., Agent]) -> None:
    it = agent(name)
    terminal = Terminal.spawn([it.argv[0], "--version"], it.environment(), it.workdir)
    try:
        await terminal.until(pinned(name))
    finally:
        await terminal.close()
