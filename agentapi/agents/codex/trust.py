"""Whether Codex has been told what it may do in a folder.

A Codex that was not asks on its terminal whether to trust the folder, and works in it accordingly.
Behind an app-server (0.142 to 0.169) it does not ask: the folder is read-only, and nobody is told.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from agentapi.agents.codex.link.command import CodexCommand

_SANDBOX_OPTIONS = frozenset(
    ("-s", "--sandbox", "--full-auto", "--dangerously-bypass-approvals-and-sandbox", "--yolo")
)
_SANDBOX_SETTINGS = ("sandbox_mode", "permissions", "default_permissions")
"""Settings that say what Codex may do, whether it trusts the folder or not."""


def undecided(command: CodexCommand, cwd: Path, env: Mapping[str, str]) -> bool:
    """Whether neither the configuration nor the command line says what Codex may do in its folder.

    A configuration that cannot be read decides: Codex itself will say what is wrong with it."""
    settings = []
    for option, words in command.options():
        if option in _SANDBOX_OPTIONS:
            return False
        if option in ("-c", "--config"):
            settings.append(words[-1].removeprefix("--config=").removeprefix("-c").strip())
        elif option in ("-C", "--cd"):
            cwd = cwd / words[-1].removeprefix("--cd=").removeprefix("-C")
    if any(setting.startswith((*_SANDBOX_SETTINGS, "projects")) for setting in settings):
        return False
    home = env.get("CODEX_HOME") or Path(env.get("HOME") or Path.home()) / ".codex"
    try:
        config = tomllib.loads((Path(home) / "config.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        config = {}
    except (OSError, ValueError):
        return False
    if any(name in config for name in _SANDBOX_SETTINGS):
        return False
    projects = config.get("projects")
    known = {Path(name).resolve() for name in projects} if isinstance(projects, dict) else set()
    return known.isdisjoint(_asked_for(cwd.resolve()))


def _asked_for(folder: Path) -> Iterator[Path]:
    """The folders whose trust counts: this one and its repository's root."""
    yield folder
    for parent in (folder, *folder.parents):
        if (parent / ".git").exists():
            yield parent
            return
