from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agentapi.agents.codex.launch import without_daemon


class Codexes:
    """Programs named codex, each with the help text of some version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        self.calls.touch()
        self.environment = {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }

    def install(self, help_text: str, status: int = 0) -> None:
        program = self.folder / "codex"
        program.write_text(
            f"#!/bin/sh\necho $* >> '{self.calls}'\ncat <<'END'\n{help_text}\nEND\nexit {status}\n"
        )
        program.chmod(0o755)

    @property
    def asked(self) -> int:
        return len(self.calls.read_text().splitlines())

    async def command(self, *words: str) -> list[str]:
        return await without_daemon(words, self.environment)


@pytest.fixture
def codexes(tmp_path: Path) -> Codexes:
    return Codexes(tmp_path)


NEW = "  --no-alt-screen\n  --no-daemon\n      Run without the shared background server"
OLD = "  --no-alt-screen"


async def test_a_codex_that_knows_the_flag_gets_it_first(codexes: Codexes) -> None:
    codexes.install(NEW)
    assert await codexes.command("codex", "resume", "ID") == [
        "codex",
        "--no-daemon",
        "resume",
        "ID",
    ]
    program = str(codexes.folder / "codex")
    wrapped = ["boundary", "--allow", "x", "--", program, "-m", "gpt"]
    assert await codexes.command(*wrapped) == [*wrapped[:5], "--no-daemon", "-m", "gpt"]


async def test_an_older_one_does_not(codexes: Codexes) -> None:
    codexes.install(OLD)
    assert await codexes.command("codex") == ["codex"]


async def test_each_version_is_asked_once(codexes: Codexes) -> None:
    codexes.install(OLD)
    for _ in range(3):
        await codexes.command("codex")
    assert codexes.asked == 1
    codexes.install(NEW)
    assert await codexes.command("codex") == ["codex", "--no-daemon"]
    assert codexes.asked == 2


async def test_npms_launcher_is_identified_by_its_package(codexes: Codexes) -> None:
    """npm's `codex` is a small script that stays the same from version to version."""
    package = codexes.folder / "package"
    (package / "bin").mkdir(parents=True)
    codexes.install(NEW)
    (codexes.folder / "codex").rename(package / "bin/codex.js")
    (codexes.folder / "codex").symlink_to(package / "bin/codex.js")
    for version in ("1", "10"):
        (package / "package.json").write_text(version)
        await codexes.command("codex")
    assert codexes.asked == 2


@pytest.mark.parametrize(
    "words",
    [
        ("codex", "--no-daemon"),
        ("codex", "--remote", "unix:///x"),
        ("codex", "--remote=unix:///x"),
        ("bash", "-c", "true"),
    ],
)
async def test_what_is_decided_stays_and_nobody_is_asked(
    codexes: Codexes, words: tuple[str, ...]
) -> None:
    codexes.install(NEW)
    assert await codexes.command(*words) == list(words)
    assert codexes.asked == 0


async def test_a_codex_that_cannot_be_asked_runs_as_it_was_given(codexes: Codexes) -> None:
    assert await codexes.command(str(codexes.folder / "no/codex")) == [
        str(codexes.folder / "no/codex")
    ]
    codexes.install(NEW, status=1)
    assert await codexes.command("codex") == ["codex"]


async def test_a_memory_with_nonsense_for_this_very_version_is_made_anew(codexes: Codexes) -> None:
    codexes.install(NEW)
    await codexes.command("codex")
    memory = codexes.folder / "cache/agentapi/codex-flags.json"
    (key,) = json.loads(memory.read_text())
    nonsense: object
    for nonsense in ([["--no-daemon"]], [{}], [None], "--no-daemon", 7):
        memory.write_text(json.dumps({key: nonsense}))
        assert await codexes.command("codex") == ["codex", "--no-daemon"]
        assert json.loads(memory.read_text()) == {key: ["--no-daemon", "--no-alt-screen"]}


async def test_a_memory_that_is_a_folder_or_may_not_be_read_is_done_without(
    codexes: Codexes,
) -> None:
    codexes.install(NEW)
    (codexes.folder / "cache/agentapi/codex-flags.json").mkdir(parents=True)
    assert await codexes.command("codex") == ["codex", "--no-daemon"]


@pytest.mark.parametrize("content", ["{", "[]", '{"x": 1}', '{"x": true}', '{"x": [["y"]]}'])
async def test_a_broken_memory_is_made_anew(codexes: Codexes, content: str) -> None:
    memory = codexes.folder / "cache/agentapi/codex-flags.json"
    memory.parent.mkdir(parents=True)
    memory.write_text(content)
    codexes.install(NEW)
    assert await codexes.command("codex") == ["codex", "--no-daemon"]
    assert "--no-daemon" in memory.read_text()


async def test_without_a_place_for_it_the_answer_is_the_same(codexes: Codexes) -> None:
    (codexes.folder / "cache").write_text("a file in the way")
    codexes.install(NEW)
    assert await codexes.command("codex") == ["codex", "--no-daemon"]
