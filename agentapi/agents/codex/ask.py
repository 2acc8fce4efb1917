"""Running a program for what it answers."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

TIMEOUT = 30.0
"""Seconds; Codex needs about 0.15."""
NO_ANSWER = 1000
"""In place of an exit status, which is never that high."""


def ask(
    arguments: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program for its answer. One that cannot run, or not in time, has the status
    `NO_ANSWER` and the reason on its standard error."""
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
        return subprocess.CompletedProcess(list(arguments), NO_ANSWER, "", str(error))
