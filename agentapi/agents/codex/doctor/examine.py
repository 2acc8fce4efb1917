"""The checks of Codex, in the order in which what they find is best mended."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentapi.agents.codex.doctor.credentials import check_credentials
from agentapi.agents.codex.doctor.node import check_node
from agentapi.agents.codex.doctor.program import check_config, effective_config, look_for_codex
from agentapi.agents.codex.doctor.requirements import check_requirements
from agentapi.agents.codex.doctor.sandbox import check_sandbox
from agentapi.agents.codex.home import codex_home
from agentapi.agents.offers.doctor import Examination
from agentapi.model.finding import Finding, note


def examine(given: Mapping[str, Any], environment: Mapping[str, str], workdir: Path) -> Examination:
    """What there is to say, the findings made one by one as they are asked for."""
    home = codex_home(given["codex_home"])
    session_file: Path = given["session_file"].expanduser().absolute()
    return Examination(
        findings=_findings(given["codex"], home, environment, workdir),
        folders={"Codex's home": home, "session file": session_file.parent},
        folder_faults=list(_temporary(home)),
    )


def _findings(
    name: str, home: Path, environment: Mapping[str, str], workdir: Path
) -> Iterator[Finding]:
    program, finding = look_for_codex(name, environment)
    yield finding
    yield check_node(program.path if program else None, environment)
    yield from check_config(program, home)
    config = effective_config(home)
    yield from check_requirements(config)
    yield from check_credentials(program, home, config, environment)
    there = workdir if workdir.is_dir() else Path("/")
    yield check_sandbox(program, there, config, environment)


def _temporary(home: Path) -> Iterator[Finding]:
    if home.is_relative_to(tempfile.gettempdir()):
        says = f"{home} is temporary: Codex leaves its helper programs out there"
        yield note("folders", says, "Set CODEX_HOME to a folder that lasts.")
