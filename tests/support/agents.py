"""The other agents for tests: which program, and a home of its own that asks the scripted model.

What onboarding each has, and how it is skipped, was read from the programs themselves. A dialog
that asks for leave to run a command shows always; the one that asks whether the folder is to be
trusted only where it is wanted.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentapi.scripted import ScriptedModel
from tests.support.codex import PROJECT
from tests.support.server import Server, serving

KEY = "scripted-key"


@dataclass(frozen=True, slots=True)
class Agent:
    """A program, its home and the directory that it works in."""

    name: str
    home: Path
    argv: list[str]
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def workdir(self) -> Path:
        """The directory that the program is started in."""
        return self.home / "project"

    def environment(self) -> dict[str, str]:
        """The whole environment of a run: nothing of ours leaks into it."""
        return {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "SHELL": "/bin/bash",
            "TZ": "UTC",
            **self.variables,
        }

    def trusts_the_folder(self) -> bool:
        """Whether the program has written down that the folder is trusted."""
        path = self.home / _TRUST[self.name]
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if self.name == "claude":
            return '"hasTrustDialogAccepted":true' in "".join(text.split())
        return str(self.workdir) in text


def pinned(name: str) -> str:
    """The version of an agent that its `tools/NAME/package.json` pins."""
    package = json.loads((PROJECT / f"tools/{name}/package.json").read_text(encoding="utf-8"))
    return str(next(iter(package["dependencies"].values())))


def binary(name: str) -> Path:
    """The installed program.

    Raises `FileNotFoundError` naming the command that installs it."""
    modules = PROJECT / ".tools" / name / "node_modules"
    path = modules / (_OPENCODE if name == "opencode" else f".bin/{name}")
    if not path.exists():
        raise FileNotFoundError(f"no {name} at {path}: run scripts/setup --tests")
    return path


def make_agent(name: str, home: Path, model: ScriptedModel, *, trusted: bool = True) -> Agent:
    """An agent of `AGENTS` with a new home; unless `trusted` it asks at its start about the
    folder (opencode never does)."""
    agent = Agent(name, home, [str(binary(name))])
    agent.workdir.mkdir(parents=True, exist_ok=True)
    AGENTS[name](agent, model, trusted)
    return agent


@asynccontextmanager
async def agent_server(agent: Agent, *options: str, wait: bool = True) -> AsyncIterator[Server]:
    """`agentapi server` with the program; see `serving`."""
    arguments = ("--type", agent.name, *options)
    async with serving(
        agent.home, agent.argv, *arguments, env=agent.environment(), cwd=agent.workdir, wait=wait
    ) as server:
        yield server


def _claude(agent: Agent, model: ScriptedModel, trusted: bool) -> None:
    projects = {str(agent.workdir): {"hasTrustDialogAccepted": True}} if trusted else {}
    _write(
        agent.home / ".claude.json",
        {
            "hasCompletedOnboarding": True,
            "customApiKeyResponses": {"approved": [KEY]},
            "projects": projects,
        },
    )
    # Its default decides by itself what needs no leave.
    agent.argv.extend(("--permission-mode", "default"))
    agent.variables.update(
        ANTHROPIC_BASE_URL=model.origin,
        ANTHROPIC_API_KEY=KEY,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        DISABLE_AUTOUPDATER="1",
    )


def _gemini(agent: Agent, model: ScriptedModel, trusted: bool) -> None:
    _write(
        agent.home / ".gemini/settings.json",
        {
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "general": {"enableAutoUpdate": False},
            "privacy": {"usageStatisticsEnabled": False},
            "ui": {"hideTips": True},
        },
    )
    if trusted:
        _write(agent.home / ".gemini/trustedFolders.json", {str(agent.workdir): "TRUST_FOLDER"})
    agent.variables.update(GOOGLE_GEMINI_BASE_URL=model.origin, GEMINI_API_KEY=KEY)


def _opencode(agent: Agent, model: ScriptedModel, _: bool) -> None:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": model.url, "apiKey": KEY},
        "models": {"scripted": {}},
    }
    _write(
        agent.home / ".config/opencode/opencode.json",
        {
            "autoupdate": False,
            "share": "disabled",
            "model": "lab/scripted",
            "small_model": "lab/scripted",
            "provider": {"lab": provider},
            "permission": {"bash": "ask"},
        },
    )
    agent.variables.update(OPENCODE_DISABLE_AUTOUPDATE="1", OPENCODE_DISABLE_MODELS_FETCH="1")


def _copilot(agent: Agent, model: ScriptedModel, trusted: bool) -> None:
    folders = [str(agent.workdir)] if trusted else []
    _write(agent.home / ".copilot/config.json", {"trustedFolders": folders, "appTipShown": True})
    agent.variables.update(
        COPILOT_PROVIDER_BASE_URL=model.url,
        COPILOT_PROVIDER_API_KEY=KEY,
        COPILOT_MODEL="scripted",
        COPILOT_OFFLINE="true",
        COPILOT_AUTO_UPDATE="false",
    )


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


_TRUST = {
    "claude": ".claude.json",
    "gemini": ".gemini/trustedFolders.json",
    "copilot": ".copilot/config.json",
}
_OPENCODE = "opencode-linux-x64-baseline/bin/opencode"

AGENTS: dict[str, Callable[[Agent, ScriptedModel, bool], None]] = {
    "claude": _claude,
    "gemini": _gemini,
    "opencode": _opencode,
    "copilot": _copilot,
}
