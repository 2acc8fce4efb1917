"""The command `agentapi attach`."""

from __future__ import annotations

import os
import sys

import click

from agentapi.cli.arguments import TableCommand
from agentapi.processes.secrecy import keep_secret
from agentapi.settings.settings import ATTACH_OPTIONS, SettingsError, attach_settings


@click.command(
    "attach",
    cls=TableCommand,
    table=ATTACH_OPTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def command(**flags: str | None) -> None:
    """Show a running agent in this terminal and type to it.

    Ctrl-C detaches and leaves the agent running. The status is 0 after that, 1 when nothing
    answers or the connection drops.
    """
    given = {name.replace("_", "-"): value for name, value in flags.items()}
    try:
        settings = attach_settings(given, os.environ)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    if not (os.isatty(0) and os.isatty(1)):
        raise click.UsageError("attach needs a terminal for its input and its output")
    if settings.auth_token is not None:
        keep_secret("AGENTAPI_AUTH_TOKEN")
    from agentapi.cli.attach import attach

    sys.exit(attach.run(settings))
