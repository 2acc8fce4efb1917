"""The units: systemd understands every line, and they say what the daemon means."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from agentapi.cli import main
from agentapi.cli.server import GRACE
from agentapi.cli.server_command import BAD_CONFIGURATION
from tests.support.codex import PROJECT, codex_binary

SYSTEM = PROJECT / "systemd/agentapi@.service"
USER = PROJECT / "systemd/user/agentapi@.service"
NOBODY = 65534
BREAKS_THE_SANDBOX = (
    "MemoryDenyWriteExecute PrivateUsers ProcSubset ProtectKernelLogs ProtectKernelTunables"
    " ProtectProc RestrictNamespaces"
)

both = pytest.mark.parametrize("unit", [SYSTEM, USER], ids=["system", "user"])
analyzed = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is missing: apt-get install systemd (scripts/setup --tests does)",
)


def _analyze(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _complaints(unit: Path, tmp_path: Path) -> str:
    """What systemd says of a unit; it has status 0 even for keys that it does not know."""
    scope = ["--user"] if "user" in unit.parts else []
    run = _analyze(tmp_path, *scope, "verify", "--man=no", str(unit))
    return run.stderr + (f"status {run.returncode}" if run.returncode else "")


def _settings(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^([A-Za-z]+)=(.*)$", unit.read_text(), re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


@analyzed
@both
def test_systemd_understands_every_line(unit: Path, tmp_path: Path) -> None:
    assert _complaints(unit, tmp_path) == ""


@analyzed
@both
def test_a_misspelt_line_would_be_noticed(unit: Path, tmp_path: Path) -> None:
    broken = tmp_path / ("user" if unit is USER else "system") / unit.name
    broken.parent.mkdir()
    broken.write_text(unit.read_text().replace("KillMode=", "KilMode="))
    assert "KilMode" in _complaints(broken, tmp_path)


@analyzed
@both
def test_systemd_understands_the_drop_in_of_the_page(unit: Path, tmp_path: Path) -> None:
    page = (PROJECT / "docs/operations.md").read_text()
    drop_in = page.partition("```ini\n")[2].partition("```")[0]
    assert "AGENTAPI_AUTH_TOKEN_FILE=/dev/stdin" in drop_in
    changed = tmp_path / ("user" if unit is USER else "system") / unit.name
    changed.parent.mkdir()
    changed.write_text(unit.read_text() + drop_in)
    assert _complaints(changed, tmp_path) == ""


@both
def test_the_unit_means_what_the_daemon_does(unit: Path) -> None:
    said = _settings(unit)
    assert said["Type"] == ["notify"]
    assert said["NotifyAccess"] == ["main"]
    assert said["Restart"] == ["on-failure"]
    assert said["RestartPreventExitStatus"] == [str(BAD_CONFIGURATION)]
    assert said["ExecReload"] == ["/bin/kill -USR1 $MAINPID"]
    assert said["KillMode"] == ["mixed"]
    assert int(said["TimeoutStopSec"][0]) > 2 * GRACE
    assert int(said["WatchdogSec"][0]) >= 10
    assert "%i" not in said["EnvironmentFile"][0], "an escaped name is not found: it is a pattern"
    assert said.keys().isdisjoint(BREAKS_THE_SANDBOX.split())
    assert said["WantedBy"] == ["default.target" if unit is USER else "multi-user.target"]


@both
def test_the_command_is_one_that_agentapi_takes(unit: Path) -> None:
    env, agentapi, name, *words = shlex.split(_settings(unit)["ExecStart"][0])
    assert (env, agentapi, name) == ("/usr/bin/env", "agentapi", "codex")
    command = main.get_command(click.Context(main), name)
    assert command is not None
    command.make_context(name, list(words))


@analyzed
def test_the_docs_give_the_score(tmp_path: Path) -> None:
    said = " ".join((PROJECT / "docs/operations.md").read_text().split())
    version = _analyze(tmp_path, "--version").stdout.split()[1]
    if f"of systemd {version} gives" not in said:
        pytest.skip(f"the page gives the scores of another systemd than {version}")
    for unit in (SYSTEM, USER):
        run = _analyze(tmp_path, "security", "--offline=true", str(unit))
        score = re.search(r"exposure level for \S+: ([\d.]+)", run.stdout)
        assert score is not None, run.stderr
        assert f"{score[1]} (`{unit.relative_to(PROJECT)}`" in said


def test_codex_can_sandbox_without_what_the_unit_takes_away(scratch: Path) -> None:
    """No capabilities even to be gained, no new privileges, /usr read-only."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can take these away as systemd does")
    try:
        codex = codex_binary()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    scratch.chmod(0o700)
    os.chown(scratch, NOBODY, NOBODY)
    plain = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    sandbox = ["--", str(codex), "sandbox", "--", "true"]
    if _run([*plain, *sandbox], scratch).returncode:
        pytest.skip("here no other user can run Codex, or none can sandbox anything")
    script = (
        "mount --make-rprivate / && mount --bind /usr /usr && mount -o remount,ro,bind /usr"
        ' && exec "$@"'
    )
    mounted = ["unshare", "-m", "sh", "-c", script, "sh"]
    if _run([*mounted, "true"], scratch).returncode:
        pytest.skip("this machine lets nobody mount")
    bare = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    run = _run([*mounted, *plain, *bare, *sandbox], scratch)
    assert run.returncode == 0, run.stderr


def _run(words: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        env={**os.environ, "CODEX_HOME": str(home), "HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
