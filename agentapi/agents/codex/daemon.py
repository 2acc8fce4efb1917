"""Recognize Codex's background app-server, which several terminals may share."""

from __future__ import annotations

import contextlib
from pathlib import Path


def is_daemon(pid: int) -> bool:
    """Return whether this process is one: since `versions.DAEMON` Codex starts `codex app-server …
    --managed-daemon` and `codex app-server daemon …` by default."""
    with contextlib.suppress(OSError):
        words = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
        return b"app-server" in words and (b"--managed-daemon" in words or b"daemon" in words)
    return False
