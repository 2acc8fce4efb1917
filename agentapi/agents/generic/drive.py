"""A program on a terminal, as an agent's file names it: its looks and its driver."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentapi.agents.agent import LAST, Agent

if TYPE_CHECKING:
    from agentapi.agents.offers.parts import Driven
    from agentapi.conversation.profile import AgentProfile
    from agentapi.settings.settings import ServerSettings

QUIET = 0.5
"""Seconds without output after which a program is believed to wait."""
FULL_SCREEN_QUIET = 1.5
"""The same for full-screen programs: their spinners stand still for up to a second."""


def full_screen_agent(name: str, *other_programs: str, title: str = "", place: int = LAST) -> Agent:
    """An agent whose full-screen program is read by what such programs have in common."""
    return Agent(
        name=name,
        title=title,
        programs=(name, *other_programs),
        profile=looks(name, FULL_SCREEN_QUIET),
        driver=drive,
        place=place,
    )


def looks(name: str, quiet: float = QUIET) -> Callable[[], AgentProfile]:
    """The looks that terminal programs have in common, for an agent of this name."""
    return functools.partial(_profile, name, quiet)


def _profile(name: str, quiet: float) -> AgentProfile:
    from agentapi.agents.generic.profile import GenericProfile

    return GenericProfile(name, quiet=quiet)


def drive(agent: Agent, settings: ServerSettings) -> Driven:
    """Run the program as it is given, and read its screen."""
    from agentapi.agents.generic.console import Console
    from agentapi.agents.generic.tui import TuiDriver
    from agentapi.agents.offers.parts import Driven
    from agentapi.agents.registry import outlives

    console = Console(settings.command, **terminal(settings))
    driver = TuiDriver(agent.profile(), console)
    return Driven(driver=driver, outlives=outlives)


def terminal(settings: ServerSettings) -> dict[str, Any]:
    """The terminal and the surroundings of a program, as `Console` takes them."""
    import os
    from pathlib import Path

    from agentapi.agents.registry import outlives
    from agentapi.terminal import child_environment

    return {
        "cwd": Path.cwd(),
        "env": child_environment(os.environ),
        "columns": settings.term_width,
        "rows": settings.term_height,
        "record": settings.record,
        "spare": outlives,
    }
