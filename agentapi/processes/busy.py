"""Whether the processes of a terminal's foreground do anything but wait for input.

Used only as a reason to wait longer for a program that shows no sign of being ready: what cannot be
told is no reason.
"""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")
_ELSEWHERE = ("hrtimer_nanosleep", "do_nanosleep", "common_nsleep", "do_wait", "kernel_wait4")
"""Where the kernel keeps a process that sleeps for a time, or waits for the end of another one."""


def is_busy(group: int, proc: Path = PROC) -> bool:
    """Whether each process of a process group runs, sleeps for a time or waits for a child."""
    found = False
    for folder in proc.glob("[0-9]*"):
        try:
            state, _, of_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(of_group) != group or state in "ZX":
                continue
            place = (folder / "wchan").read_text()
        except (OSError, ValueError):  # it ended, or is not ours to see
            continue
        if state not in "RD" and not place.startswith(_ELSEWHERE):
            return False
        found = True
    return found
