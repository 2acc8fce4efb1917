"""The real Codex for tests: its binary, and a home configured for the scripted model."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from agentapi.agents.codex.versions import DAEMON, INLINE

PROJECT = Path(__file__).resolve().parents[2]
KEY_VARIABLE = "SCRIPTED_KEY"


def pinned_version() -> str:
    """The Codex version that `tools/codex/package.json` pins."""
    package = json.loads((PROJECT / "tools/codex/package.json").read_text(encoding="utf-8"))
    return str(package["dependencies"]["@openai/codex"])


def codex_binary(version: str | None = None) -> Path:
    """The launcher of an installed Codex, the pinned version by default.

    Raises `FileNotFoundError` naming the command that installs it."""
    name = "codex" if version in (None, pinned_version()) else f"codex-{version}"
    binary = PROJECT / ".tools" / name / "node_modules/.bin/codex"
    if not binary.exists():
        option = f" --codex {version}" if version else ""
        raise FileNotFoundError(f"no Codex at {binary}: run scripts/setup{option}")
    return binary


@dataclass(frozen=True, slots=True)
class CodexHome:
    """A `CODEX_HOME` and a working directory, both in one folder that is also `HOME`."""

    home: Path
    workdir: Path

    @property
    def codex_home(self) -> Path:
        """Codex's own folder."""
        return self.home / ".codex"

    def environment(self) -> dict[str, str]:
        """The whole environment of a Codex run: nothing of ours leaks into it."""
        return {
            "HOME": str(self.home),
            "CODEX_HOME": str(self.codex_home),
            "PATH": os.environ["PATH"],
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "SHELL": "/bin/bash",
            "TZ": "UTC",
            KEY_VARIABLE: "scripted",
        }

    def rollouts(self) -> list[Path]:
        """The rollout files so far, oldest first."""
        return sorted((self.codex_home / "sessions").rglob("rollout-*.jsonl"))


def codex_home(
    home: Path,
    model_url: str,
    *,
    trusted: bool = True,
    approvals: bool = False,
    retries: int = 0,
    extra: str = "",
) -> CodexHome:
    """Make a home under `home` (not under /tmp: Codex refuses to put its helpers there).

    `approvals` sets the read-only sandbox with approval on request, else everything is allowed.
    An untrusted home says nothing of either: only then does Codex ask whether to trust the folder.
    `extra` is TOML for the top of the config."""
    made = CodexHome(home, home / "project")
    made.workdir.mkdir(parents=True, exist_ok=True)
    made.codex_home.mkdir(exist_ok=True)
    approval, sandbox = (
        ("on-request", "read-only") if approvals else ("never", "danger-full-access")
    )
    policy = f'approval_policy = "{approval}"\nsandbox_mode = "{sandbox}"\n' if trusted else ""
    trust = f'[projects."{made.workdir}"]\ntrust_level = "trusted"\n' if trusted else ""
    made.codex_home.joinpath("config.toml").write_text(
        f"""\
model = "gpt-5.4"
model_provider = "scripted"
{policy}check_for_update_on_startup = false
{extra}
[model_providers.scripted]
name = "Scripted"
base_url = "{model_url}"
env_key = "{KEY_VARIABLE}"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = {retries}
{trust}""",
        encoding="utf-8",
    )
    return made


def codex_command(version: str | None = None, *arguments: str, inline: bool = False) -> list[str]:
    """The command line of one Codex in one process, with the flags that its version knows."""
    number = version or pinned_version()
    command = [str(codex_binary(version))]
    if DAEMON.of(number):
        command.append(DAEMON.sign)
    if inline and INLINE.of(number):
        command.append(INLINE.sign)
    return [*command, *arguments]
