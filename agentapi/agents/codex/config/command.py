"""The command `agentapi configure codex`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentapi.agents.codex.home import codex_home as home_of_codex

if TYPE_CHECKING:
    from agentapi.agents.codex.config.config import ConfigPlan

_FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_GATEWAYS = ("aibridge", "aigateway", "ai_gateway")


class _Refused(click.ClickException):
    """An error that the user can fix."""

    exit_code = 2


@click.command("codex")
@click.option(
    "--codex-home",
    type=_FOLDER,
    envvar="CODEX_HOME",
    default=None,
    help="Codex's folder (CODEX_HOME; default ~/.codex).",
)
@click.option("--workdir", type=_FOLDER, help="A project that Codex shall trust.")
@click.option("--base-config", type=_FILE, help="TOML in place of the secure default.")
@click.option("--mcp-servers", type=_FILE, help="TOML with [mcp_servers.NAME] tables.")
@click.option("--instructions", type=_FILE, help="Text for AGENTS.md.")
@click.option("--model", default="", help="The model.")
@click.option("--latest-model", default="", help="The model that Codex offers in its place.")
@click.option("--reasoning-effort", default="", help="Such as low, medium or high.")
@click.option("--coder-mcp/--no-coder-mcp", default=False, help="Offer Coder's MCP server.")
@click.option(
    "--report-tasks/--no-report-tasks",
    default=False,
    help="Report to Coder through its MCP server (implies --coder-mcp).",
)
@click.option(
    "--app-status-slug",
    default="",
    envvar="CODER_MCP_APP_STATUS_SLUG",
    help="The Coder app whose status is reported (CODER_MCP_APP_STATUS_SLUG).",
)
@click.option(
    "--agentapi-url",
    default="http://localhost:3284",
    show_default=True,
    help="Where Coder's MCP server finds this API.",
)
@click.option(
    "--gateway", type=click.Choice(_GATEWAYS), help="Go through Coder's AI gateway of this kind."
)
@click.option("--gateway-config", type=_FILE, help="TOML with the gateway's provider instead.")
@click.option("--access-url", default="", help="The Coder deployment's address, for --gateway.")
@click.option(
    "--profile", default="", help="Put model, effort and provider into a profile of this name."
)
@click.option(
    "--api-key-file",
    type=_FILE,
    help="The OpenAI API key for auth.json (default: the variable OPENAI_API_KEY).",
)
@click.option("--codex", default="codex", show_default=True, help="The Codex that checks it.")
@click.option("--check/--no-check", default=True, help="Let Codex check the result first.")
@click.option("--overwrite", is_flag=True, help="Replace values that you or Codex have changed.")
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
def configure(
    *,
    codex_home: Path | None,
    codex: str,
    check: bool,
    dry_run: bool,
    api_key_file: Path | None,
    gateway: str | None,
    **given: Any,
) -> None:
    """Write Codex's config.toml, auth.json and AGENTS.md.

    Whatever you or Codex wrote stays, also where it was ours before you changed it. The rest of
    our part follows the options of this run. Each file is replaced in one step, and only when
    Codex itself accepts the result. Exit status 2: nothing was written, and the message says why.
    """
    from agentapi.agents.codex.config.config import (
        ConfigError,
        ConfigOptions,
        find_codex,
        plan_config,
    )

    home = home_of_codex(codex_home)
    options = ConfigOptions(codex_home=home, gateway=gateway or "", **given)
    try:
        program = find_codex(codex)
        if program is None and check:
            _say(f"{codex} is not there or does not run: written for a current Codex, not checked")
        plan = plan_config(options, codex=program, check=check, api_key=_api_key(api_key_file))
        report = list(_report(plan, dry_run))
        if dry_run:
            click.echo(plan.diff(), nl=False)
        else:
            plan.write()
    except ConfigError as error:
        raise _Refused(str(error)) from error
    for line in report:
        _say(line)


def _api_key(file: Path | None) -> str:
    """Return the key from its file or variable, never from the command line."""
    from agentapi.agents.codex.config.files import read_given

    return (read_given(file) if file else os.environ.get("OPENAI_API_KEY", "")).strip()


def _report(plan: ConfigPlan, dry_run: bool) -> Iterator[str]:
    for change in plan.changes:
        state = "unchanged" if not change.needed else "would be written" if dry_run else "written"
        yield f"{change.path}: {state}"
    for fault in plan.faults:
        verdict = (
            "refused by Codex: " if fault.fatal else "ignored by Codex: " if fault.file else ""
        )
        yield f"{verdict}{fault}"
    yield from plan.notes


def _say(line: str) -> None:
    click.echo(line, err=True)
