"""Imports point one way, the pure rooms stay pure, and the start loads nothing it does not need."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import agentapi

PACKAGE = Path(agentapi.__file__).parent

FLOORS = (
    {"agentapi", "chat", "files", "model", "settings", "timing"},
    {"conversation", "processes", "scripted", "transcript"},
    {"coder", "daemon", "storage", "terminal"},
    {"agents"},
    {"session"},
    {"http"},
    {"cli"},
    {"__main__"},
)
"""Every room of the package, from the lowest floor up; each imports from lower floors alone."""
MOST_ARROWS = 45
"""Pairs of rooms of which one imports from the other."""
PURE = ("conversation", "model", "agents/codex/screen")
"""Rooms that know no file, no clock and no task."""
IO = {"asyncio", "os", "socket", "subprocess", "threading", "time", "shutil", "tempfile", "io"}


def imports(file: Path) -> Iterator[str]:
    """The modules that a file imports, also inside its functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "agentapi":
            yield from (f"agentapi.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def room(module: str) -> str:
    """The room of a module: the package or the loose module right below `agentapi`; what that
    holds itself (`__version__`) is no room."""
    name = [*module.split("."), "agentapi"][1]
    return "agentapi" if name.startswith("__") and name != "__main__" else name


def room_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return "agentapi" if parts == ("__init__",) else parts[0]


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def arrows(file: Path) -> set[tuple[str, str]]:
    """The pairs of rooms (importing, imported) of one file."""
    own = room_of(file)
    ours = (room(module) for module in imports(file) if module.split(".")[0] == "agentapi")
    return {(own, other) for other in ours if other not in (own, "agentapi")}


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_room_has_a_floor() -> None:
    assert {room_of(file) for file in FILES} == set().union(*FLOORS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_downwards(file: Path) -> None:
    for own, other in arrows(file):
        assert floor(other) < floor(own), f"{own} imports from {other}"


def test_the_rooms_know_few_others() -> None:
    assert len(set().union(*map(arrows, FILES))) <= MOST_ARROWS


@pytest.mark.parametrize("name", PURE)
def test_the_pure_rooms_import_no_io(name: str) -> None:
    files = list((PACKAGE / name).rglob("*.py"))
    assert files
    for file in files:
        used = {module.split(".")[0] for module in imports(file)}
        assert not used & IO, file


LATE = ("yaml", "prometheus_client", "pydantic", "agentapi.http.openapi", "agentapi.terminal")


def test_the_http_side_loads_nothing_before_it_is_needed() -> None:
    code = f"import agentapi.http.app, sys; print([m for m in {LATE!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
