"""Whose folder is whose: a living daemon's is never touched, a killed one's goes."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentapi.agents.codex.link import folder as link_folder
from agentapi.agents.codex.link.folder import PREFIX, LinkFolder, sweep

OWNER = """
import sys, time
from agentapi.agents.codex.link.folder import LinkFolder
print(LinkFolder.make({"XDG_RUNTIME_DIR": sys.argv[1]}).path, flush=True)
time.sleep(600)
"""


@contextmanager
def another_owner(parent: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A process that has a folder there."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(parent)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield Path(process.stdout.readline().strip()), process
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Other temporary files than the machine's."""
    place = tmp_path / "t"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setattr(link_folder, "_FALLBACK", str(place))
    return place


def test_a_folder_is_private_and_goes_with_what_is_in_it(tmp_path: Path) -> None:
    folder = LinkFolder.make({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert folder.path.parent == tmp_path
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.socket.write_bytes(b"")
    folder.remove()
    folder.remove()
    assert not folder.path.exists()


def test_without_a_usable_runtime_folder_it_is_a_temporary_one(elsewhere: Path) -> None:
    for runtime in (None, "relative", "/nowhere/at/all", "/" + "x" * 100):
        folder = LinkFolder.make({} if runtime is None else {"XDG_RUNTIME_DIR": runtime})
        assert folder.path.parent == elsewhere
        assert len(os.fsencode(folder.socket)) <= link_folder.SOCKET_PATH_LIMIT
        folder.remove()


def test_a_killed_owner_s_folder_goes_and_a_living_one_s_stays(tmp_path: Path) -> None:
    with another_owner(tmp_path) as (dead, process), another_owner(tmp_path) as (alive, _):
        (dead / "s").write_bytes(b"")
        sweep(tmp_path)
        assert dead.exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
        ours = LinkFolder.make({"XDG_RUNTIME_DIR": str(tmp_path)})
        assert not dead.exists()
        assert alive.exists()
        another = LinkFolder.make({"XDG_RUNTIME_DIR": str(tmp_path)})
        assert ours.path.exists()
        ours.remove()
        another.remove()


def test_an_owner_holds_its_folder_in_its_own_process_too(tmp_path: Path) -> None:
    folder = LinkFolder.make({"XDG_RUNTIME_DIR": str(tmp_path)})
    sweep(tmp_path)
    assert folder.path.exists()
    folder.remove()


def test_no_child_of_the_owner_holds_the_folder(tmp_path: Path) -> None:
    folder = LinkFolder.make({"XDG_RUNTIME_DIR": str(tmp_path)})
    with subprocess.Popen(["sleep", "600"], close_fds=False) as child:
        try:
            assert folder._lock is not None
            os.close(folder._lock)
            sweep(tmp_path)
            assert not folder.path.exists()
        finally:
            child.kill()


def test_what_is_not_such_a_folder_stays(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = elsewhere / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    (tmp_path / f"{PREFIX}link").symlink_to(precious)
    (tmp_path / f"{PREFIX}file").write_text("x")
    (tmp_path / "agentapi-other").mkdir()
    (tmp_path / f"{PREFIX}foreign").mkdir()
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    sweep(tmp_path)
    sweep(tmp_path / "missing")
    assert sorted(tmp_path.rglob("*")) == before
    monkeypatch.undo()
    sweep(tmp_path)
    assert sorted(set(before) - set(tmp_path.rglob("*"))) == [tmp_path / f"{PREFIX}foreign"]
    assert (precious / "file").read_text() == "x"


def test_where_no_file_can_be_locked_it_works_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    folder = LinkFolder.make({"XDG_RUNTIME_DIR": str(tmp_path)})
    sweep(tmp_path)
    assert folder.path.exists()
    folder.remove()
    assert not folder.path.exists()
