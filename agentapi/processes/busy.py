"""Whether the processes of a terminal's foreground do anything but wait for input.

Used only as a reason to wait longer for a program that shows no sign of being ready: what cannot be
told is no reason.
"""

from __future__ import annotations

from pathlib import Path

from agentapi.processes.tree import PROC, everybody

_ELSEWHERE = ("hrtimer_nanosleep", "do_nanosleep", "common_nsleep", "do_wait", "kernel_wait4")
"""Where the kernel keeps a process that sleeps for a time, or waits for the end of another one."""


def is_busy(group: int, proc: Path = PROC) -> bool:
    """Whether each process of a process group runs, sleeps for a time or waits for a child."""
    found = False
    for process in everybody(proc):
        if process.group != group or process.state in "ZX":
            continue
        try:
            place = (proc / str(process.pid) / "wchan").read_text()
        except OSError:  # it ended, or is not ours to see
            continue
        if process.state not in "RD" and not place.startswith(_ELSEWHERE):
            return False
        found = True
    return found
