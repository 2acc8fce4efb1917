"""`agentapi doctor`: a report of what is fine and what is not, with fixes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentapi import __version__
from agentapi.cli.doctor.agents import all_options, chosen, programs

if TYPE_CHECKING:
    from agentapi.model.finding import Finding

SOMETHING_WRONG = 1
_FOLDER = click.Path(path_type=Path)
_HOSTS = ("127.0.0.1", "::1")


@click.command("doctor", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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
def command(
    *,
    as_json: bool,
    workdir: Path | None,
    port: int,
    host: tuple[str, ...],
    state_file: Path | None,
    **given: Any,
) -> None:
    """Say what is fine here and what is not, each with the fix.

    Asks the installed agent about its configuration, tries its sandbox, and changes nothing.
    Exit status 0: nothing is wrong (there may be notes). 1: something is. 2: wrong options.
    """
    from agentapi.cli.doctor import report as doctor_report

    folder = (workdir or Path.cwd()).absolute()
    state = state_file.expanduser().absolute().parent if state_file is not None else None
    findings = list(_findings(given, folder, state, host, port))
    if as_json:
        report = doctor_report.as_json(findings, __version__)
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        click.echo(f"agentapi {__version__}\n")
        click.echo(doctor_report.page(findings))
    sys.exit(0 if doctor_report.healthy(findings) else SOMETHING_WRONG)


command.params[1:1] = all_options()


def _findings(
    given: Mapping[str, Any], workdir: Path, state: Path | None, hosts: Sequence[str], port: int
) -> Iterator[Finding]:
    """Yield all findings, in the best order for fixing them."""
    from agentapi.cli.doctor.agent import check_agent_requests
    from agentapi.cli.doctor.machine import check_folders, check_port, check_terminal

    folders = {"working directory": workdir}
    faults: list[Finding] = []
    doctors = chosen(given, os.environ)
    if not doctors:
        yield from programs(os.environ)
    for doctor in doctors:
        examination = doctor.examine(given, os.environ, workdir)
        yield from examination.findings
        folders |= examination.folders
        faults += examination.folder_faults
    if state is not None:
        folders["state file"] = state
    yield check_port(hosts, port)
    yield from check_agent_requests(os.environ)
    yield from check_folders(folders, faults)
    yield check_terminal()
