"""Is there a Codex, is it one that is known to work, and what does it say of its configuration?"""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentapi.agents.codex.config.config import CodexProgram, Fault, check_home, find_codex
from agentapi.agents.codex.probe import probe
from agentapi.agents.codex.versions import NEWEST, OLDEST, dotted, parse
from agentapi.model.finding import Finding, fine, note, wrong

INSTALL = "npm install -g @openai/codex"
_SYSTEM = Path("/etc/codex")


def look_for_codex(
    name: str, environment: Mapping[str, str]
) -> tuple[CodexProgram | None, Finding]:
    """The Codex that would be started."""
    path = shutil.which(name, path=environment.get("PATH"))
    if path is None:
        fix = f"{INSTALL}\nor name its program: agentapi doctor --codex /path/to/codex"
        return None, wrong("Codex", f"{name!r} was not found in PATH", fix)
    program = find_codex(path)
    if program is None:
        with tempfile.TemporaryDirectory() as nowhere:
            answer = probe([path, "--version"], {**environment, "CODEX_HOME": nowhere})
        words = (answer.stderr or answer.stdout).strip().splitlines()
        reason = words[0] if words else f"exit status {answer.returncode}"
        return None, wrong("Codex", f"{path} does not run: {reason}", f"Reinstall it: {INSTALL}")
    return program, _judge(program)


def _judge(program: CodexProgram) -> Finding:
    version = parse(program.version)
    tried = f"{dotted(OLDEST)} to {dotted(NEWEST)}"
    says = f"{program.version}, {program.path}"
    if version is None:
        return note("Codex", f"{says}\nthe version is not understood (tried: {tried})")
    if version < OLDEST:
        fix = f"{INSTALL}@{dotted(NEWEST)}.0"
        return wrong("Codex", f"{says}\nolder than what is known to work ({tried})", fix)
    if version > NEWEST:
        return note("Codex", f"{says}\nnewer than what was tried ({tried}): it should work")
    return fine("Codex", f"{says} (known to work: {tried})")


def check_config(program: CodexProgram | None, home: Path) -> list[Finding]:
    """What Codex says of the configuration in its home."""
    what, file = "config", home / "config.toml"
    if program is None:
        return [note(what, "not checked: there is no Codex to ask")]
    try:
        faults = check_home(program, home)
    except OSError as error:
        fix = "Give this user the folder and its files."
        return [wrong(what, f"{error.filename or home}: {error.strerror}", fix)]
    if not faults:
        there = f"{file}, checked by Codex" if file.exists() else f"no {file}: Codex's defaults"
        return [fine(what, there)]
    return [
        wrong(what, f"Codex refuses it: {fault}", _mend(fault, file))
        if fault.fatal
        else note(what, f"Codex ignores it: {fault}" if fault.file else str(fault))
        for fault in faults
    ]


def _mend(fault: Fault, file: Path) -> str:
    return "Correct it at the place named." if fault.line else f"Change it, most likely in {file}."


def effective_config(home: Path, system: Path = _SYSTEM) -> dict[str, Any]:
    """The layers that decide: the system's, the user's, the managed one. A layer that cannot be
    read counts as empty here: `check_config` tells."""
    merged: dict[str, Any] = {}
    for file in (system / "config.toml", home / "config.toml", system / "managed_config.toml"):
        merged = _over(merged, read_toml(file) or {})
    return merged


def read_toml(file: Path) -> dict[str, Any] | None:
    """The TOML file's values; None when it is missing or broken."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = dict(below)
    for key, value in above.items():
        old = both.get(key)
        nested = isinstance(old, dict) and isinstance(value, dict)
        both[key] = _over(old, value) if nested else value  # type: ignore[arg-type]
    return both
