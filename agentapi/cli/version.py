"""`agentapi version`."""

from __future__ import annotations

import click

from agentapi import __version__


@click.command("version", short_help="Print the version.")
def command() -> None:
    """Print the version as the last word of a line, as `agentapi --version` does."""
    click.echo(f"agentapi version {__version__}")
