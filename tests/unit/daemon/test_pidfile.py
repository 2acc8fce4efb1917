from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentapi.daemon.pidfile import PidFile, PidFileError

HOLD = (
    "import sys; from pathlib import Path; from agentapi.daemon.pidfile import PidFile\n"
    "with PidFile(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


@contextmanager
def another(file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another server that holds the pid file."""
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def test_it_holds_our_pid_and_goes_with_us(tmp_path: Path) -> None:
    file = tmp_path / "run" / "agentapi.pid"
    with PidFile(file):
        assert int(file.read_text()) == os.getpid()
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700
    assert not file.exists()


def test_a_running_server_keeps_its_file(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with another(file) as server:
        with (
            pytest.raises(PidFileError, match=f"process {server.pid}, running since 20"),
            PidFile(file),
        ):
            pass
        assert int(file.read_text()) == server.pid


def test_a_link_to_it_is_the_same_file(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "pid")
    with (
        another(tmp_path / "pid"),
        pytest.raises(PidFileError, match="names process"),
        PidFile(link),
    ):
        pass


def test_the_number_of_another_program_blocks_nobody(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    for number in (os.getppid(), os.getpid(), 1):
        file.write_text(f"{number}\n")
        with PidFile(file):
            assert int(file.read_text()) == os.getpid()


def test_a_killed_servers_file_is_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with another(file) as server:
        server.kill()
        server.wait()
        assert int(file.read_text()) == server.pid
        file.chmod(0o644)
        with PidFile(file):
            assert int(file.read_text()) == os.getpid()
            assert file.stat().st_mode & 0o777 == 0o600


def test_an_ended_servers_child_holds_nothing(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    code = (
        "import os, sys; from pathlib import Path; from agentapi.daemon.pidfile import PidFile\n"
        "PidFile(Path(sys.argv[1])).__enter__()\n"
        "os.fork() and os._exit(0)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE) as server:
        server.wait()  # its child lives on
        with PidFile(file):
            assert int(file.read_text()) == os.getpid()


@pytest.mark.parametrize("content", ["", "0", "\0\0\0\0", "rubbish", "-5", "9" * 30])
def test_rubbish_is_overwritten(tmp_path: Path, content: str) -> None:
    file = tmp_path / "pid"
    file.write_text(content)
    with PidFile(file):
        assert int(file.read_text()) == os.getpid()


def test_somebodys_data_is_not(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("These are notes and not a process id.")
    mode = file.stat().st_mode
    with pytest.raises(PidFileError, match="not a pid file"), PidFile(file):
        pass
    assert file.read_text().startswith("These")
    assert file.stat().st_mode == mode


def test_a_file_that_another_took_over_stays(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with PidFile(file):
        file.write_text("12345")
    assert file.read_text() == "12345"


def test_a_file_that_was_replaced_stays(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with PidFile(file):
        file.unlink()
        file.write_text(f"{os.getpid()}\n")
    assert file.exists()


def test_an_impossible_place_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for place, why in (
        (tmp_path / "file" / "pid", "Not a directory"),
        (tmp_path, "Is a directory"),
        (tmp_path / "pipe", "not a regular file"),
    ):
        with pytest.raises(PidFileError, match=f"cannot write .*{why}"), PidFile(place):
            pass
