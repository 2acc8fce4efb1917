"""Where Codex keeps what it knows."""

from __future__ import annotations

import os
from pathlib import Path


def codex_home() -> Path:
    """The folder of this process's Codex."""
    return Path(os.environ.get("CODEX_HOME") or "~/.codex").expanduser().absolute()
