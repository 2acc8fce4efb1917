"""Who waits for input, told by where the kernel keeps a thread."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentapi.processes.busy import is_busy

GROUP = 70
AT_WORK = ("S", "hrtimer_nanosleep")
PARENT = ("S", "do_wait")
JOINS = ("S", "futex_do_wait")
RUNS = ("R", "0")
READS = ("S", "wait_woken")
POLLS = ("S", "poll_schedule_timeout.constprop.0")
EPOLLS = ("S", "do_epoll_wait")
HIDDEN = ("S", "0")
Thread = tuple[str, str]


def put(proc: Path, pid: int, group: int, *threads: Thread) -> Path:
    """A process with these threads; the first one's state is its own."""
    folder = proc / str(pid)
    stat = f"(a) name) {{}} 1 {group} 1{' 0' * 20}\n"
    for number, (state, place) in enumerate(threads, pid):
        (task := folder / "task" / str(number)).mkdir(parents=True)
        (task / "stat").write_text(f"{number} {stat.format(state)}")
        (task / "wchan").write_text(place)
    (folder / "stat").write_text(f"{pid} {stat.format(threads[0][0])}")
    (folder / "fd").mkdir()
    (folder / "fdinfo").mkdir()
    return folder


@pytest.mark.parametrize(
    ("processes", "busy"),
    [
        ([[AT_WORK]], True),
        ([[PARENT], [AT_WORK]], True),
        ([[RUNS]], True),
        ([[JOINS, AT_WORK]], True),
        ([[JOINS, RUNS, JOINS]], True),
        ([[JOINS, READS]], False),
        ([[READS]], False),
        ([[POLLS]], False),
        ([[RUNS, POLLS]], False),
        ([[PARENT], [READS]], False),
        ([[HIDDEN]], False),
        ([[("Z", "0")]], False),
        ([], False),
    ],
)
def test_what_is_known_not_to_wait(
    tmp_path: Path, processes: list[list[Thread]], busy: bool
) -> None:
    """Another group's processes do not count, nor what the kernel does not tell."""
    for number, threads in enumerate(processes):
        put(tmp_path, 100 * (number + 1), GROUP, *threads)
    put(tmp_path, 900, GROUP + 1, READS)
    assert is_busy(GROUP, tmp_path) is busy


@pytest.mark.parametrize(
    ("watched", "busy"),
    [
        ({7: "socket:[12]", 8: "anon_inode:[eventfd]"}, True),
        ({7: "socket:[12]", 9: "/dev/pts/3"}, False),
        ({9: "/dev/tty"}, False),
        ({}, True),
    ],
)
def test_files_that_are_waited_for(tmp_path: Path, watched: dict[int, str], busy: bool) -> None:
    """A program that opens its terminal and waits for something else does not read yet."""
    folder = put(tmp_path, 100, GROUP, EPOLLS, JOINS)
    (folder / "fd/0").symlink_to("/dev/pts/3")
    (folder / "fd/5").symlink_to("anon_inode:[eventpoll]")
    for fd, target in watched.items():
        (folder / f"fd/{fd}").symlink_to(target)
    lines = "".join(f"tfd: {fd:8} events:       19 data: 0\n" for fd in watched)
    (folder / "fdinfo/5").write_text(f"pos:\t0\nflags:\t02\n{lines}")
    assert is_busy(GROUP, tmp_path) is busy


def test_files_that_cannot_be_seen(tmp_path: Path) -> None:
    folder = put(tmp_path, 100, GROUP, EPOLLS)
    (folder / "fd/5").symlink_to("anon_inode:[eventpoll]")
    assert not is_busy(GROUP, tmp_path)
