"""`agentapi doctor` beside the real Codex."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.codex import CodexHome

FindCodex = Callable[[str | None], Path]
VERSIONS = (None, "0.125.0", "0.80.0")

pytestmark = pytest.mark.codex


def _doctor(
    home: CodexHome, codex: Path, *, prefix: tuple[str, ...] = (), **variables: str
) -> tuple[int, dict[str, Any]]:
    """The exit status, and the findings that are not fine, by name."""
    words = [sys.executable, "-m", "agentapi", "doctor", "--json", "--port", "0"]
    run = subprocess.run(
        [*prefix, *words, "--codex", str(codex), "--workdir", str(home.workdir)],
        env=home.environment() | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    findings = json.loads(run.stdout)["findings"]
    return run.returncode, {each["what"]: each for each in findings if each["state"] != "fine"}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_home_that_works(home: CodexHome, codex: FindCodex, version: str | None) -> None:
    before = {path.name for path in home.codex_home.iterdir()}
    status, bad = _doctor(home, codex(version))
    bad.pop("sandbox", None)  # a machine may forbid it: this home does not use it
    assert (status, bad) == (0, {})
    assert {path.name for path in home.codex_home.iterdir()} == before


def test_a_key_that_only_the_environment_has(home: CodexHome, codex: FindCodex) -> None:
    (home.codex_home / "config.toml").unlink()
    status, bad = _doctor(home, codex(None), OPENAI_API_KEY="sk-of-a-test")
    assert status == 1
    assert "ignored" in bad["credentials"]["says"]
    fix = bad["credentials"]["fix"].replace("codex", shlex.quote(str(codex(None))), 1)
    subprocess.run(
        ["sh", "-c", fix],
        env=home.environment() | {"OPENAI_API_KEY": "sk-of-a-test"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    _, bad = _doctor(home, codex(None), OPENAI_API_KEY="sk-of-a-test")
    assert "credentials" not in bad, "the fix that it names works"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_broken_config(home: CodexHome, codex: FindCodex, version: str | None) -> None:
    file = home.codex_home / "config.toml"
    file.write_text(file.read_text() + "\nx = [\n")
    status, bad = _doctor(home, codex(version))
    assert status == 1
    assert "unclosed array" in bad["config"]["says"]
    assert str(file) in bad["config"]["says"] + bad["config"]["fix"]


def test_a_setting_that_codex_refuses(home: CodexHome, codex: FindCodex) -> None:
    file = home.codex_home / "config.toml"
    file.write_text(file.read_text().replace('"never"', '"untrusted"', 1))
    status, bad = _doctor(home, codex(None))
    assert (status, bad["config"]["state"]) == (1, "wrong")


def test_a_misspelt_setting(home: CodexHome, codex: FindCodex) -> None:
    file = home.codex_home / "config.toml"
    file.write_text("aproval_policy = 1\n" + file.read_text())
    status, bad = _doctor(home, codex(None))
    assert (status, bad["config"]["state"]) == (0, "note")
    assert f"{file}:1:1" in bad["config"]["says"]


def test_a_codex_without_node(home: CodexHome, codex: FindCodex) -> None:
    status, bad = _doctor(home, codex(None), PATH=str(home.home))
    assert status == 1
    assert "does not run" in bad["Codex"]["says"]
    assert "node" in bad["Codex"]["says"] + bad["node"]["says"]


def test_a_kernel_that_forbids_the_sandbox(home: CodexHome, codex: FindCodex) -> None:
    """Forbidden for real, inside a user namespace of the test's own."""
    script = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
    prefix = ("unshare", "-Ur", "sh", "-c", script, "sh")
    if shutil.which("unshare") is None or _fails([*prefix, "true"]):
        pytest.skip("this machine has no user namespaces to try it in")
    config = home.codex_home / "config.toml"
    config.write_text(config.read_text().replace("danger-full-access", "workspace-write"))
    status, bad = _doctor(home, codex(None), prefix=prefix)
    assert (status, bad["sandbox"]["state"]) == (1, "wrong")
    assert "user.max_user_namespaces" in bad["sandbox"]["fix"]


def _fails(words: list[str]) -> bool:
    return subprocess.run(words, capture_output=True, check=False, env=os.environ).returncode != 0
