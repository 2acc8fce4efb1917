"""How many files this process may have open: as many as it is allowed to, within reason.

A connection is an open file, and the usual soft limit (1,024, for programs that use select(2)) is
soon reached. The agent starts with the limit that we were given.
"""

from __future__ import annotations

import contextlib
import resource

MOST = 65_536
"""More is asked for by nobody, and some programs close every file that they might have."""

_given: tuple[int, int] | None = None
"""The soft and the hard limit before the first `raise_limit`."""


def raise_limit() -> None:
    """Raise the soft limit to the hard one, but not beyond `MOST`."""
    global _given
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    _given = _given or (soft, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def limit() -> int:
    """The soft limit that is in force."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else soft


def give_back(pid: int = 0) -> None:
    """Set the limit of a child (0: this process) to what we were given."""
    if _given is not None:
        with contextlib.suppress(OSError):  # it has ended, or belongs to another user now
            resource.prlimit(pid, resource.RLIMIT_NOFILE, _given)
