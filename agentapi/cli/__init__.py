"""The command line. Each subcommand is a module, imported only when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from agentapi import __version__

if TYPE_CHECKING:
    from agentapi.agents.agent import Subcommand

_FIRST = {
    "server": ("agentapi.cli.server_command:command", "Start an agent and serve its API."),
}
_LAST = {
    "attach": ("agentapi.cli.attach.command:command", "Show a running agent in this terminal."),
    "configure": ("agentapi.cli.configure:command", "Write an agent's configuration."),
    "doctor": ("agentapi.cli.doctor.doctor:command", "Say what is fine here and what is not."),
    "version": ("agentapi.cli.version:command", "Print the version."),
}
"""Each subcommand: its location, and its summary in the overview. The agents' subcommands come
between the first and the last."""


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called: start-up counts in milliseconds."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the subcommands, in the order of the help."""
        return [name for name, _ in _overview()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand; return None if there is none of this name."""
        if location := (_FIRST | _LAST).get(cmd_name):
            module, _, attribute = location[0].partition(":")
            command: Any = getattr(importlib.import_module(module), attribute)
            assert isinstance(command, click.Command)
            return command
        for subcommand in _agent_subcommands():
            if subcommand.name == cmd_name:
                from agentapi.cli.agent_command import make_command

                return make_command(subcommand)
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview of the subcommands."""
        with formatter.section("Commands"):
            formatter.write_dl(_overview())


def _overview() -> list[tuple[str, str]]:
    """Return the names and summaries of all subcommands."""
    first, last = (
        [(name, summary) for name, (_, summary) in commands.items()] for commands in (_FIRST, _LAST)
    )
    return [*first, *((command.name, command.summary) for command in _agent_subcommands()), *last]


def _agent_subcommands() -> Iterator[Subcommand]:
    from agentapi.agents.registry import agents

    for agent in agents():
        yield from agent.subcommands


@click.group(
    cls=LazyGroup, name="agentapi", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(
    __version__, "-v", "--version", prog_name="agentapi", message="%(prog)s version %(version)s"
)
def main() -> None:
    """Drive a coding agent's terminal program over HTTP.

    agentapi server -- codex    starts Codex and serves its API on port 3284

    agentapi attach             shows the running agent in this terminal
    """
