"""Where Codex's permissions are configured, as seen with 0.142 and 0.169."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentapi.agents.codex.link.command import CodexCommand
from agentapi.agents.codex.trust import is_undecided


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "repository/folder"
    found.mkdir(parents=True)
    return found


def asked(folder: Path, config: str | bytes | None, *arguments: str) -> bool:
    home = folder.parents[1] / "codex-home"
    home.mkdir()
    if config is not None:
        content = config.encode() if isinstance(config, str) else config
        (home / "config.toml").write_bytes(content)
    command = CodexCommand.parse(["codex", *arguments])
    assert command is not None
    return is_undecided(command, folder, {"CODEX_HOME": str(home)})


@pytest.mark.parametrize(
    ("config", "arguments"),
    [
        (None, ()),
        ('model = "m"', ()),
        ('approval_policy = "never"', ()),
        ('[projects."/elsewhere"]\ntrust_level = "trusted"', ()),
        (None, ("-a", "never")),
        (None, ("-c", 'model="m"')),
        (None, ("--", "-s")),
    ],
)
def test_permissions_that_are_not_configured(
    folder: Path, config: str | None, arguments: tuple[str, ...]
) -> None:
    assert asked(folder, config, *arguments)


@pytest.mark.parametrize(
    ("config", "arguments"),
    [
        ('sandbox_mode = "read-only"', ()),
        (None, ("-s", "read-only")),
        (None, ("--sandbox=read-only",)),
        (None, ("-c", 'sandbox_mode="read-only"')),
        (None, ("--config=projects={}",)),
        (None, ("--dangerously-bypass-approvals-and-sandbox",)),
        ("no = toml = at all", ()),
        (b"\xff", ()),
    ],
)
def test_somebody_did(folder: Path, config: str | bytes | None, arguments: tuple[str, ...]) -> None:
    assert not asked(folder, config, *arguments)


@pytest.mark.parametrize("level", ["trusted", "untrusted"])
def test_a_trust_level_counts_for_the_folder(folder: Path, level: str) -> None:
    assert not asked(folder, f'[projects."{folder}"]\ntrust_level = "{level}"')


def test_that_of_the_repository_counts_and_that_of_a_mere_parent_does_not(folder: Path) -> None:
    config = f'[projects."{folder.parent}"]\ntrust_level = "trusted"'
    assert asked(folder, config)
    (folder.parent / ".git").mkdir()
    (folder.parents[1] / "codex-home/config.toml").unlink()
    (folder.parents[1] / "codex-home").rmdir()
    assert not asked(folder, config)


def test_another_folder_on_the_command_line_is_the_one_that_counts(folder: Path) -> None:
    config = f'[projects."{folder}"]\ntrust_level = "trusted"'
    assert asked(folder, config, "-C", "..")
