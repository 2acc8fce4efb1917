"""Where Codex keeps what it knows, and we what we know of it."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_SESSION_FILE = "~/.codex-module/.codex-task-session"
"""Which session belongs to which folder."""


def codex_home(given: Path | None = None) -> Path:
    """The folder that is given, else that of this process's Codex."""
    return Path(given or os.environ.get("CODEX_HOME") or "~/.codex").expanduser().absolute()
