"""Detect whether a terminal's foreground processes are not waiting for input.

Used only to wait longer for a program that is not visibly ready. If in doubt, the answer is no.
"""

from __future__ import annotations

from pathlib import Path

from agentapi.processes.tree import PROC, all_processes, pids, stat_of

_NOT_INPUT = (
    *("hrtimer_nanosleep", "do_nanosleep", "common_nsleep", "do_wait", "kernel_wait4"),
    "futex_",
)
"""Kernel wait channels of threads that sleep for a time, or wait for another process or thread."""
_EPOLL = ("ep_poll", "do_epoll_wait")
"""Wait channels of threads that wait for any of a set of files."""
_TERMINALS = ("/dev/pts/", "/dev/tty", "/dev/console")


def is_busy(group: int, proc: Path = PROC) -> bool:
    """Return whether every thread of a process group runs, sleeps for a time, or waits for a child,
    another thread, or files other than terminals."""
    found = False
    for process in all_processes(proc):
        if process.group != group or process.state in "ZX":
            continue
        folder = proc / str(process.pid)
        threads = pids(folder / "task")
        if not all(_not_waiting_for_input(folder, thread) for thread in threads):
            return False
        found = found or bool(threads)
    return found


def _not_waiting_for_input(process: Path, thread: int) -> bool:
    """Return whether a thread is certainly not waiting for input; an ended one is not."""
    stat = stat_of(thread, process / "task")
    if stat is None or stat.state in "RDZX":
        return True
    try:
        place = (process / "task" / str(thread) / "wchan").read_text()
    except OSError:  # not visible to us
        return False
    if place.startswith(_EPOLL):
        return not _watches_terminal(process)
    return place.startswith(_NOT_INPUT)


def _watches_terminal(process: Path) -> bool:
    """Return whether an epoll set of a process contains a terminal (proc_pid_fdinfo(5)), or that
    cannot be determined."""
    try:
        sets = [
            fd.name for fd in (process / "fd").iterdir() if _target(fd) == "anon_inode:[eventpoll]"
        ]
        for number in sets:
            lines = (process / "fdinfo" / number).read_text().splitlines()
            files = (line.split()[1] for line in lines if line.startswith("tfd:"))
            if any(_target(process / "fd" / file).startswith(_TERMINALS) for file in files):
                return True
    except OSError:
        return True
    return False


def _target(fd: Path) -> str:
    return str(fd.readlink())
