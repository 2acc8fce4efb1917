"""Build the content of Codex's config.toml from the options."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tomlkit
from tomlkit.exceptions import TOMLKitError

from agentapi.agents.codex.config.files import ConfigError, parse_toml, read_given
from agentapi.agents.codex.config.merge import Inline, plain

ProfileForm = Literal["file", "table"]
"""`file`: `$CODEX_HOME/NAME.config.toml`, which current versions demand (`versions.PROFILE_FILES`);
`table`: `[profiles.NAME]` in config.toml, which those refuse and older ones knew."""

_GATEWAY_PATH = "/api/v2/aibridge/openai/v1"


@dataclass(frozen=True)
class Gateway:
    """The configuration of one generation of Coder's AI gateway."""

    provider: str
    name: str
    token_variable: str
    path: str

    def table(self, access_url: str) -> dict[str, Any]:
        """Return the `[model_providers.…]` table; the token stays in its variable."""
        return {
            "name": self.name,
            "base_url": access_url.rstrip("/") + self.path,
            "env_key": self.token_variable,
            "wire_api": "responses",
        }


GATEWAYS = {
    each.provider: each
    for each in (
        Gateway("aibridge", "AI Bridge", "CODER_AIBRIDGE_SESSION_TOKEN", _GATEWAY_PATH),
        Gateway("aigateway", "AI Gateway", "OPENAI_CODER_AIGATEWAY_SESSION_TOKEN", _GATEWAY_PATH),
        Gateway("ai_gateway", "AI Gateway", "OPENAI_API_KEY", "/api/v2/ai-gateway/openai/v1"),
    )
}
"""By provider id: Coder's Codex module 4.x, 5.x, and the documentation of Coder 2.35 and later."""


@dataclass(frozen=True)
class ConfigOptions:
    """The options of `agentapi configure codex`. They define all of our part: values of an earlier
    run that this one does not set are removed."""

    codex_home: Path
    workdir: Path | None = None
    """A folder that Codex trusts without asking at the start."""
    base_config: Path | None = None
    """TOML in place of the secure default."""
    mcp_servers: Path | None = None
    """TOML, usually `[mcp_servers.NAME]` tables."""
    gateway_config: Path | None = None
    """TOML with a provider's tables, instead of those of `gateway`."""
    instructions: Path | None = None
    """Text for AGENTS.md."""
    model: str = ""
    latest_model: str = ""
    """The successor of `model` that Codex must not suggest: `notice.model_migrations`."""
    reasoning_effort: str = ""
    coder_mcp: bool = False
    """Offer Coder's MCP server to the agent."""
    report_tasks: bool = False
    app_status_slug: str = ""
    agentapi_url: str = "http://localhost:3284"
    gateway: str = ""
    access_url: str = ""
    profile: str = ""
    """Put model, provider and effort into this profile instead of the top level."""
    overwrite: bool = False
    """Replace the user's values by those of the options."""


def wanted_config(options: ConfigOptions) -> dict[str, Any]:
    """Return the wanted config.toml, with profiles as `[profiles.NAME]` tables.

    Raises `ConfigError` for an invalid fragment and for conflicting options."""
    wanted = read_fragment(options.base_config) if options.base_config else secure_default()
    _overlay(wanted, _choices(options))
    if options.workdir:
        trusted = {"trust_level": "trusted"}
        _overlay(wanted, {"projects": {os.path.realpath(options.workdir): trusted}})
    if options.coder_mcp or options.report_tasks:
        _overlay(wanted, {"mcp_servers": {"Coder": coder_server(options)}})
    for fragment in (options.mcp_servers, options.gateway_config):
        if fragment:
            _overlay(wanted, read_fragment(fragment))
    return wanted


def secure_default() -> dict[str, Any]:
    """Return the default of Coder's module: no approvals, since the sandbox protects."""
    return {
        "sandbox_mode": "workspace-write",
        "approval_policy": "never",
        "preferred_auth_method": "apikey",
        "sandbox_workspace_write": {"network_access": True},
    }


def _choices(options: ConfigOptions) -> dict[str, Any]:
    """Return model, effort and provider, at the top level or in the profile."""
    choices: dict[str, Any] = {}
    result: dict[str, Any] = {}
    if options.gateway:
        gateway = GATEWAYS[options.gateway]
        choices["model_provider"] = gateway.provider
        if not options.access_url:
            raise ConfigError(
                f"--gateway {options.gateway} needs the address of the Coder deployment: "
                "add --access-url https://…"
            )
        providers = {gateway.provider: gateway.table(options.access_url)}
        result["model_providers"] = providers
    if options.model:
        choices["model"] = options.model
    if options.reasoning_effort:
        choices["model_reasoning_effort"] = options.reasoning_effort
    if options.model and options.latest_model and options.model != options.latest_model:
        result["notice"] = {"model_migrations": {options.model: options.latest_model}}
    if options.profile:
        return {**result, "profiles": {options.profile: choices}} if choices else result
    return {**choices, **result}


def coder_server(options: ConfigOptions) -> dict[str, Any]:
    """Return Coder's MCP server. Its token and address come from Codex's environment and are never
    in the file."""
    report = options.report_tasks
    return {
        "command": "coder",
        "args": ["exp", "mcp", "server"],
        "type": "stdio",
        "description": (
            "Report ALL tasks and statuses (in progress, done, failed) you are working on."
        ),
        "env_vars": ["CODER_AGENT_URL", "CODER_AGENT_TOKEN"],
        "env": Inline(
            CODER_MCP_APP_STATUS_SLUG=options.app_status_slug if report else "",
            CODER_MCP_AI_AGENTAPI_URL=options.agentapi_url if report else "",
            CODER_MCP_ALLOWED_TOOLS="coder_report_task",
        ),
    }


def read_fragment(path: Path) -> dict[str, Any]:
    """A TOML file that the operator hands over. Raises `ConfigError` with line and column."""
    text = read_given(path)
    parse_toml(text, str(path))
    try:
        return {key: plain(value) for key, value in tomlkit.parse(text).items()}
    except TOMLKitError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _overlay(below: dict[str, Any], above: dict[str, Any], depth: int = 0) -> None:
    """Merge `above` into `below`; a server or a provider is replaced as a whole."""
    for key, value in above.items():
        there = below.get(key)
        units = depth == 0 and key in ("mcp_servers", "model_providers")
        if units and isinstance(there, dict) and isinstance(value, dict):
            there.update(value)
        elif isinstance(there, dict) and isinstance(value, dict):
            _overlay(there, value, depth + 1)
        else:
            below[key] = value


def split_profiles(
    wanted: dict[str, Any], form: ProfileForm
) -> tuple[dict[str, Any], dict[str, dict[str, Any]], list[str]]:
    """Split into config.toml, the file of each profile, and notes for the user.

    An empty value in a profile (an unset variable of the module) is dropped: Codex refuses to start
    with it."""
    rest = dict(wanted)
    profiles = rest.pop("profiles", {})
    if not isinstance(profiles, dict):
        return wanted, {}, []
    profiles = {
        name: {key: value for key, value in each.items() if value != ""}
        for name, each in profiles.items()
        if isinstance(each, dict)
    }
    if form == "table":
        return {**rest, "profiles": profiles} if profiles else rest, {}, []
    notes = []
    if "profile" in rest:
        notes.append(
            f"left out `profile = {rest.pop('profile')!r}`: the installed Codex refuses it; start "
            "it with --profile"
        )
    return rest, profiles, notes
