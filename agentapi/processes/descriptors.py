"""Raise the limit of open files of this process.

Each connection is an open file, and the usual soft limit (1,024, for programs that use select(2))
is soon reached. The agent starts with the original limit.
"""

from __future__ import annotations

import contextlib
import resource

MAX_FILES = 65_536
"""Maximum to request: more is not needed, and some programs close every possible descriptor."""

_original: tuple[int, int] | None = None
"""The soft and the hard limit before the first `raise_limit`."""


def raise_limit() -> None:
    """Raise the soft limit to the hard one, but not beyond `MAX_FILES`."""
    global _original
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    _original = _original or (soft, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def limit() -> int:
    """Return the current soft limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_FILES if soft == resource.RLIM_INFINITY else soft


def restore_limit(pid: int = 0) -> None:
    """Restore the original limit of a child (0: this process)."""
    if _original is not None:
        with contextlib.suppress(OSError):  # it has ended, or changed its user
            resource.prlimit(pid, resource.RLIMIT_NOFILE, _original)
