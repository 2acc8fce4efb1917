"""What an administrator's requirements.toml does to the user's configuration.

Codex falls back silently, or with a warning on its screen, where a setting is not allowed; one
combination ends it. It ignores misspelt keys even in its strict mode.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentapi.model.finding import Finding, fine, note, wrong

FILE = Path("/etc/codex/requirements.toml")
_WHAT = "requirements"
_KNOWN = frozenset(
    [
        "additional_developer_instructions",
        "allow_appshots",
        "allow_browser_and_computer_use",
        "allow_login_shell",
        "allow_managed_hooks_only",
        "allow_remote_control",
        "allowed_approval_policies",
        "allowed_approvals_reviewers",
        "allowed_login_methods",
        "allowed_permission_profiles",
        "allowed_sandbox_modes",
        "allowed_web_search_modes",
        "allowed_windows_sandbox_implementations",
        "application",
        "apps",
        "auto_review",
        "browser_use",
        "chatgpt_base_url",
        "check_for_update_on_startup",
        "cli_auth_credentials_store",
        "computer_use",
        "default_permissions",
        "enforce_residency",
        "experimental_network",
        "feature_requirements",
        "features",
        "feedback",
        "hooks",
        "in_app_browser",
        "log_dir",
        "mcp_servers",
        "model_catalog_json",
        "model_provider",
        "model_providers",
        "models",
        "network",
        "otel",
        "permissions",
        "plugins",
        "rules",
        "sqlite_home",
    ]
)
"""What Codex 0.169 names when it prints its requirements, and the tables beside it."""


def check_requirements(config: Mapping[str, Any], file: Path = FILE) -> list[Finding]:
    """Where `config` (the effective one) and the requirements disagree."""
    try:
        rules = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [fine(_WHAT, f"none ({file})")]
    except (OSError, ValueError) as error:
        fix = "Ask the administrator: Codex does not start with it."
        return [wrong(_WHAT, f"{file}: {error}", fix)]
    return list(_conflicts(rules, config, file)) or [fine(_WHAT, f"{file}: no conflict")]


def _conflicts(
    rules: Mapping[str, Any], config: Mapping[str, Any], file: Path
) -> Iterator[Finding]:
    yield from _sandbox(rules, config)
    yield from _fallback(rules, "allowed_approval_policies", config, "approval_policy")
    profiles = rules.get("allowed_permission_profiles")
    chosen = config.get("default_permissions")
    if isinstance(profiles, dict) and chosen and not profiles.get(chosen):
        yield note(_WHAT, f"default_permissions = {chosen!r} is not allowed: Codex falls back")
    yield from _servers(rules, config)
    if rules.get("allow_managed_hooks_only") is True and config.get("hooks"):
        yield note(_WHAT, "your hooks do not run: only the administrator's do")
    if unknown := sorted(set(rules) - _KNOWN):
        names = ", ".join(unknown)
        yield note(_WHAT, f"{file}: Codex ignores {names}", "Look for a misspelling.")


def _sandbox(rules: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[Finding]:
    allowed, mode = rules.get("allowed_sandbox_modes"), config.get("sandbox_mode")
    if not isinstance(allowed, list) or mode is None or mode in allowed:
        return
    if config.get("approval_policy") == "never":
        yield wrong(
            _WHAT,
            f'sandbox_mode = "{mode}" is not allowed, and approval_policy = "never" does not go'
            " with the read-only sandbox in its place: Codex does not start",
            'Set approval_policy = "on-request", or a sandbox_mode of: ' + ", ".join(allowed),
        )
    else:
        yield from _fallback(rules, "allowed_sandbox_modes", config, "sandbox_mode")


def _fallback(
    rules: Mapping[str, Any], rule: str, config: Mapping[str, Any], key: str
) -> Iterator[Finding]:
    allowed, value = rules.get(rule), config.get(key)
    if isinstance(allowed, list) and isinstance(value, str) and value not in allowed:
        listed = ", ".join(map(str, allowed))
        says = f'{key} = "{value}" is not allowed: Codex falls back to another'
        yield note(_WHAT, says, f"Set {key} to one of: {listed}")


def _servers(rules: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[Finding]:
    allowed, servers = rules.get("mcp_servers"), config.get("mcp_servers")
    if not isinstance(allowed, dict) or not isinstance(servers, dict):
        return
    for name, server in sorted(servers.items()):
        if not _allows(allowed.get(name), server):
            says = f"the MCP server {name!r} is disabled: not as the administrator allows it"
            yield note(_WHAT, says, f"Ask for [mcp_servers.{name}] in {FILE}")


def _allows(rule: object, server: object) -> bool:
    if not isinstance(rule, dict) or not isinstance(server, dict):
        return False
    identity = rule.get("identity")
    if not isinstance(identity, dict):
        return True
    return all(server.get(key) == value for key, value in identity.items())
