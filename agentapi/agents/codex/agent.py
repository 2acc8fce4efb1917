"""Register Codex as an agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentapi.agents.agent import Agent, Subcommand

if TYPE_CHECKING:
    import click

    from agentapi.agents.offers.commands import ServingCommand
    from agentapi.agents.offers.doctor import Doctor
    from agentapi.agents.offers.parts import Driven
    from agentapi.conversation.profile import AgentProfile
    from agentapi.settings.settings import Option, ServerSettings

NAME = "codex"


def _profile() -> AgentProfile:
    from agentapi.agents.codex.screen.profile import CODEX

    return CODEX


def _drive(agent: Agent, settings: ServerSettings) -> Driven:
    from agentapi.agents.codex.drive import drive

    return drive(agent, settings)


def _options() -> Sequence[Option]:
    from agentapi.agents.codex.link.option import LINK

    return (LINK,)


def _check(values: Mapping[str, Any]) -> None:
    from agentapi.agents.codex.link.option import check_link

    check_link(values)


def _outlives(pid: int) -> bool:
    from agentapi.agents.codex.daemon import is_daemon

    return is_daemon(pid)


def _command() -> ServingCommand:
    from agentapi.agents.codex.command import COMMAND

    return COMMAND


def _configure() -> click.Command:
    from agentapi.agents.codex.config.command import configure

    return configure


def _doctor() -> Doctor:
    from agentapi.agents.codex.doctor.doctor import DOCTOR

    return DOCTOR


AGENT = Agent(
    name=NAME,
    title="Codex",
    programs=(NAME,),
    profile=_profile,
    driver=_drive,
    place=40,
    options=_options,
    check=_check,
    outlives=_outlives,
    link="Whether the link to Codex's app-server is used: `on`, or `off: ` and why.",
    subcommands=(
        Subcommand(
            "codex", "Start Codex, go on with the folder's session, and serve its API.", _command
        ),
    ),
    configure=_configure,
    doctor=_doctor,
)
