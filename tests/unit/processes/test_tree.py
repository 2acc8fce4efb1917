from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from agentapi.processes.tree import (
    Family,
    ancestors,
    children,
    descendants,
    parse_stat,
    stat_of,
)

LINE = (
    "7312 (a (b) c) S 7300 7312 7300 34816 7312 4194304 102 0 0 0 0 0 0 0 20 0 1 0 43401 3133440"
    " 412 18446744073709551615 94138551799808"
)


def test_a_name_may_hold_blanks_and_parentheses() -> None:
    stat = parse_stat(LINE.encode())
    assert (stat.pid, stat.name, stat.state, stat.parent) == (7312, "a (b) c", "S", 7300)
    assert stat.started == 43401


@pytest.mark.parametrize("text", [b"", b"12", b"12 (sh) S 1", b"12 sh S 1 2 3"])
def test_anything_else_is_no_status(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_stat(text)


def add(proc: Path, pid: int, parent: int, started: int, name: str = "sh") -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    fields = " ".join(["0"] * 17)
    (folder / "stat").write_text(f"{pid} ({name}) S {parent} {fields} {started} 0\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """1 init, 10 a server under it, 20 its agent, 30 the agent's command, 11 a client of init's."""
    (tmp_path / "self").mkdir()
    (tmp_path / "uptime").write_text("1 1")
    for pid, parent in ((1, 0), (10, 1), (11, 1), (20, 10), (30, 20)):
        add(tmp_path, pid, parent, started=pid)
    return tmp_path


def test_ancestors_up_to_the_first(proc: Path) -> None:
    assert [link.pid for link in ancestors(30, proc) or ()] == [30, 20, 10, 1]
    assert [link.pid for link in ancestors(1, proc) or ()] == [1]


def test_who_came_into_the_container_from_outside_has_no_parent(proc: Path) -> None:
    add(proc, 40, 0, started=40)
    assert [link.pid for link in ancestors(40, proc) or ()] == [40]


def test_a_chain_with_a_hidden_or_missing_link_is_not_known(proc: Path) -> None:
    (proc / "20/stat").unlink()
    assert ancestors(30, proc) is None
    assert ancestors(99, proc) is None


def test_a_parent_that_is_younger_than_its_child_is_another_process(proc: Path) -> None:
    add(proc, 20, 1, started=500)
    assert ancestors(30, proc) is None


def test_a_family_is_what_descends(proc: Path) -> None:
    family = Family(10, proc)
    add(proc, 21, 10, started=21)
    add(proc, 31, 21, started=31)
    assert family.has(31) is True
    assert family.has(10) is family.has(11) is family.has(1) is False
    assert family.has(99) is None
    assert sorted(stat.pid for stat in family.members()) == [21, 31]


def test_a_family_leaves_out_who_was_there_before_and_what_descends_from_them(proc: Path) -> None:
    family = Family(10, proc)
    add(proc, 40, 30, started=40)
    assert family.has(40) is family.has(20) is False
    assert family.members() == []
    # The number is used again.
    add(proc, 20, 10, started=600)
    add(proc, 30, 20, started=601)
    assert family.has(30) is True


def test_spared_members_are_left_out_with_what_descends_from_them(proc: Path) -> None:
    family = Family(1, proc)
    add(proc, 12, 1, started=12)
    add(proc, 22, 12, started=22)
    add(proc, 13, 1, started=13)
    assert [stat.pid for stat in family.members(lambda pid: pid == 12)] == [13]


def test_the_users_of_a_family(proc: Path) -> None:
    assert Family(10, proc).users() == {os.geteuid()}


def test_real_processes() -> None:
    family = Family()
    words = ("sh", "-c", "sleep 60 & echo $!; wait")
    with subprocess.Popen(words, stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        sleep = int(shell.stdout.readline())
        try:
            assert family.has(sleep) is True
            assert shell.pid in [stat.pid for stat in children(os.getpid())]
            mine = [stat.pid for stat in descendants(os.getpid())]
            assert mine.index(shell.pid) < mine.index(sleep)
            chain = [link.pid for link in ancestors(sleep) or ()]
            assert chain[:3] == [sleep, shell.pid, os.getpid()]
            assert stat_of(sleep) == stat_of(sleep) != stat_of(shell.pid)
        finally:
            os.kill(sleep, signal.SIGKILL)


def test_children_where_the_kernel_keeps_no_lists(proc: Path) -> None:
    assert sorted(stat.pid for stat in children(1, proc)) == [10, 11]
