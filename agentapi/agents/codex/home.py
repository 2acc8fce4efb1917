"""The folder of Codex's data, and the file of its sessions."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_SESSION_FILE = "~/.codex-module/.codex-task-session"
"""Maps folders to sessions."""


def codex_home(given: Path | None = None) -> Path:
    """Return the given folder, else `$CODEX_HOME` or its default."""
    return Path(given or os.environ.get("CODEX_HOME") or "~/.codex").expanduser().absolute()
