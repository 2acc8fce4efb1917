"""Protect a secret of this process from other processes of the same user.

`/proc/PID/environ` shows the initial variables of a process, even after changes; its memory can be
read through `/proc/PID/mem` and ptrace(2). There is no protection against root.
"""

from __future__ import annotations

import os

_PR_SET_DUMPABLE = 4


def keep_secret(name: str) -> None:
    """Remove a variable from the environment, and keep other processes of this user from reading
    our memory, tracing us or accessing our open files (PR_SET_DUMPABLE(2const)).

    This also disables core dumps, and debuggers except for root. Child processes are not protected.
    Call it before starting any."""
    import ctypes

    _wipe(name)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, *map(ctypes.c_ulong, (0, 0, 0, 0)))


def _wipe(name: str) -> None:
    """Remove a variable, and overwrite it in `/proc/self/environ`."""
    import ctypes

    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_void_p
    value = os.environ.get(name)
    place = getenv(name.encode())  # the initial value, unless it was set again
    if value and place:
        ctypes.memset(place, ord("*"), len(os.fsencode(value)))
    os.environ.pop(name, None)
