"""Agent definitions for programs on a terminal."""

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
"""Seconds without output after which a program is assumed to wait."""
FULL_SCREEN_QUIET = 1.5
"""The same for full-screen programs, whose spinners may pause for up to a second."""


def full_screen_agent(name: str, *other_programs: str, title: str = "", place: int = LAST) -> Agent:
    """Return an agent whose full-screen program is read by shared conventions."""
    return Agent(
        name=name,
        title=title,
        programs=(name, *other_programs),
        profile=generic_profile(name, FULL_SCREEN_QUIET),
        driver=drive,
        place=place,
    )


def generic_profile(name: str, quiet: float = QUIET) -> Callable[[], AgentProfile]:
    """Return a factory of the generic profile for an agent of this name."""
    return functools.partial(_profile, name, quiet)


def _profile(name: str, quiet: float) -> AgentProfile:
    from agentapi.agents.generic.profile import GenericProfile

    return GenericProfile(name, quiet=quiet)


def drive(agent: Agent, settings: ServerSettings) -> Driven:
    """Run the given command and read its screen."""
    from agentapi.agents.generic.console import Console
    from agentapi.agents.generic.tui import TuiDriver
    from agentapi.agents.offers.parts import Driven
    from agentapi.agents.registry import outlives

    console = Console(settings.command, **terminal(settings))
    driver = TuiDriver(agent.profile(), console)
    return Driven(driver=driver, outlives=outlives)


def terminal(settings: ServerSettings) -> dict[str, Any]:
    """Return the `Console` arguments for the terminal and environment of a program."""
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
