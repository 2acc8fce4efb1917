"""Node.js, which runs the Codex that npm installs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from agentapi.agents.codex.probe import probe
from agentapi.model.finding import Finding, State, fine, note, wrong

OLDEST_NODE = 16
"""What Codex's npm package asks for."""


def check_node(codex: str | None, environment: Mapping[str, str]) -> Finding:
    """Node.js runs the launcher that npm installs; npm itself only installs and upgrades."""
    path = environment.get("PATH")
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    needed = codex is not None and _runs_on_node(Path(codex))
    if node is None:
        fix = "apt-get install nodejs npm"
        if needed:
            return wrong("node", "not found, and this Codex is started by it", fix)
        return note("node", "not found: needed only for the Codex that npm installs", fix)
    version = probe([node, "--version"], environment).stdout.strip()
    major = re.match(r"v(\d+)", version)
    if major is None or int(major[1]) < OLDEST_NODE:
        says = f"{node} is {version or 'not running'}: Codex asks for {OLDEST_NODE} or newer"
        return Finding("node", State.WRONG if needed else State.NOTE, says, "Install a newer one.")
    if npm is None:
        return note("node", f"{version}, without npm", "To install or upgrade Codex: get npm.")
    return fine("node", f"{version}, npm beside it")


def _runs_on_node(program: Path) -> bool:
    try:
        with program.open("rb") as file:
            return b"node" in file.readline(200) if file.read(2) == b"#!" else False
    except OSError:
        return False
