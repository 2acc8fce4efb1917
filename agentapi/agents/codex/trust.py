"""Detect whether Codex's permissions in a folder are configured.

If they are not, Codex asks on its terminal whether to trust the folder. With an app-server (0.142
to 0.169) it does not ask: the folder is silently read-only.
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
"""Settings that define Codex's permissions regardless of trust in the folder."""


def is_undecided(command: CodexCommand, cwd: Path, env: Mapping[str, str]) -> bool:
    """Return whether neither configuration nor command line define Codex's permissions.

    An unreadable configuration counts as defining them: Codex itself will report the error."""
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
    return known.isdisjoint(_trust_folders(cwd.resolve()))


def _trust_folders(folder: Path) -> Iterator[Path]:
    """Yield the folders where trust counts: this one and its repository's root."""
    yield folder
    for parent in (folder, *folder.parents):
        if (parent / ".git").exists():
            yield parent
            return
