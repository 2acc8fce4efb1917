"""To add an agent is one file: it is found, and nothing else names it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import agentapi
from agentapi import agents as package
from agentapi.agents import registry
from agentapi.agents.codex.versions import NEWEST, OLDEST, TRIED, Feature, parse
from agentapi.conversation.profile import AgentProfile
from agentapi.settings.settings import server_options
from tests.support.codex import pinned_version

PACKAGE = Path(agentapi.__file__).parent
WIRE = {
    "claude": "claude",
    "goose": "goose",
    "aider": "aider",
    "codex": "codex",
    "gemini": "gemini",
    "copilot": "copilot",
    "amp": "amp",
    "cursor": "cursor",
    "cursor-agent": "cursor",
    "auggie": "auggie",
    "amazonq": "amazonq",
    "q": "amazonq",
    "opencode": "opencode",
    "custom": "custom",
}
"""What clients of AgentAPI pass for a type, in upstream's order, and what it means."""
MAY_NAME_AGENTS = ("agents", "coder", "scripted")
"""Rooms that may: Coder's module is Codex's, and the scripted model stands in for each agent's."""


def test_every_type_of_the_wire_is_registered_in_its_order() -> None:
    assert list(registry.agent_types().names.items()) == list(WIRE.items())
    assert [agent.name for agent in registry.agents()] == list(dict.fromkeys(WIRE.values()))


@pytest.mark.parametrize("name", dict.fromkeys(WIRE.values()))
def test_every_type_has_a_profile_of_its_name(name: str) -> None:
    profile = registry.profile_for(name)
    assert isinstance(profile, AgentProfile)
    assert profile.name == name


def test_every_agent_but_any_other_program_has_a_title() -> None:
    assert set(dict(registry.titles())) == {agent.name for agent in registry.agents()} - {"custom"}


def test_the_page_names_no_agent() -> None:
    static = PACKAGE / "chat" / "static"
    for file in (*static.glob("*.js"), *static.glob("views/*.js"), static / "index.html"):
        assert not NAMED.search(file.read_text()), file


def test_a_type_that_does_not_exist() -> None:
    with pytest.raises(KeyError):
        registry.agent_of("clippy")


NEW = """
from agentapi.agents.generic.drive import full_screen_agent
AGENT = full_screen_agent("clippy", "clip")
"""


def test_a_file_that_is_put_there_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clippy.py").write_text(NEW)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    registry.agents.cache_clear()
    try:
        agent = registry.agent_of("clippy")
        assert [each.name for each in registry.agents()][-2:] == ["clippy", "custom"]
        types = registry.agent_types()
        assert (types.names["clip"], types.of_program("/opt/bin/clip")) == ("clippy", "clippy")
        assert "clippy, clip, custom." in server_options(types)[0].help
        assert agent.profile().name == "clippy"
    finally:
        registry.agents.cache_clear()
        sys.modules.pop("agentapi.agents.clippy", None)


def code_words(file: Path) -> Iterator[tuple[int, str]]:
    """The identifiers and texts of a file, without its docstrings, each with its line."""
    tree = ast.parse(file.read_text())
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in prose:
            if isinstance(node.value, str | bytes):
                yield node.lineno, str(node.value)
            continue
        for field in ("id", "attr", "arg", "name", "module", "asname"):
            if isinstance(word := getattr(node, field, None), str):
                yield getattr(node, "lineno", 0), word


FILES = [
    file
    for file in sorted(PACKAGE.rglob("*.py"))
    if file.relative_to(PACKAGE).parts[0] not in MAY_NAME_AGENTS
]
NAMES = [name for name in WIRE if name not in ("cursor", "custom", "q")]
"""Without words that have another meaning here."""
NAMED = re.compile(rf"(?<![a-z&])(?:{'|'.join(NAMES)})(?![a-z])", re.IGNORECASE)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_agent_is_named_elsewhere(file: Path) -> None:
    named = [f"{line}: {word}" for line, word in code_words(file) if NAMED.search(word)]
    assert named == []


def test_the_agents_cost_a_start_nothing() -> None:
    """Their profiles and drivers, with all that these import, are loaded when they are used."""
    code = (
        "import sys\nbefore = set(sys.modules)\n"
        "from agentapi.agents.registry import agents\nagents()\n"
        "print(*(m for m in set(sys.modules) - before if m.startswith('agentapi.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = {agent.name for agent in registry.agents()}
    light = {"", ".agent", ".registry", ".acp", ".offers", ".generic", ".generic.drive"}
    light |= {".codex.agent", *(f".{name}" for name in names)}
    loaded = {name.removeprefix("agentapi.agents") for name in done.stdout.split()}
    assert {name for name in loaded if name not in light} == set()


# The versions of Codex


def test_the_newest_version_tried_is_the_pinned_one() -> None:
    assert TRIED[-1] == pinned_version()
    assert sorted(TRIED, key=lambda version: parse(version) or ()) == list(TRIED)
    assert (parse(TRIED[0]), parse(TRIED[-1])) == (OLDEST, NEWEST)


def test_a_feature_is_of_some_versions() -> None:
    feature = Feature("it", (0, 107), (0, 158))
    assert [feature.of(version) for version in TRIED] == [False, True, True, True, False, False]
    assert Feature("new", (0, 169)).of("what is no version")
