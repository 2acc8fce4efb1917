from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentapi.processes import callers as module
from agentapi.processes.callers import Callers, Kin, identification_problem
from agentapi.processes.sockets import Endpoint, Found
from agentapi.processes.tree import Family
from tests.unit.processes.test_tree import add, proc

__all__ = ["proc"]

PEER, OWN = ("127.0.0.1", 4000), ("127.0.0.1", 3284)
INODE = 555


def hold(proc: Path, pid: int, *inodes: int) -> None:
    folder = proc / str(pid) / "fd"
    folder.mkdir(exist_ok=True)
    (folder / "0").symlink_to("/dev/null")
    for number, inode in enumerate(inodes, 3):
        (folder / str(number)).symlink_to(f"socket:[{inode}]")


def callers(proc: Path, user: int | None = None) -> Callers:
    """What a server with the number 10 sees."""
    (proc / "20/stat").unlink()
    family = Family(10, proc)
    add(proc, 20, 10, started=20)

    def find(local: Endpoint, remote: Endpoint) -> Found | None:
        assert (local, remote) == (PEER, OWN)
        return Found(INODE, os.geteuid() if user is None else user)

    return Callers(family, find, proc)


@pytest.mark.parametrize(
    ("holder", "kin"), [(30, Kin.OURS), (20, Kin.OURS), (11, Kin.STRANGER), (10, Kin.STRANGER)]
)
def test_the_holder_decides(proc: Path, holder: int, kin: Kin) -> None:
    for pid in (1, 11, 20, 30):
        hold(proc, pid, 7, INODE if pid == holder else 8)
    if holder == 10:
        hold(proc, 10, INODE)
    caller = callers(proc).identify(PEER, OWN)
    assert caller.kin is kin
    assert caller.says == f"process {holder} (sh)"


def test_who_called_before_is_looked_at_first(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold(proc, 11, INODE)
    looked: list[int] = []
    monkeypatch.setattr(
        module,
        "holds",
        lambda pid, link, proc: looked.append(pid) or pid == 11,  # type: ignore[func-returns-value]
    )
    known = callers(proc)
    known.identify(PEER, OWN)
    assert looked == [30, 20, 11]
    known.identify(PEER, OWN)
    assert looked == [30, 20, 11, 11]


def test_a_holder_that_is_not_seen_is_not_told(proc: Path) -> None:
    caller = callers(proc).identify(PEER, OWN)
    assert caller.kin is Kin.UNKNOWN
    assert "no process is seen" in caller.says


def test_a_holder_whose_parents_are_not_seen_is_not_told(proc: Path) -> None:
    hold(proc, 30, INODE)
    known = callers(proc)
    (proc / "20/stat").unlink()
    caller = known.identify(PEER, OWN)
    assert caller.kin is Kin.UNKNOWN
    assert "process 30 (sh), whose parents" in caller.says


def test_another_user_s_process_may_be_hidden_and_is_a_stranger(proc: Path) -> None:
    caller = callers(proc, user=os.geteuid() + 1).identify(PEER, OWN)
    assert caller.kin is Kin.STRANGER


def test_but_not_where_one_of_the_family_runs_as_that_user(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Family, "users", lambda self: {os.geteuid(), 4321})
    assert callers(proc, user=4321).identify(PEER, OWN).kin is Kin.UNKNOWN


def test_a_connection_that_is_closed_is_not_told(proc: Path) -> None:
    gone = Callers(Family(10, proc), lambda local, remote: None, proc)
    assert gone.identify(PEER, OWN).kin is Kin.UNKNOWN


def test_what_the_kernel_does_not_tell_is_not_told(proc: Path) -> None:
    def refuse(local: Endpoint, remote: Endpoint) -> None:
        raise PermissionError(13, "Permission denied")

    caller = Callers(Family(10, proc), refuse, proc).identify(PEER, OWN)
    assert caller.kin is Kin.UNKNOWN
    assert "Permission denied" in caller.says


def test_another_machine_is_a_stranger(proc: Path) -> None:
    def never(local: Endpoint, remote: Endpoint) -> None:
        raise AssertionError("looked up")

    known = Callers(Family(10, proc), never, proc)
    assert known.identify(("192.0.2.77", 4000), ("192.0.2.1", 3284)).kin is Kin.STRANGER


def test_whether_callers_can_be_told_here(proc: Path) -> None:
    assert identification_problem(Callers(Family())) == ""
    assert "closed" in identification_problem(Callers(Family(), lambda local, remote: None))
