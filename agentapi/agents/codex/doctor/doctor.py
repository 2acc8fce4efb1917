"""Codex's part of `agentapi doctor`: its options; the checks are imported when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from agentapi.agents.codex.home import DEFAULT_SESSION_FILE
from agentapi.agents.offers.doctor import Doctor, Examination

_PROGRAM = "codex"
_FOLDER = click.Path(path_type=Path)
_OPTIONS = (
    click.Option(["--codex"], default=_PROGRAM, show_default=True, help="The Codex to look at."),
    click.Option(
        ["--codex-home"],
        type=_FOLDER,
        envvar="CODEX_HOME",
        help="Codex's folder (CODEX_HOME; default ~/.codex).",
    ),
    click.Option(
        ["--session-file"],
        type=_FOLDER,
        envvar="AGENTAPI_SESSION_FILE",
        default=Path(DEFAULT_SESSION_FILE),
        show_default=True,
        help="Which session belongs to which folder (AGENTAPI_SESSION_FILE).",
    ),
)


def _examine(
    given: Mapping[str, Any], environment: Mapping[str, str], workdir: Path
) -> Examination:
    from agentapi.agents.codex.doctor.examine import examine

    return examine(given, environment, workdir)


DOCTOR = Doctor(
    options=_OPTIONS,
    examine=_examine,
    names_program=lambda given: bool(given["codex"] != _PROGRAM),
)
