"""`agentapi codex`: the command line's side."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentapi.agents.codex.options import CODEX_OPTIONS, CodexSettings, codex_settings
from agentapi.cli.arguments import TableCommand
from agentapi.cli.server_command import run
from agentapi.settings.settings import SettingsError

if TYPE_CHECKING:
    from agentapi.cli.server import Parts


class _CodexCommand(TableCommand):
    """Knows `--no-NAME` for every yes-or-no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, `--no-NAME` read as `--NAME=false`."""
        negated = {f"--no-{option.name}": option.name for option in CODEX_OPTIONS if option.boolean}
        end = args.index("--") if "--" in args else len(args)
        own = [f"--{negated[word]}=false" if word in negated else word for word in args[:end]]
        return super().parse_args(ctx, own + args[end:])


@click.command(
    "codex",
    cls=_CodexCommand,
    table=CODEX_OPTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    options_metavar="[OPTIONS]",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- CODEX-OPTIONS]...")
def command(arguments: tuple[str, ...], **flags: Any) -> None:
    """Start Codex in a folder, go on with the folder's session, and serve its API.

    The folder's last session is resumed, with its messages; without one, Codex starts afresh and
    gets the prompt. The conversation and the session's id outlive the server, however it ends.

    Every option is also a variable; the flag wins, an empty variable counts as unset.
    """
    given = {name.replace("_", "-"): value for name, value in flags.items() if value != ()}
    try:
        settings = codex_settings(given, os.environ, arguments)
        _enter(settings.workdir)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    _say_how_codex_signs_in(settings)
    sys.exit(run(settings.server, lambda: _composer(settings)))


def _enter(workdir: Path) -> None:
    """Make the folder and go there."""
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        os.chdir(workdir)
    except OSError as error:
        raise SettingsError(
            f"--workdir: cannot work in {str(workdir)!r}: {error.strerror}"
        ) from error


def _composer(settings: CodexSettings) -> Callable[[], Parts]:
    from agentapi.cli.codex import CodexRun

    return CodexRun(settings, _say).parts


def _say_how_codex_signs_in(settings: CodexSettings) -> None:
    """A line for operators; the key itself is never shown."""
    provided = bool(os.environ.get("OPENAI_API_KEY"))
    _say(f"OpenAI API Key: {'Provided' if provided else 'Not provided'}")
    _say(f"Working directory: {settings.workdir}")


def _say(line: str) -> None:
    """Print a line of the start log."""
    click.echo(line, err=True)
