"""`agentapi configure codex` beside the real Codex: what it writes, Codex takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

FindCodex = Callable[[str | None], Path]
VERSIONS = (None, "0.125.0", "0.80.0")

pytestmark = pytest.mark.codex


def _configure(
    home: Path, codex: Path, *options: str, key: str = "sk-secret-of-a-test"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agentapi", "configure", "codex"]
    place = ["--codex-home", str(home), "--codex", str(codex)]
    return subprocess.run(
        [*command, *place, *options],
        env={"PATH": os.environ["PATH"], "HOME": str(home.parent), "OPENAI_API_KEY": key},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _codex(home: Path, codex: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(codex), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(home.parent), "CODEX_HOME": str(home)},
        cwd=home.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _everything(scratch: Path) -> list[str]:
    (scratch / "mcp.toml").write_text(
        '[mcp_servers.gh]\ncommand = "gh-mcp"\nenv = { GH_TOKEN = "s3cret" }\n'
    )
    (scratch / "rules.md").write_text("Answer in rhymes.\n")
    return [
        *("--workdir", str(scratch), "--mcp-servers", str(scratch / "mcp.toml")),
        *("--instructions", str(scratch / "rules.md"), "--model", "gpt-5.1"),
        *("--latest-model", "gpt-5.4", "--reasoning-effort", "high"),
        *("--report-tasks", "--app-status-slug", "ccw"),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_codex_reads_what_we_wrote(scratch: Path, codex: FindCodex, version: str | None) -> None:
    home, binary = scratch / ".codex", codex(version)
    done = _configure(home, binary, *_everything(scratch))
    assert done.returncode == 0, done.stderr
    assert "secret" not in done.stdout + done.stderr
    servers = _codex(home, binary, "mcp", "list", "--json")
    assert servers.returncode == 0, servers.stderr
    by_name = {server["name"]: server["transport"] for server in json.loads(servers.stdout)}
    assert by_name["Coder"]["args"] == ["exp", "mcp", "server"]
    assert by_name["Coder"]["env_vars"] == ["CODER_AGENT_URL", "CODER_AGENT_TOKEN"]
    assert by_name["gh"]["env"] == {"GH_TOKEN": "s3cret"}
    login = _codex(home, binary, "login", "status")
    assert "API key" in login.stdout + login.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_a_profile_is_one_that_this_codex_starts_with(
    scratch: Path, codex: FindCodex, version: str | None
) -> None:
    home, binary = scratch / ".codex", codex(version)
    gateway = ("--gateway", "aibridge", "--access-url", "https://coder.test")
    options = (*_everything(scratch), *gateway, "--profile", "aibridge")
    done = _configure(home, binary, *options)
    assert done.returncode == 0, done.stderr
    assert (home / "aibridge.config.toml").exists() == (version is None)
    used = _codex(home, binary, "-p", "aibridge", "mcp", "list")
    assert used.returncode == 0, used.stderr
    assert not (home / "auth.json").exists()


def test_the_prompt_that_codex_sends_holds_the_instructions(
    scratch: Path, codex: FindCodex
) -> None:
    home, binary = scratch / ".codex", codex(None)
    assert _configure(home, binary, *_everything(scratch)).returncode == 0
    sent = _codex(home, binary, "debug", "prompt-input", "hello")
    assert sent.stdout.count("Answer in rhymes.") == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_what_codex_refuses_is_said_and_not_written(
    scratch: Path, codex: FindCodex, version: str | None
) -> None:
    home, binary = scratch / ".codex", codex(version)
    home.mkdir()
    (home / "config.toml").write_text('model = "mine"\n')
    base = scratch / "base.toml"
    base.write_text("[mcp_servers.a]\ncommand = 5\n")
    done = _configure(home, binary, "--base-config", str(base))
    assert done.returncode == 2
    assert "Nothing was written" in done.stderr
    if version != "0.80.0":  # which names the key alone
        assert f"{home}/config.toml:" in done.stderr
    assert [path.name for path in home.iterdir()] == ["config.toml"]
    assert (home / "config.toml").read_text() == 'model = "mine"\n'
    unchecked = _configure(home, binary, "--base-config", str(base), "--no-check")
    assert unchecked.returncode == 0
    assert tomllib.loads((home / "config.toml").read_text())["mcp_servers"]


def test_what_codex_ignores_is_shown_with_its_line(scratch: Path, codex: FindCodex) -> None:
    home, binary = scratch / ".codex", codex(None)
    home.mkdir()
    (home / "config.toml").write_text('modell = "mine"\n[tabel]\nx = 1\ny = 2\n[tui]\nz = 1\n')
    done = _configure(home, binary)
    assert done.returncode == 0, done.stderr
    lines = (home / "config.toml").read_text().split("\n")
    ignored = [line for line in done.stderr.splitlines() if line.startswith("ignored by Codex")]
    assert len(ignored) == 3, done.stderr
    for word, report in zip(("modell", "tabel", "z"), ignored, strict=True):
        line = int(report.split("config.toml:")[1].split(":")[0])
        assert word in lines[line - 1]
        assert f"`{word}`" in report or f".{word}`" in report


def test_codexs_own_changes_survive_the_next_run(scratch: Path, codex: FindCodex) -> None:
    home, binary = scratch / ".codex", codex(None)
    options = _everything(scratch)
    assert _configure(home, binary, *options).returncode == 0
    _codex(home, binary, "mcp", "add", "mine", "--", "my-mcp", "--flag")
    _codex(home, binary, "mcp", "remove", "gh")
    before = (home / "config.toml").read_bytes()
    assert b"my-mcp" in before
    done = _configure(home, binary, *options)
    assert done.returncode == 0, done.stderr
    servers = tomllib.loads((home / "config.toml").read_text())["mcp_servers"]
    assert servers["mine"]["command"] == "my-mcp"
    assert "gh" not in servers, "removed by the user: stays away"
    assert servers["Coder"]["command"] == "coder"
    after = (home / "config.toml").read_bytes()
    assert _configure(home, binary, *options).returncode == 0
    assert (home / "config.toml").read_bytes() == after


def test_a_dry_run_shows_and_does_not_touch(scratch: Path, codex: FindCodex) -> None:
    home, binary = scratch / ".codex", codex(None)
    done = _configure(home, binary, *_everything(scratch), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert '+model = "gpt-5.1"' in done.stdout
    assert "s3cret" not in done.stdout
    assert "sk-secret" not in done.stdout
    assert not home.exists()


def test_a_broken_file_ends_with_status_2(scratch: Path, codex: FindCodex) -> None:
    home = scratch / ".codex"
    home.mkdir()
    (home / "config.toml").write_text("model = \n")
    done = _configure(home, codex(None))
    assert done.returncode == 2
    assert f"{home}/config.toml:1:9: not valid TOML" in done.stderr
    assert (home / "config.toml").read_text() == "model = \n"


def test_without_codex_it_still_writes_and_says_so(scratch: Path) -> None:
    home = scratch / ".codex"
    done = _configure(home, scratch / "no-codex-here")
    assert done.returncode == 0, done.stderr
    assert "not checked" in done.stderr
    assert (home / "config.toml").exists()
