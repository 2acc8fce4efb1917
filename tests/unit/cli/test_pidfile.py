from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agentapi.cli.pidfile import PidFile, PidFileError


def test_it_holds_our_pid_and_goes_with_us(tmp_path: Path) -> None:
    file = tmp_path / "run" / "agentapi.pid"
    with PidFile(file):
        assert int(file.read_text()) == os.getpid()
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700
    assert not file.exists()


def test_a_running_process_keeps_its_file(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    file.write_text(f"{os.getppid()}\n")
    with pytest.raises(PidFileError, match=f"names process {os.getppid()}"), PidFile(file):
        pass
    assert int(file.read_text()) == os.getppid()


def test_a_process_that_waits_to_be_reaped_does_not(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, nobody reaped it
    file.write_text(f"{child.pid}")
    with PidFile(file):
        assert int(file.read_text()) == os.getpid()
    child.wait()


@pytest.mark.parametrize("content", ["", "0", "\0\0\0\0", "rubbish", "-5", "9" * 30])
def test_rubbish_is_overwritten(tmp_path: Path, content: str) -> None:
    file = tmp_path / "pid"
    file.write_text(content)
    with PidFile(file):
        assert int(file.read_text()) == os.getpid()


def test_somebodys_data_is_not(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("These are notes and not a process id.")
    with pytest.raises(PidFileError, match="not a pid file"), PidFile(file):
        pass
    assert file.read_text().startswith("These")


def test_a_file_that_another_took_over_stays(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with PidFile(file):
        file.write_text("12345")
    assert file.read_text() == "12345"


def test_an_impossible_place_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PidFileError, match="cannot"), PidFile(tmp_path / "file" / "pid"):
        pass
