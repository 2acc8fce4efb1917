"""What the configuration writer plans and writes, without Codex at its side."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentapi.agents.codex.config import files as config_files
from agentapi.agents.codex.config.check import masked
from agentapi.agents.codex.config.config import (
    GATEWAYS,
    CodexProgram,
    ConfigError,
    ConfigOptions,
    ConfigPlan,
    plan_config,
)
from agentapi.agents.codex.config.text import BEGIN, END, merge_instructions

OLD_CODEX = CodexProgram("/nowhere/codex", "0.125.0", "table")
KEY = "sk-not-a-real-key"


@pytest.fixture
def options(tmp_path: Path) -> ConfigOptions:
    return ConfigOptions(codex_home=tmp_path / "codex home")


def _write(options: ConfigOptions, **how: Any) -> ConfigPlan:
    plan = plan_config(options, check=False, **how)
    plan.write()
    return plan


def _config(options: ConfigOptions, name: str = "config.toml") -> dict[str, Any]:
    return tomllib.loads((options.codex_home / name).read_text())


def _snapshot(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.iterdir()}


def _file(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_the_secure_default_is_the_modules(options: ConfigOptions) -> None:
    _write(options)
    assert _config(options) == {
        "sandbox_mode": "workspace-write",
        "approval_policy": "never",
        "preferred_auth_method": "apikey",
        "sandbox_workspace_write": {"network_access": True},
    }


def test_every_option_has_its_place(options: ConfigOptions, tmp_path: Path) -> None:
    servers = _file(tmp_path, "mcp.toml", '[mcp_servers.gh]\ncommand = "gh"\n')
    workdir = tmp_path / "a dir | [x]"
    _write(
        replace(
            options,
            workdir=workdir,
            mcp_servers=servers,
            model="gpt-5.1",
            latest_model="gpt-5.4",
            reasoning_effort="high",
            report_tasks=True,
            app_status_slug="ccw",
            gateway="aibridge",
            access_url="https://coder.test/",
        )
    )
    config = _config(options)
    assert config["projects"] == {str(workdir): {"trust_level": "trusted"}}
    assert config["model"] == "gpt-5.1"
    assert config["model_provider"] == "aibridge"
    assert config["model_reasoning_effort"] == "high"
    assert config["notice"] == {"model_migrations": {"gpt-5.1": "gpt-5.4"}}
    assert config["mcp_servers"]["gh"] == {"command": "gh"}
    coder = config["mcp_servers"]["Coder"]
    assert [coder["command"], *coder["args"]] == ["coder", "exp", "mcp", "server"]
    assert coder["env_vars"] == ["CODER_AGENT_URL", "CODER_AGENT_TOKEN"]
    assert coder["env"] == {
        "CODER_MCP_APP_STATUS_SLUG": "ccw",
        "CODER_MCP_AI_AGENTAPI_URL": "http://localhost:3284",
        "CODER_MCP_ALLOWED_TOOLS": "coder_report_task",
    }


@pytest.mark.parametrize(
    ("gateway", "address", "variable"),
    [
        ("aibridge", "/api/v2/aibridge/openai/v1", "CODER_AIBRIDGE_SESSION_TOKEN"),
        ("aigateway", "/api/v2/aibridge/openai/v1", "OPENAI_CODER_AIGATEWAY_SESSION_TOKEN"),
        ("ai_gateway", "/api/v2/ai-gateway/openai/v1", "OPENAI_API_KEY"),
    ],
)
def test_a_gateway_of_each_generation(
    options: ConfigOptions, gateway: str, address: str, variable: str
) -> None:
    _write(replace(options, gateway=gateway, access_url="https://coder.test"), api_key=KEY)
    provider = _config(options)["model_providers"][gateway]
    assert provider["base_url"] == "https://coder.test" + address
    assert provider["env_key"] == variable
    assert provider["wire_api"] == "responses"
    assert not (options.codex_home / "auth.json").exists(), "a gateway has a token of its own"


def test_the_command_line_knows_the_gateways() -> None:
    from agentapi.agents.codex.config import command

    assert set(command._GATEWAYS) == set(GATEWAYS)


def test_a_gateway_needs_an_address(options: ConfigOptions) -> None:
    with pytest.raises(ConfigError, match="--access-url"):
        plan_config(replace(options, gateway="aibridge"))
    assert not options.codex_home.exists()


def test_a_profile_follows_the_form_that_the_installed_codex_accepts(
    options: ConfigOptions,
) -> None:
    asked = replace(
        options, profile="aibridge", model="m", gateway="aibridge", access_url="https://c.test"
    )
    profile = {"model_provider": "aibridge", "model": "m"}
    _write(asked, codex=OLD_CODEX)
    assert _config(options)["profiles"] == {"aibridge": profile}
    _write(asked, codex=replace(OLD_CODEX, profile_form="file"))
    assert "profiles" not in _config(options)
    assert _config(options, "aibridge.config.toml") == profile
    _write(asked, codex=OLD_CODEX)
    assert _config(options)["profiles"] == {"aibridge": profile}
    assert _config(options, "aibridge.config.toml") == {}


def test_profiles_in_the_modules_fragment_become_files_without_their_empty_values(
    options: ConfigOptions, tmp_path: Path
) -> None:
    fragment = _file(
        tmp_path,
        "gateway.toml",
        '[model_providers.aibridge]\nname = "AI Bridge"\nbase_url = "http://x.test"\n'
        '[profiles.aibridge]\nmodel_provider = "aibridge"\nmodel = "m"\n'
        'model_reasoning_effort = ""\n',
    )
    _write(replace(options, gateway_config=fragment))
    assert _config(options)["model_providers"]["aibridge"]["name"] == "AI Bridge"
    assert _config(options, "aibridge.config.toml") == {"model_provider": "aibridge", "model": "m"}


def test_a_users_old_profile_that_stops_a_current_codex_is_pointed_out(
    options: ConfigOptions,
) -> None:
    options.codex_home.mkdir()
    _file(options.codex_home, "config.toml", '[profiles.mine]\nmodel = "m"\n')
    plan = _write(replace(options, profile="mine", model="n"))
    assert any("move its values to mine.config.toml" in note for note in plan.notes)
    assert _config(options)["profiles"] == {"mine": {"model": "m"}}


def test_a_profiles_name_is_no_path(options: ConfigOptions) -> None:
    with pytest.raises(ConfigError, match="letters, digits"):
        plan_config(replace(options, profile="../../etc/x", model="m"))


def test_the_base_config_replaces_the_default_and_keeps_its_comments(
    options: ConfigOptions, tmp_path: Path
) -> None:
    base = _file(
        tmp_path,
        "base.toml",
        '# for all\nsandbox_mode = "danger-full-access" # ours\n[custom]\nx = 1\n',
    )
    asked = replace(options, base_config=base, model="m")
    _write(asked)
    text = (options.codex_home / "config.toml").read_text()
    assert "# for all\n" in text
    assert 'sandbox_mode = "danger-full-access" # ours\n' in text
    assert _config(options) == {
        "sandbox_mode": "danger-full-access",
        "custom": {"x": 1},
        "model": "m",
    }
    before = _snapshot(options.codex_home)
    _write(asked)
    assert _snapshot(options.codex_home) == before
    base.write_text('sandbox_mode = "read-only"\n')
    _write(asked)
    assert _config(options) == {"sandbox_mode": "read-only", "model": "m"}


def test_two_runs_give_the_same_bytes(options: ConfigOptions, tmp_path: Path) -> None:
    asked = replace(
        options,
        report_tasks=True,
        workdir=tmp_path,
        profile="p",
        model="m",
        instructions=_file(tmp_path, "i.md", "Be brief.\n"),
    )
    _write(asked, api_key=KEY)
    before = _snapshot(options.codex_home)
    times = {path: path.stat().st_mtime_ns for path in options.codex_home.iterdir()}
    again = _write(asked, api_key=KEY)
    assert _snapshot(options.codex_home) == before
    assert again.changed == []
    assert {path: path.stat().st_mtime_ns for path in options.codex_home.iterdir()} == times


def test_a_users_own_settings_stay_and_are_told(options: ConfigOptions) -> None:
    options.codex_home.mkdir()
    theirs = '# mine\nmodel = "x" # I like it\n\n[mcp_servers.Coder]\nurl = "http://localhost:1"\n'
    _file(options.codex_home, "config.toml", theirs)
    plan = _write(replace(options, model="m", report_tasks=True))
    config = _config(options)
    assert config["model"] == "x"
    assert config["mcp_servers"] == {"Coder": {"url": "http://localhost:1"}}
    assert config["sandbox_mode"] == "workspace-write"
    assert [note.split(" (")[0] for note in plan.notes] == [
        "config.toml: kept your model",
        "config.toml: kept your mcp_servers.Coder",
    ]
    _write(replace(options, model="m", report_tasks=True, overwrite=True))
    assert _config(options)["model"] == "m"


def test_a_sandbox_mode_would_switch_the_users_permission_profiles_off(
    options: ConfigOptions,
) -> None:
    options.codex_home.mkdir()
    _file(options.codex_home, "config.toml", 'default_permissions = "agent"\n')
    plan = _write(options)
    assert "sandbox_mode" not in _config(options)
    assert "default_permissions" in plan.notes[0]


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("config.toml", 'model = "x\n', "1:11"),
        ("auth.json", '{"OPENAI_API_KEY": }', "1:20"),
        ("auth.json", "[]", "1:1"),
        ("agentapi.json", "{", "1:2"),
        ("AGENTS.md", f"a\n{BEGIN}\nb\n", "2:1"),
    ],
)
def test_a_broken_file_is_an_error_and_nothing_is_written(
    options: ConfigOptions, tmp_path: Path, name: str, text: str, place: str
) -> None:
    options.codex_home.mkdir()
    path = _file(options.codex_home, name, text)
    asked = replace(options, instructions=_file(tmp_path, "i.md", "x"), model="m")
    with pytest.raises(ConfigError) as caught:
        _write(asked, api_key=KEY)
    assert str(caught.value).startswith(f"{path}:{place}: ")
    assert _snapshot(options.codex_home) == {name: text.encode()}


def test_a_broken_fragment_is_named(options: ConfigOptions, tmp_path: Path) -> None:
    fragment = _file(tmp_path, "mcp.toml", "[mcp_servers.a\n")
    with pytest.raises(ConfigError, match=r"mcp\.toml:1:15: not valid TOML"):
        plan_config(replace(options, mcp_servers=fragment))
    with pytest.raises(ConfigError, match="no such file"):
        plan_config(replace(options, mcp_servers=tmp_path / "gone"))


def test_a_linked_file_stays_a_link(options: ConfigOptions, tmp_path: Path) -> None:
    options.codex_home.mkdir()
    real = _file(tmp_path, "dotfiles.toml", 'model = "mine"\n')
    real.chmod(0o640)
    (options.codex_home / "config.toml").symlink_to(real)
    (options.codex_home / "AGENTS.md").symlink_to(tmp_path / "not" / "yet.md")
    _write(replace(options, instructions=_file(tmp_path, "i.md", "x")))
    assert (options.codex_home / "config.toml").is_symlink()
    assert "sandbox_mode" in real.read_text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert "x" in (tmp_path / "not" / "yet.md").read_text()


def test_a_file_that_everybody_could_read_is_closed(options: ConfigOptions) -> None:
    """It may hold a token, as that of Coder's MCP server."""
    options.codex_home.mkdir()
    config = _file(options.codex_home, "config.toml", 'model = "mine"\n')
    config.chmod(0o644)
    _write(options)
    assert stat.S_IMODE(config.stat().st_mode) == 0o600


def test_no_temporary_file_stays_when_the_disk_refuses(
    options: ConfigOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        _write(options)
    assert list(options.codex_home.iterdir()) == []


def test_a_change_between_reading_and_writing_is_not_lost(options: ConfigOptions) -> None:
    plan = plan_config(options, check=False)
    options.codex_home.mkdir()
    _file(options.codex_home, "config.toml", "theirs = 1\n")
    with pytest.raises(ConfigError, match="meanwhile"):
        plan.write()
    assert _config(options) == {"theirs": 1}


@pytest.mark.parametrize("survives", range(4))
def test_a_run_that_was_killed_is_taken_up_by_the_next(
    options: ConfigOptions, monkeypatch: pytest.MonkeyPatch, survives: int
) -> None:
    """Killed after any number of its writes, the next run ends where it would have."""
    _write(replace(options, model="old", reasoning_effort="low"), api_key="sk-old")
    left = survives

    def dies(path: Path, text: str, *, mode: int | None = None) -> None:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        config_files.replace_file(path, text, mode=mode)

    asked = replace(options, model="new", report_tasks=True)
    with monkeypatch.context() as patch:
        patch.setattr("agentapi.agents.codex.config.config.replace_file", dies)
        with pytest.raises(KeyboardInterrupt):
            _write(asked, api_key="sk-new")
    plan = _write(asked, api_key="sk-new")
    assert plan.notes == []
    fresh = replace(asked, codex_home=options.codex_home.parent / "fresh")
    _write(fresh, api_key="sk-new")
    assert _config(options) == _config(fresh)
    assert json.loads((options.codex_home / "auth.json").read_text())["OPENAI_API_KEY"] == "sk-new"


def test_auth_json_is_for_its_owner_only(options: ConfigOptions) -> None:
    _write(options, api_key=KEY)
    auth = options.codex_home / "auth.json"
    assert stat.S_IMODE(auth.stat().st_mode) == 0o600
    assert json.loads(auth.read_text()) == {"auth_mode": "apikey", "OPENAI_API_KEY": KEY}
    auth.chmod(0o644)
    _write(options, api_key="sk-the-next-one")
    assert stat.S_IMODE(auth.stat().st_mode) == 0o600
    assert json.loads(auth.read_text())["OPENAI_API_KEY"] == "sk-the-next-one"


@pytest.mark.parametrize(
    "login",
    [
        {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": {"id_token": "t"}},
        {"OPENAI_API_KEY": "sk-another"},
    ],
)
def test_a_login_that_is_there_is_not_replaced_unasked(
    options: ConfigOptions, login: dict[str, Any]
) -> None:
    options.codex_home.mkdir()
    auth = _file(options.codex_home, "auth.json", json.dumps(login))
    plan = _write(options, api_key=KEY)
    assert json.loads(auth.read_text()) == login
    assert "kept the login" in plan.notes[0]
    _write(replace(options, overwrite=True), api_key=KEY)
    assert json.loads(auth.read_text())["OPENAI_API_KEY"] == KEY


def test_a_run_without_the_key_leaves_the_login(options: ConfigOptions) -> None:
    _write(options, api_key=KEY)
    _write(options)
    _write(options, api_key="sk-next")
    assert "sk-next" in (options.codex_home / "auth.json").read_text()


def test_no_secret_in_the_diff_nor_in_the_list(options: ConfigOptions, tmp_path: Path) -> None:
    fragment = _file(
        tmp_path,
        "mcp.toml",
        '[mcp_servers.a]\nurl = "http://x"\nenv = { PASS = "hunter\\"2" }\n'
        'http_headers = { Authorization = "Bearer abcd" }\nbearer_token_env_var = "A_NAME"\n',
    )
    plan = plan_config(replace(options, mcp_servers=fragment), api_key=KEY, check=False)
    diff = plan.diff()
    plan.write()
    for text in (diff, (options.codex_home / "agentapi.json").read_text(), str(plan.notes)):
        assert "hunter" not in text
        assert "abcd" not in text
        assert KEY not in text
    assert 'PASS = "…"' in diff
    assert "A_NAME" in diff
    assert masked("not toml = [") == "not toml = ["


def test_the_instructions_stand_in_agents_md_once(options: ConfigOptions, tmp_path: Path) -> None:
    options.codex_home.mkdir()
    agents = _file(options.codex_home, "AGENTS.md", "My own rules.")
    prompt = _file(tmp_path, "i.md", "Be brief.\nBe kind.\n")
    asked = replace(options, instructions=prompt)
    _write(asked)
    _write(asked)
    block = f"{BEGIN}\nBe brief.\nBe kind.\n{END}\n"
    assert agents.read_text() == f"My own rules.\n\n{block}"
    prompt.write_text("Be quick.")
    _write(asked)
    assert agents.read_text() == f"My own rules.\n\n{BEGIN}\nBe quick.\n{END}\n"
    _write(options)
    assert agents.read_text() == "My own rules.\n"


def test_instructions_that_the_module_appended_are_not_written_twice(
    options: ConfigOptions, tmp_path: Path
) -> None:
    options.codex_home.mkdir()
    agents = _file(options.codex_home, "AGENTS.md", "Mine.\nBe brief.\n")
    _write(replace(options, instructions=_file(tmp_path, "i.md", "Be brief.\n")))
    assert agents.read_text() == "Mine.\nBe brief.\n"


def test_a_block_that_the_user_rewrote_or_deleted_is_theirs(
    options: ConfigOptions, tmp_path: Path
) -> None:
    asked = replace(options, instructions=_file(tmp_path, "i.md", "Be brief."))
    _write(asked)
    agents = options.codex_home / "AGENTS.md"
    for theirs in (agents.read_text().replace("brief", "funny"), "Nothing but mine.\n"):
        agents.write_text(theirs)
        plan = _write(replace(asked, instructions=_file(tmp_path, "j.md", "Be quick.")))
        assert agents.read_text() == theirs
        assert "kept your version" in plan.notes[0]
    _write(replace(asked, overwrite=True))
    assert "Be brief." in agents.read_text()


def test_an_override_file_is_pointed_out(options: ConfigOptions, tmp_path: Path) -> None:
    options.codex_home.mkdir()
    _file(options.codex_home, "AGENTS.override.md", "x")
    plan = _write(replace(options, instructions=_file(tmp_path, "i.md", "Be brief.")))
    assert any("AGENTS.override.md" in note for note in plan.notes)


def test_without_the_list_a_block_counts_as_ours() -> None:
    text = f"Mine.\n\n{BEGIN}\nold\n{END}\n"
    after, owned, kept = merge_instructions(text, "new", None, source="AGENTS.md")
    assert after == f"Mine.\n\n{BEGIN}\nnew\n{END}\n"
    assert owned.keys
    assert not kept


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_run_by_root_the_files_belong_to_the_folders_owner(options: ConfigOptions) -> None:
    os.chown(options.codex_home.parent, 1234, 1235)
    _write(options, api_key=KEY)
    for path in (options.codex_home, *options.codex_home.iterdir()):
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)
