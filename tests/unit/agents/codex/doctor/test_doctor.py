"""What the doctor says of Codex, without a real one: small programs stand for it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest

from agentapi.agents.codex.config.config import CodexProgram
from agentapi.agents.codex.doctor.credentials import check_credentials
from agentapi.agents.codex.doctor.doctor import DOCTOR
from agentapi.agents.codex.doctor.node import check_node
from agentapi.agents.codex.doctor.program import effective_config, look_for_codex
from agentapi.agents.codex.doctor.requirements import check_requirements
from agentapi.agents.codex.doctor.sandbox import check_sandbox
from agentapi.model.finding import Finding, State


def _program(file: Path, text: str) -> str:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


def _codex(file: Path, text: str) -> CodexProgram:
    return CodexProgram(_program(file, text), "0.169.0", "file")


# Codex


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("codex-cli 0.79.9", State.WRONG),
        ("codex-cli 0.80.0", State.FINE),
        ("codex-cli 0.169.3-alpha.1", State.FINE),
        ("codex-cli 0.170.0", State.NOTE),
        ("codex-cli 1.0.0", State.NOTE),
        ("something else", State.NOTE),
    ],
)
def test_a_version_is_known_or_not(tmp_path: Path, version: str, state: State) -> None:
    path = _program(tmp_path / "codex", f"echo {version}")
    program, finding = look_for_codex(path, os.environ)
    assert program is not None
    assert finding.state is state
    assert path in finding.says
    assert bool(finding.fix) is (state is State.WRONG)


def test_a_codex_that_does_not_run_says_why(tmp_path: Path) -> None:
    path = _program(tmp_path / "codex", "echo 'node: not found' >&2; exit 127")
    program, finding = look_for_codex(path, os.environ)
    assert program is None
    assert finding.state is State.WRONG
    assert "node: not found" in finding.says


def test_the_layers_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        'model = "mine"\nmodel_provider = "mine"\n[model_providers.mine]\nenv_key = "MINE"\n'
    )
    system = tmp_path / "etc"
    system.mkdir()
    (system / "config.toml").write_text('model = "system"\n[model_providers.theirs]\nname = "x"\n')
    (system / "managed_config.toml").write_text('model_provider = "theirs"\n')
    config = effective_config(tmp_path, system)
    assert (config["model"], config["model_provider"]) == ("mine", "theirs")
    assert set(config["model_providers"]) == {"mine", "theirs"}
    (tmp_path / "config.toml").write_text("broken = [")
    assert effective_config(tmp_path, system)["model"] == "system"


# Credentials

_MINE = {"model_provider": "mine", "model_providers": {"mine": {"env_key": "MINE"}}}


@pytest.mark.parametrize(
    ("config", "auth", "environment", "state", "says"),
    [
        ({}, None, {}, State.WRONG, "none: "),
        ({}, None, {"OPENAI_API_KEY": "sk-1"}, State.WRONG, "OPENAI_API_KEY set, and ignored"),
        ({}, None, {"CODEX_API_KEY": "sk-1"}, State.WRONG, "CODEX_API_KEY set, and ignored"),
        ({}, {"OPENAI_API_KEY": "sk-1"}, {}, State.FINE, "an API key in "),
        ({}, {"tokens": {"access_token": "t"}}, {}, State.FINE, "a ChatGPT login in "),
        ({}, {"OPENAI_API_KEY": None}, {}, State.WRONG, "none: "),
        ({}, [], {}, State.WRONG, "no JSON object"),
        (_MINE, None, {"MINE": "key"}, State.FINE, "reads MINE, which is set"),
        (_MINE, {"OPENAI_API_KEY": "sk-1"}, {}, State.WRONG, "reads MINE, which is not set"),
        (_MINE, None, {"MINE": " "}, State.WRONG, "reads MINE, which is not set"),
        ({"model_provider": "ollama"}, None, {}, State.FINE, "needs none"),
        (
            {"model_provider": "x", "model_providers": {"x": {"requires_openai_auth": True}}},
            None,
            {},
            State.WRONG,
            "none: ",
        ),
        (
            {"model_provider": "x", "model_providers": {"x": {"name": "local"}}},
            None,
            {},
            State.FINE,
            "asks for no variable",
        ),
    ],
)
def test_credentials(
    tmp_path: Path,
    config: dict[str, Any],
    auth: object,
    environment: dict[str, str],
    state: State,
    says: str,
) -> None:
    if auth is not None:
        (tmp_path / "auth.json").write_text(json.dumps(auth))
        (tmp_path / "auth.json").chmod(0o600)
    (finding,) = check_credentials(None, tmp_path, config, environment)
    assert finding.state is state
    assert says in finding.says
    assert "sk-1" not in f"{finding}"


def test_an_auth_file_that_is_broken_or_open_to_all(tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    file.write_text("{")
    (finding,) = check_credentials(None, tmp_path, {}, {})
    assert (finding.state, "not valid JSON" in finding.says) == (State.WRONG, True)
    file.write_text('{"OPENAI_API_KEY": "sk-1"}')
    file.chmod(0o644)
    found = check_credentials(None, tmp_path, {}, {})
    assert [each.state for each in found] == [State.FINE, State.NOTE]
    assert found[1].fix == f"chmod 600 {file}"


def test_a_login_in_the_keyring_is_asked_of_codex(tmp_path: Path) -> None:
    codex = _codex(tmp_path / "codex", '[ "$*" = "login status" ] && [ -d "$CODEX_HOME" ]')
    (finding,) = check_credentials(codex, tmp_path, {}, dict(os.environ))
    assert (finding.state, finding.says) == (State.FINE, "a login in the system's keyring")


def test_an_ignored_address_is_noted(tmp_path: Path) -> None:
    config = {"model_provider": "ollama"}
    _, finding = check_credentials(None, tmp_path, config, {"OPENAI_BASE_URL": "http://x"})
    assert (finding.state, "openai_base_url" in finding.fix) == (State.NOTE, True)


# Requirements


@pytest.mark.parametrize(
    ("rules", "config", "states", "says"),
    [
        ("", {"sandbox_mode": "read-only"}, [State.FINE], "no conflict"),
        ('allowed_approval_policies = ["never"]', {}, [State.FINE], "no conflict"),
        (
            'allowed_approval_policies = ["on-request"]',
            {"approval_policy": "never"},
            [State.NOTE],
            'approval_policy = "never" is not allowed',
        ),
        (
            'allowed_sandbox_modes = ["read-only"]',
            {"sandbox_mode": "workspace-write"},
            [State.NOTE],
            "falls back",
        ),
        (
            'allowed_sandbox_modes = ["read-only"]',
            {"sandbox_mode": "danger-full-access", "approval_policy": "never"},
            [State.WRONG],
            "does not start",
        ),
        (
            '[mcp_servers.gh.identity]\ncommand = "gh-mcp"',
            {"mcp_servers": {"gh": {"command": "gh-mcp"}, "Coder": {"command": "coder"}}},
            [State.NOTE],
            "'Coder' is disabled",
        ),
        (
            '[mcp_servers.gh.identity]\ncommand = "gh-mcp"',
            {"mcp_servers": {"gh": {"command": "another"}}},
            [State.NOTE],
            "'gh' is disabled",
        ),
        ("allow_managed_hooks_only = true", {"hooks": {"Stop": []}}, [State.NOTE], "hooks"),
        (
            'allowed_permission_profiles = { ":workspace" = true }',
            {"default_permissions": "agent"},
            [State.NOTE],
            "'agent' is not allowed",
        ),
        ("alowed_sandbox_modes = []", {}, [State.NOTE], "ignores alowed_sandbox_modes"),
        ("x = [", {}, [State.WRONG], "requirements.toml"),
    ],
)
def test_requirements(
    tmp_path: Path, rules: str, config: dict[str, Any], states: list[State], says: str
) -> None:
    file = tmp_path / "requirements.toml"
    file.write_text(rules)
    found = check_requirements(config, file)
    assert [finding.state for finding in found] == states
    assert says in found[0].says


def test_no_requirements(tmp_path: Path) -> None:
    (finding,) = check_requirements({"sandbox_mode": "x"}, tmp_path / "none.toml")
    assert finding.state is State.FINE


# The sandbox


def _sandbox(tmp_path: Path, codex: str, mode: str = "", **sysctls: str) -> Finding:
    for name, value in sysctls.items():
        file = tmp_path / "proc" / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    config = {"sandbox_mode": mode} if mode else {}
    program = _codex(tmp_path / "codex", codex)
    return check_sandbox(program, tmp_path, config, os.environ, tmp_path / "proc")


def test_a_sandbox_that_works(tmp_path: Path) -> None:
    assert _sandbox(tmp_path, '[ "$*" = "sandbox -- true" ]').state is State.FINE


def test_an_older_codex_is_asked_in_its_own_words(tmp_path: Path) -> None:
    words = "echo \"error: unrecognized subcommand 'true'\" >&2; exit 2"
    codex = f'[ "$2" = linux ] && exit 0; {words}'
    assert _sandbox(tmp_path, codex).state is State.FINE


@pytest.mark.parametrize(
    ("version", "mode", "state"),
    [
        ("0.125.0", "", State.FINE),
        ("0.107.0", "", State.NOTE),
        ("0.80.0", "danger-full-access", State.FINE),
    ],
)
def test_a_sandbox_that_shows_the_server_to_a_command(
    tmp_path: Path, version: str, mode: str, state: State
) -> None:
    program = replace(_codex(tmp_path / "codex", "exit 0"), version=version)
    config = {"sandbox_mode": mode}
    assert check_sandbox(program, tmp_path, config, os.environ, tmp_path).state is state


def test_a_sandbox_that_the_kernel_forbids(tmp_path: Path) -> None:
    finding = _sandbox(
        tmp_path,
        "echo 'WARNING: x' >&2; echo 'bwrap: No permissions' >&2; exit 1",
        user__max_user_namespaces="0",
        kernel__unprivileged_userns_clone="1",
        kernel__apparmor_restrict_unprivileged_userns="1",
    )
    assert finding.state is State.WRONG
    assert "bwrap: No permissions" in finding.says
    assert "user.max_user_namespaces=15000" in finding.fix
    assert "kernel.apparmor_restrict_unprivileged_userns=0" in finding.fix
    assert "unprivileged_userns_clone" not in finding.fix
    assert "danger-full-access" in finding.fix


def test_a_sandbox_that_is_not_used_need_not_work(tmp_path: Path) -> None:
    assert _sandbox(tmp_path, "exit 1", "danger-full-access").state is State.NOTE


# Node.js


def test_node_is_needed_by_the_launcher_of_npm(tmp_path: Path) -> None:
    launcher = tmp_path / "codex"
    launcher.write_text("#!/usr/bin/env node\n")
    nowhere = {"PATH": str(tmp_path)}
    assert check_node(str(launcher), nowhere).state is State.WRONG
    assert check_node(_program(tmp_path / "native", ""), nowhere).state is State.NOTE
    assert check_node(None, nowhere).state is State.NOTE
    _program(tmp_path / "node", "echo v14.2.0")
    assert check_node(str(launcher), nowhere).state is State.WRONG
    _program(tmp_path / "node", "echo v22.1.0")
    assert "without npm" in check_node(str(launcher), nowhere).says
    _program(tmp_path / "npm", "")
    assert check_node(str(launcher), nowhere).state is State.FINE


def test_a_home_that_does_not_last(tmp_path: Path) -> None:
    given = {"codex": "codex", "codex_home": Path(gettempdir(), "codex"), "session_file": tmp_path}
    faults = DOCTOR.examine(given, {}, tmp_path).folder_faults
    assert ["temporary" in each.says for each in faults] == [True]
    given["codex_home"] = Path("/home/me/.codex")
    assert DOCTOR.examine(given, {}, tmp_path).folder_faults == []
