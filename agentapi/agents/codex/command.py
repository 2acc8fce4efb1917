"""The command `agentapi codex`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentapi.agents.codex.options import CODEX_OPTIONS, CodexSettings, codex_settings
from agentapi.agents.offers.commands import Prepared, ServingCommand
from agentapi.settings.settings import SettingsError

if TYPE_CHECKING:
    from agentapi.agents.offers.parts import Compose

HELP = """Start Codex in a folder, go on with the folder's session, and serve its API.

The folder's last session is resumed, with its messages; without one, Codex starts afresh and gets
the prompt. The conversation and the session's id outlive the server, however it ends.

Every option is also a variable; the flag wins, an empty variable counts as unset.
"""


def _prepare(
    flags: Mapping[str, str | Sequence[str] | None],
    environment: Mapping[str, str],
    arguments: Sequence[str],
) -> Prepared:
    """Parse the settings and change to the working directory. Raises `SettingsError`."""
    settings = codex_settings(flags, environment, arguments)
    _enter(settings.workdir)
    _log_setup(settings)
    return Prepared(settings=settings.server, composer=lambda: _composer(settings))


COMMAND = ServingCommand(
    help=HELP,
    options=CODEX_OPTIONS,
    arguments="[-- CODEX-OPTIONS]...",
    prepare=_prepare,
)


def _enter(workdir: Path) -> None:
    """Create the folder and change to it."""
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        os.chdir(workdir)
    except OSError as error:
        raise SettingsError(
            f"--workdir: cannot work in {str(workdir)!r}: {error.strerror}"
        ) from error


def _composer(settings: CodexSettings) -> Compose:
    from agentapi.agents.codex.run import CodexRun

    return CodexRun(settings, _log).parts


def _log_setup(settings: CodexSettings) -> None:
    """Log the credentials and the folder; the key itself is never shown."""
    provided = bool(os.environ.get("OPENAI_API_KEY"))
    _log(f"OpenAI API Key: {'Provided' if provided else 'Not provided'}")
    _log(f"Working directory: {settings.workdir}")


def _log(line: str) -> None:
    """Print a line of the start log."""
    click.echo(line, err=True)
