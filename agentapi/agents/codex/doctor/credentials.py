"""Which credentials will Codex's terminal program really use?

Not `OPENAI_API_KEY` or `CODEX_API_KEY` from the environment: with nothing else it shows its login
screen and never a prompt, whatever `codex doctor` says. A login (auth.json or the keyring) counts,
or what the provider in the configuration asks for.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentapi.agents.codex.config.config import CodexProgram
from agentapi.agents.codex.probe import probe
from agentapi.model.finding import Finding, fine, note, wrong

_WHAT = "credentials"
_IGNORED = ("OPENAI_API_KEY", "CODEX_API_KEY")
_LOCAL = ("ollama", "lmstudio")
"""Providers that Codex knows and that need none."""


def check_credentials(
    program: CodexProgram | None,
    home: Path,
    config: Mapping[str, Any],
    environment: Mapping[str, str],
) -> list[Finding]:
    """Whether a turn could begin: `config` is the effective one, `environment` Codex's."""
    name = str(config.get("model_provider") or "openai")
    providers = config.get("model_providers")
    provider = providers.get(name) if isinstance(providers, dict) else None
    findings = []
    if isinstance(provider, dict) and not provider.get("requires_openai_auth"):
        findings.append(_of_provider(name, provider, environment))
    elif name in _LOCAL:
        findings.append(fine(_WHAT, f"the provider {name} needs none"))
    else:
        findings += _login(program, home, environment)
    if environment.get("OPENAI_BASE_URL"):
        fix = 'openai_base_url = "…" in config.toml'
        findings.append(note(_WHAT, "OPENAI_BASE_URL is set, and Codex ignores it", fix))
    return findings


def _of_provider(name: str, provider: Mapping[str, Any], environment: Mapping[str, str]) -> Finding:
    variable = provider.get("env_key")
    if not isinstance(variable, str):
        return fine(_WHAT, f"the provider {name} asks for no variable")
    if environment.get(variable, "").strip():
        return fine(_WHAT, f"the provider {name} reads {variable}, which is set")
    hint = provider.get("env_key_instructions")
    fix = f"Set {variable} where agentapi is started."
    return wrong(
        _WHAT,
        f"the provider {name} reads {variable}, which is not set",
        f"{fix}\n{hint}" if isinstance(hint, str) else fix,
    )


def _login(
    program: CodexProgram | None, home: Path, environment: Mapping[str, str]
) -> Iterator[Finding]:
    file = home / "auth.json"
    kind, fault = _stored(file)
    if fault:
        yield wrong(_WHAT, fault, "Move the file away and log in again: codex login")
    elif kind or _logged_in(program, home, environment):
        where = f"{kind} in {file}" if kind else "a login in the system's keyring"
        yield fine(_WHAT, where)
    else:
        yield _none(environment)
    if kind and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield note(_WHAT, f"others may read {file}", f"chmod 600 {file}")


def _stored(file: Path) -> tuple[str, str]:
    """What kind of login the file holds, and what is wrong with the file; either may be empty."""
    try:
        data = json.loads(file.read_bytes())
    except FileNotFoundError:
        return "", ""
    except OSError as error:
        return "", f"{file} cannot be read: {error.strerror}"
    except ValueError:
        return "", f"{file} is not valid JSON"
    if not isinstance(data, dict):
        return "", f"{file} holds no JSON object"
    if data.get("tokens"):
        return "a ChatGPT login", ""
    return ("an API key", "") if data.get("OPENAI_API_KEY") else ("", "")


def _logged_in(program: CodexProgram | None, home: Path, environment: Mapping[str, str]) -> bool:
    if program is None or not home.is_dir():
        return False
    asked = probe([program.path, "login", "status"], {**environment, "CODEX_HOME": str(home)})
    return asked.returncode == 0


def _none(environment: Mapping[str, str]) -> Finding:
    given = [name for name in _IGNORED if environment.get(name, "").strip()]
    if given:
        return wrong(
            _WHAT,
            f"{' and '.join(given)} set, and ignored by Codex's terminal program: it would ask"
            " you to log in",
            f"printenv {given[0]} | codex login --with-api-key",
        )
    return wrong(
        _WHAT,
        "none: Codex would ask you to log in",
        "codex login\nor: codex login --with-api-key <FILE-WITH-THE-KEY",
    )
