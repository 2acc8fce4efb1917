from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentapi.processes import locks
from agentapi.processes.locks import InUse, hold, holder


def test_one_process_holds_a_file_once_until_it_is_released(tmp_path: Path) -> None:
    file = tmp_path / "a" / "lock"
    held = hold(file)
    with pytest.raises(InUse, match=f"in use by process {os.getpid()}"):
        hold(file)
    held.release()
    held.release()
    hold(file).remove()
    assert not file.exists()


def test_others_see_who_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    assert holder(file) is None
    held = hold(file)
    ask = (
        "import sys; from pathlib import Path; from agentapi.processes.locks import holder\n"
        "found = holder(Path(sys.argv[1])); print(found and found.pid)"
    )
    command = [sys.executable, "-c", ask, str(file)]
    assert int(subprocess.run(command, capture_output=True, check=True).stdout) == os.getpid()
    held.release()
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"None\n"


def test_a_file_that_is_removed_as_it_is_taken_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who held it before removes it after we opened it: then we would hold what has no name."""
    file = tmp_path / "lock"
    opened: list[int] = []

    def open_late(path: Path) -> int:
        descriptor = open_file(path)
        if not opened:
            path.unlink()
        opened.append(descriptor)
        return descriptor

    open_file = locks._open
    monkeypatch.setattr(locks, "_open", open_late)
    held = hold(file)
    assert len(opened) == 2
    assert file.exists()
    held.release()


def test_a_holder_without_a_number_here_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel says 0 of a process of another namespace, and numbers of another machine's."""
    (tmp_path / "lock").touch()
    monkeypatch.setattr(locks, "_locker", lambda descriptor: -1)
    with pytest.raises(InUse, match="another container or machine"):
        holder(tmp_path / "lock")


def test_a_file_system_without_locks_is_said_and_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*ignored: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", no_locks)
    held = hold(tmp_path / "lock")
    held.write(b"x")
    held.remove()
    assert "no locks (No locks available)" in caplog.text
