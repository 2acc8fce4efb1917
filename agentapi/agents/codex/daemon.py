"""Codex's background app-server, which other terminals may use too."""

from __future__ import annotations

import contextlib
from pathlib import Path


def is_daemon(pid: int) -> bool:
    """Whether this is one: since `versions.DAEMON` Codex starts `codex app-server …
    --managed-daemon` and `codex app-server daemon …`, unless it is told not to."""
    with contextlib.suppress(OSError):
        words = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
        return b"app-server" in words and (b"--managed-daemon" in words or b"daemon" in words)
    return False
