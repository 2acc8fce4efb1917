"""The command line. Each subcommand is a file of its own, imported only when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import click

from agentapi import __version__

_COMMANDS = {
    "server": ("agentapi.cli.server_command:command", "Start an agent and serve its API."),
    "codex": (
        "agentapi.cli.codex_command:command",
        "Start Codex, go on with the folder's session, and serve its API.",
    ),
    "attach": ("agentapi.cli.attach.command:command", "Show a running agent in this terminal."),
    "configure": ("agentapi.cli.configure:configure", "Write an agent's configuration."),
    "doctor": ("agentapi.cli.doctor.doctor:command", "Say what is fine here and what is not."),
    "version": ("agentapi.cli.version:command", "Print the version."),
}
"""Each subcommand: where it is, and what the overview says of it (without importing it)."""


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called: start-up counts in milliseconds."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The subcommands' names, as the help shows them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand, imported; None when there is none of this name."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: Any = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview of the subcommands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


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
