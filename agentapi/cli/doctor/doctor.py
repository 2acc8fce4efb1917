"""`agentapi doctor`: one page that says what is fine and what is not, each with the fix."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentapi import __version__

if TYPE_CHECKING:
    from agentapi.cli.doctor.report import Finding

SOMETHING_WRONG = 1
_FOLDER = click.Path(path_type=Path)
_HOSTS = ("127.0.0.1", "::1")


@click.command("doctor", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--codex", default="codex", show_default=True, help="The Codex to look at.")
@click.option(
    "--codex-home",
    type=_FOLDER,
    envvar="CODEX_HOME",
    help="Codex's folder (CODEX_HOME; default ~/.codex).",
)
@click.option("--workdir", type=_FOLDER, help="The agent's folder (default: this one).")
@click.option(
    "--port",
    "-p",
    type=click.IntRange(0, 65535),
    envvar="AGENTAPI_PORT",
    default=3284,
    show_default=True,
    help="The port to serve on (AGENTAPI_PORT).",
)
@click.option(
    "--host",
    multiple=True,
    default=_HOSTS,
    help="An address to serve on; may be repeated (default: 127.0.0.1 and ::1).",
)
@click.option(
    "--state-file",
    type=_FOLDER,
    envvar="AGENTAPI_STATE_FILE",
    help="Keeps the conversation (AGENTAPI_STATE_FILE; default: by the session file).",
)
@click.option(
    "--session-file",
    type=_FOLDER,
    envvar="AGENTAPI_SESSION_FILE",
    default=Path("~/.codex-module/.codex-task-session"),
    show_default=True,
    help="Which session belongs to which folder (AGENTAPI_SESSION_FILE).",
)
def command(
    *,
    as_json: bool,
    codex: str,
    codex_home: Path | None,
    workdir: Path | None,
    port: int,
    host: tuple[str, ...],
    state_file: Path | None,
    session_file: Path,
) -> None:
    """Say what is fine here and what is not, each with the fix.

    Asks the installed Codex about its configuration, tries its sandbox, and changes nothing.
    Exit status 0: nothing is wrong (there may be notes). 1: something is. 2: wrong options.
    """
    from agentapi.cli.doctor import report as doctor_report

    home = (codex_home or Path.home() / ".codex").expanduser().absolute()
    folders = {
        "working directory": (workdir or Path.cwd()).absolute(),
        "Codex's home": home,
        "session file": session_file.expanduser().absolute().parent,
    }
    if state_file is not None:
        folders["state file"] = state_file.expanduser().absolute().parent
    findings = list(_findings(codex, home, folders, host, port))
    if as_json:
        report = doctor_report.as_json(findings, __version__)
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        click.echo(f"agentapi {__version__}\n")
        click.echo(doctor_report.page(findings))
    sys.exit(0 if doctor_report.healthy(findings) else SOMETHING_WRONG)


def _findings(
    codex: str, home: Path, folders: dict[str, Path], hosts: tuple[str, ...], port: int
) -> Iterator[Finding]:
    """Everything, in the order in which it is best mended."""
    from agentapi.cli.doctor import codex as doctor_codex
    from agentapi.cli.doctor import machine as doctor_machine
    from agentapi.cli.doctor.agent import check_agent_requests
    from agentapi.cli.doctor.credentials import check_credentials
    from agentapi.cli.doctor.requirements import check_requirements
    from agentapi.cli.doctor.sandbox import check_sandbox

    environment, workdir = os.environ, folders["working directory"]
    program, finding = doctor_codex.look_for_codex(codex, environment)
    yield finding
    yield doctor_machine.check_node(program.path if program else None, environment)
    yield from doctor_codex.check_config(program, home)
    config = doctor_codex.effective_config(home)
    yield from check_requirements(config)
    yield from check_credentials(program, home, config, environment)
    there = workdir if workdir.is_dir() else Path("/")
    yield check_sandbox(program, there, config, environment)
    yield doctor_machine.check_port(hosts, port)
    yield from check_agent_requests(environment)
    yield from doctor_machine.check_folders(folders, home)
    yield doctor_machine.check_terminal()
