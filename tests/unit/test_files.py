from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentapi.files import open_private, write_atomically


@pytest.fixture(autouse=True)
def _open_mask() -> None:
    os.umask(0o022)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_private_file_is_made_private_whatever_it_was(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("before")
    old.chmod(0o644)
    for path in (old, tmp_path / "new"):
        descriptor = open_private(path, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, b" after")
        os.close(descriptor)
        assert mode(path) == 0o600
    assert old.read_text() == "before after"


def test_what_is_no_regular_file_keeps_its_mode() -> None:
    before = Path("/dev/null").stat().st_mode
    os.close(open_private(Path("/dev/null"), os.O_WRONLY))
    assert Path("/dev/null").stat().st_mode == before


def test_a_planted_temporary_file_is_not_followed(tmp_path: Path) -> None:
    victim, file = tmp_path / "victim", tmp_path / "file"
    victim.write_text("theirs")
    planted = tmp_path / f".file.{os.getpid()}.tmp"
    for plant in (planted.symlink_to, planted.hardlink_to):
        plant(victim)
        write_atomically(file, b"ours")
        assert (file.read_bytes(), victim.read_text()) == (b"ours", "theirs")
        assert mode(file) == 0o600


def test_one_that_is_planted_at_the_last_moment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    (tmp_path / f".file.{os.getpid()}.tmp").hardlink_to(victim)
    monkeypatch.setattr(Path, "unlink", lambda *ignored, **options: None)
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "file", b"ours")
    assert victim.read_text() == "theirs"
