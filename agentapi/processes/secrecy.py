"""Keep a secret of this process from others of the same user, which may otherwise read it all.

`/proc/PID/environ` shows the variables that a process was started with, whatever it did to them
since; the memory itself is open to `/proc/PID/mem` and ptrace(2). Against root nothing helps.
"""

from __future__ import annotations

import os

_PR_SET_DUMPABLE = 4


def keep_secret(name: str) -> None:
    """Take a variable out of the environment, and let no other process of this user read our
    memory, trace us or take our open files (PR_SET_DUMPABLE(2const)).

    This also means no core dump, and debuggers only for root. What is started from here is as open
    as ever. Call it before anything is started."""
    import ctypes

    _forget(name)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, *map(ctypes.c_ulong, (0, 0, 0, 0)))


def _forget(name: str) -> None:
    """Remove a variable, and overwrite it where `/proc/self/environ` shows it."""
    import ctypes

    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_void_p
    value = os.environ.get(name)
    place = getenv(name.encode())  # as long as nobody set it anew, what the program was given
    if value and place:
        ctypes.memset(place, ord("*"), len(os.fsencode(value)))
    os.environ.pop(name, None)
