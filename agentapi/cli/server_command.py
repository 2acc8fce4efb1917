"""The command `agentapi server`, with few imports, so `--help` is instant."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any

import click

from agentapi.agents.registry import agent_types, server_table
from agentapi.cli.arguments import TableCommand
from agentapi.daemon import logs
from agentapi.daemon.pidfile import PidFile, PidFileError
from agentapi.daemon.signals import Signals
from agentapi.daemon.sockets import ListenError, close_all, listen
from agentapi.processes import descriptors
from agentapi.processes.secrecy import keep_secret
from agentapi.settings.settings import ServerSettings, SettingsError, server_settings

if TYPE_CHECKING:
    from agentapi.agents.offers.parts import Compose

BAD_CONFIGURATION = 2


@click.command(
    "server",
    cls=TableCommand,
    table=server_table(),
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
        settings = server_settings(given, os.environ, program, agent_types())
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    if settings.print_openapi:
        _print_openapi()
    else:
        sys.exit(run(settings))


def run(settings: ServerSettings, composer: Callable[[], Compose] | None = None) -> int:
    """Acquire the signals, the pid file and the port, then serve; return the exit status.

    All three come before the slow imports, and so before the agent; the pid file comes before the
    port: a client that can connect can read it. `composer` imports and returns a function that
    creates other parts than the settings alone would."""
    signals = Signals()
    descriptors.raise_limit()
    if settings.auth_token is not None:
        keep_secret("AGENTAPI_AUTH_TOKEN")
    logs.configure(settings.log_level, settings.log_format)
    try:
        _check_writable("--record", settings.record)
        with PidFile(settings.pid_file) if settings.pid_file else nullcontext():
            sockets = listen(settings.host, settings.port)
            try:
                return _serve(settings, sockets, signals, composer)
            finally:
                close_all(sockets)
    except (ListenError, PidFileError, SettingsError) as error:
        click.echo(f"Error: {error}", err=True)
        return BAD_CONFIGURATION


def _check_writable(flag: str, file: Path | None) -> None:
    """Raise `SettingsError` if the file cannot be written. Create it if it is missing."""
    if file is None:
        return
    from agentapi.terminal.recording import check_writable

    try:
        check_writable(file)
    except OSError as error:
        raise SettingsError(f"{flag}: cannot write {str(file)!r}: {error.strerror}") from error


def _serve(
    settings: ServerSettings,
    sockets: list[socket],
    signals: Signals,
    composer: Callable[[], Compose] | None,
) -> int:
    import asyncio

    with _without_certificates():
        from agentapi.cli.server import serve

        compose = composer() if composer is not None else None
    return asyncio.run(serve(settings, sockets, signals, compose))


@contextmanager
def _without_certificates() -> Iterator[None]:
    """Import without loading CA certificates: aiohttp does that on import (2 MB, 20 ms), and a
    server on loopback needs none. An https client creates its own context."""
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _print_openapi() -> None:
    import json

    from agentapi.http.openapi import document

    click.echo(json.dumps(document(), indent=2))
