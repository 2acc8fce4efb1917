"""Subcommands of the agents, for example to resume a session."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from agentapi.agents.agent import Subcommand
from agentapi.agents.offers.commands import ServingCommand
from agentapi.cli.arguments import TableCommand
from agentapi.cli.server_command import run
from agentapi.settings.settings import SettingsError


class _NegatingCommand(TableCommand):
    """Accepts `--no-NAME` for every boolean option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse `--no-NAME` as `--NAME=false`."""
        negated = {f"--no-{option.name}": option.name for option in self.table if option.boolean}
        end = args.index("--") if "--" in args else len(args)
        own = [f"--{negated[word]}=false" if word in negated else word for word in args[:end]]
        return super().parse_args(ctx, own + args[end:])


def make_command(subcommand: Subcommand) -> click.Command:
    """Create the click command of a subcommand."""
    serving = subcommand.load()
    command = _NegatingCommand(
        subcommand.name,
        table=serving.options,
        callback=lambda arguments, **flags: _serve(serving, arguments, flags),
        help=serving.help,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        options_metavar="[OPTIONS]",
    )
    words = click.Argument(
        ["arguments"], nargs=-1, type=click.UNPROCESSED, metavar=serving.arguments
    )
    command.params.insert(0, words)
    return command


def _serve(serving: ServingCommand, arguments: tuple[str, ...], flags: dict[str, Any]) -> None:
    given = {name.replace("_", "-"): value for name, value in flags.items() if value != ()}
    try:
        prepared = serving.prepare(given, os.environ, arguments)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    sys.exit(run(prepared.settings, prepared.composer))
