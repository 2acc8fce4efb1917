"""With CI=true a test that needs an agent or a browser cannot be skipped quietly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.codex import PROJECT

SKIPS = """
import pytest

@pytest.mark.{mark}
def test_it():
    pytest.skip("not installed")
"""


PARALLEL = ("-p", "xdist.plugin", "-n", "2")


@pytest.mark.parametrize(
    ("mark", "ci", "options", "status"),
    [
        ("codex", "true", (), 1),
        ("codex", "true", PARALLEL, 1),
        ("agents", "true", (), 1),
        ("browser", "true", (), 1),
        ("other", "true", (), 0),
        ("codex", "", (), 0),
    ],
)
def test_a_skip_is_a_failure(
    tmp_path: Path, mark: str, ci: str, options: tuple[str, ...], status: int
) -> None:
    file = tmp_path / "test_skips.py"
    file.write_text(SKIPS.format(mark=mark), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-c", os.devnull]
    run = subprocess.run(
        [*command, *options, "--rootdir", tmp_path, file],
        cwd=PROJECT,
        env={**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == status, run.stdout + run.stderr
