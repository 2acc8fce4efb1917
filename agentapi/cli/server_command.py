"""`agentapi server`: the command line's side, light enough for `--help` to be instant."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from agentapi.cli.arguments import TableCommand
from agentapi.settings import OPTIONS, SettingsError, server_settings


@click.command(
    "server",
    cls=TableCommand,
    table=OPTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    options_metavar="[OPTIONS]",
)
@click.argument("program", nargs=-1, type=click.UNPROCESSED, metavar="-- PROGRAM [ARGUMENTS]...")
def command(program: tuple[str, ...], **flags: Any) -> None:
    """Start PROGRAM, a coding agent, and serve its API.

    The server ends when the agent does: with status 0, or 1 when the agent failed. Wrong options
    and a port in use end it with status 2. SIGTERM, SIGINT and SIGHUP save, stop the agent and
    end with 0; SIGUSR1 saves and goes on.

    Every option is also a variable; the flag wins, an empty variable counts as unset.
    """
    given = {name.replace("_", "-"): value for name, value in flags.items() if value != ()}
    try:
        settings = server_settings(given, os.environ, program)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    if settings.print_openapi:
        _print_openapi()
        return
    from agentapi.cli import server

    sys.exit(server.run(settings))


def _print_openapi() -> None:
    import json

    from agentapi.http.openapi import document

    click.echo(json.dumps(document(), indent=2))
