"""Compose Codex for `agentapi server`: its TUI, link and rollout."""

from __future__ import annotations

from collections.abc import Callable

from agentapi.agents.agent import Agent
from agentapi.agents.codex.driver import CodexDriver
from agentapi.agents.codex.home import codex_home
from agentapi.agents.codex.link.option import link_wanted
from agentapi.agents.codex.rollout.feed import WatchedRolloutFeed
from agentapi.agents.generic.console import Console
from agentapi.agents.generic.drive import terminal
from agentapi.agents.generic.tui import TuiDriver
from agentapi.agents.offers.parts import Driven
from agentapi.agents.registry import outlives
from agentapi.settings.settings import ServerSettings

NO_LINK = "off: --verbatim"
"""The state of the link where Codex's command is not changed."""


def drive(agent: Agent, settings: ServerSettings) -> Driven:
    """Run Codex with its link, or with `--verbatim` unchanged."""
    profile, place = agent.profile(), terminal(settings)
    driver: TuiDriver | CodexDriver
    if settings.verbatim:
        driver = TuiDriver(profile, Console(settings.command, **place))
    else:
        driver = CodexDriver(profile, settings.command, link=link_wanted(settings), **place)
    return Driven(
        driver=driver,
        transcript=WatchedRolloutFeed(codex_home(), driver.recorded),
        outlives=outliving(settings),
        facts={"link": NO_LINK} if settings.verbatim else {},
    )


def outliving(settings: ServerSettings) -> Callable[[int], bool]:
    """Return which processes to spare at the end: none where Codex runs without its background
    server."""
    return outlives if settings.verbatim else lambda pid: False
