"""Whether the processes of a terminal's foreground do anything but wait for input.

Used only as a reason to wait longer for a program that shows no sign of being ready: what cannot be
told is no reason.
"""

from __future__ import annotations

from pathlib import Path

from agentapi.processes.tree import PROC, everybody, pids, stat_of

_ELSEWHERE = (
    *("hrtimer_nanosleep", "do_nanosleep", "common_nsleep", "do_wait", "kernel_wait4"),
    "futex_",
)
"""Where the kernel keeps a thread that sleeps for a time, or waits for the end of another process,
or for another thread of its own."""
_EPOLL = ("ep_poll", "do_epoll_wait")
"""Where it keeps one that waits for any of a set of files."""
_TERMINALS = ("/dev/pts/", "/dev/tty", "/dev/console")


def is_busy(group: int, proc: Path = PROC) -> bool:
    """Whether each thread of a process group runs, sleeps for a time or waits for a child, another
    thread, or files of which none is a terminal."""
    found = False
    for process in everybody(proc):
        if process.group != group or process.state in "ZX":
            continue
        folder = proc / str(process.pid)
        threads = pids(folder / "task")
        if not all(_is_elsewhere(folder, thread) for thread in threads):
            return False
        found = found or bool(threads)
    return found


def _is_elsewhere(process: Path, thread: int) -> bool:
    """Whether a thread is known not to wait for input; one that has ended does not."""
    stat = stat_of(thread, process / "task")
    if stat is None or stat.state in "RDZX":
        return True
    try:
        place = (process / "task" / str(thread) / "wchan").read_text()
    except OSError:  # it is not ours to see
        return False
    if place.startswith(_EPOLL):
        return not _watches_terminal(process)
    return place.startswith(_ELSEWHERE)


def _watches_terminal(process: Path) -> bool:
    """Whether a terminal is in one of the sets of files that a process waits for, as
    proc_pid_fdinfo(5) tells, or that cannot be told."""
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
