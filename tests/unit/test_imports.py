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

LAYERS = (
    {"agents", "processes"},
    {"terminal", "conversation", "codex", "throttle"},
    {"drivers"},
    {"session", "outbox", "queue", "question", "history", "prompt", "exact", "info", "screen_feed"}
    | {"events", "state", "stats", "storage", "transcript_events"},
    {"http"},
    {"daemon"},
    {"cli", "__main__"},
)
"""Each imports from its own and those before it."""
VALUES = {"agentapi.frames", "agentapi.conversation.model"}
"""What crosses between the rooms: every room may know it."""
PURE = ("agents", "conversation")
IO = {"asyncio", "os", "socket", "subprocess", "threading", "time", "shutil", "tempfile", "io"}


def imports(file: Path) -> Iterator[str]:
    """The modules that a file imports, also inside its functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def layer(room: str) -> int | None:
    return next((number for number, rooms in enumerate(LAYERS) if room in rooms), None)


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_one_way(file: Path) -> None:
    own = layer(file.relative_to(PACKAGE).with_suffix("").parts[0])
    for module in imports(file):
        if module.startswith("agentapi.") and module not in VALUES:
            other = layer(module.split(".")[1])
            assert own is None or other is None or other <= own, module


@pytest.mark.parametrize("room", PURE)
def test_the_pure_rooms_import_no_io(room: str) -> None:
    for file in (PACKAGE / room).rglob("*.py"):
        used = {module.split(".")[0] for module in imports(file)}
        assert not used & IO, file


LATE = ("yaml", "prometheus_client", "pydantic", "agentapi.http.openapi", "agentapi.terminal")


def test_the_http_side_loads_nothing_before_it_is_needed() -> None:
    code = f"import agentapi.http.app, sys; print([m for m in {LATE!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
