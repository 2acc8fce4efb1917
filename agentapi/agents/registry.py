"""Find the agents: every module or package of `agentapi.agents` with an `AGENT`.

There is no list; new files are found automatically.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType
from typing import TYPE_CHECKING

from agentapi import agents as package
from agentapi.agents.agent import Agent

if TYPE_CHECKING:
    from agentapi.conversation.profile import AgentProfile
    from agentapi.settings.settings import AgentTypes, Option


_SHARED = ("agent", "driver")
"""Shared modules, skipped because importing them is slow."""


def find(within: ModuleType) -> tuple[Agent, ...]:
    """Return the agents of a package in their order."""
    names = [module.name for module in pkgutil.iter_modules(within.__path__)]
    modules = [
        importlib.import_module(f"{within.__name__}.{name}")
        for name in names
        if name not in _SHARED
    ]
    found = [module.AGENT for module in modules if hasattr(module, "AGENT")]
    return tuple(sorted(found, key=lambda agent: (agent.place, agent.name)))


@functools.cache
def agents() -> tuple[Agent, ...]:
    """Return all agents."""
    return find(package)


def agent_of(agent_type: str) -> Agent:
    """Return the agent of a type. Raises `KeyError` if it does not exist."""
    return {agent.name: agent for agent in agents()}[agent_type]


def profile_for(agent_type: str) -> AgentProfile:
    """Return the profile of an agent type. Raises `KeyError` if it does not exist."""
    return agent_of(agent_type).profile()


def agent_types() -> AgentTypes:
    """Return what the settings need to know of the agents."""
    from agentapi.settings.settings import AgentTypes

    return AgentTypes(
        names={word: agent.name for agent in agents() for word in agent.programs},
        options=tuple(option for agent in agents() for option in agent.options()),
        checks=tuple(agent.check for agent in agents()),
    )


def server_table() -> tuple[Option, ...]:
    """Return all options of `agentapi server`, including those of the agents."""
    from agentapi.settings.settings import server_options

    return server_options(agent_types())


def titles() -> tuple[tuple[str, str], ...]:
    """Return the display names of the agents, by type."""
    return tuple((agent.name, agent.title) for agent in agents() if agent.title)


def outlives(pid: int) -> bool:
    """Return whether an agent shares a process with other terminals."""
    return any(agent.outlives(pid) for agent in agents())
