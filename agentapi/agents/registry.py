"""The agents that there are: every module or package of `agentapi.agents` with an `AGENT`.

No list names them: a file that is put there is found.
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


_FACES = ("agent", "driver")
"""What all agents are made with: not looked into, as it takes its time to import."""


def find(within: ModuleType) -> tuple[Agent, ...]:
    """The agents of a package, in their order."""
    names = [module.name for module in pkgutil.iter_modules(within.__path__)]
    modules = [
        importlib.import_module(f"{within.__name__}.{name}") for name in names if name not in _FACES
    ]
    found = [module.AGENT for module in modules if hasattr(module, "AGENT")]
    return tuple(sorted(found, key=lambda agent: (agent.place, agent.name)))


@functools.cache
def agents() -> tuple[Agent, ...]:
    """All agents."""
    return find(package)


def agent_of(agent_type: str) -> Agent:
    """The agent of a type. Raises `KeyError` for a type that does not exist."""
    return {agent.name: agent for agent in agents()}[agent_type]


def profile_for(agent_type: str) -> AgentProfile:
    """The profile of an agent type. Raises `KeyError` for a type that does not exist."""
    return agent_of(agent_type).profile()


def agent_types() -> AgentTypes:
    """What the settings must know of the agents."""
    from agentapi.settings.settings import AgentTypes

    return AgentTypes(
        names={word: agent.name for agent in agents() for word in agent.programs},
        options=tuple(option for agent in agents() for option in agent.options()),
        checks=tuple(agent.check for agent in agents()),
    )


def server_table() -> tuple[Option, ...]:
    """Every option of `agentapi server`, those of the agents among them."""
    from agentapi.settings.settings import server_options

    return server_options(agent_types())


def titles() -> tuple[tuple[str, str], ...]:
    """What people call the agents, by their types."""
    return tuple((agent.name, agent.title) for agent in agents() if agent.title)


def outlives(pid: int) -> bool:
    """Whether a process is one that an agent shares with other terminals."""
    return any(agent.outlives(pid) for agent in agents())
