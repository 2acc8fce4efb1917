"""docs/reference.md tells the truth: each option, each endpoint, neither more nor less."""

from __future__ import annotations

import re
from collections.abc import Iterable

import click

from agentapi.agents.codex.options import CODEX_ONLY
from agentapi.agents.registry import server_table
from agentapi.cli import main
from agentapi.http.app import HttpOptions, create_app
from agentapi.session.session import AgentSession
from agentapi.settings.settings import ATTACH_OPTIONS, Option
from tests.support.codex import PROJECT
from tests.support.fixed_driver import FixedDriver

TEXT = (PROJECT / "docs/reference.md").read_text()


def table(options: Iterable[Option]) -> str:
    """The options as the reference has them."""
    lines = ["| flag | variable | default | what it does |", "|---|---|---|---|"]
    for option in options:
        flag = f"`--{option.name}`" if option.flag else ""
        flag += f", `-{option.short}`" if option.short else ""
        default = option.shown or ("false" if option.boolean else "")
        lines.append(f"| {flag} | `{option.variable}` | {default} | {option.help} |")
    return "\n".join(lines) + "\n"


def test_every_option_is_documented() -> None:
    for options in (server_table(), ATTACH_OPTIONS, CODEX_ONLY):
        assert table(options) in TEXT, f"docs/reference.md should contain:\n{table(options)}"


def test_every_subcommand_is_documented() -> None:
    for name in main.list_commands(click.Context(main)):
        assert f"`agentapi {name}" in TEXT


async def test_every_endpoint_is_documented_and_no_other() -> None:
    session = AgentSession(FixedDriver(), agent_type="codex")
    app = create_app(session, HttpOptions(auth_token="t"))
    served = {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.method != "HEAD" and route.resource is not None
    }
    documented = set(re.findall(r"^\| `((?:GET|POST|PUT|DELETE) \S+)` \|", TEXT, re.MULTILINE))
    assert documented == served
