"""Run a program for its output."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

TIMEOUT = 30.0
"""Seconds; Codex needs about 0.15."""
FAILED_TO_RUN = 1000
"""Stands for an exit status; a real one is never that high."""


def probe(
    arguments: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program and return its output. If it cannot run, or not in time, the status is
    `FAILED_TO_RUN` and standard error has the reason."""
    try:
        return subprocess.run(
            arguments,
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(list(arguments), FAILED_TO_RUN, "", str(error))
