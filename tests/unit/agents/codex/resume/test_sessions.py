from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.agents.codex.resume.session_files import find_rollout, read_meta
from agentapi.agents.codex.resume.sessions import SessionTracker, session_in_exit_text

ONE, TWO, THREE = (f"01a1fddc-2eb3-7532-99ae-a2decbc73a2{digit}" for digit in "abc")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "module/.codex-task-session"


def tracker(file: Path, folder: Path) -> SessionTracker:
    folder.mkdir(parents=True, exist_ok=True)
    return SessionTracker(file, folder)


@pytest.mark.parametrize("name", ["plain", "a b", "a|b", "[a-z]*.$^", "|", "ünï", "a|" + ONE])
def test_any_directory_finds_its_own_session(file: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    other = tracker(file, tmp_path / "another")
    other.save(TWO)
    ours = tracker(file, folder)
    assert ours.lookup() is None
    assert ours.save(ONE) is None
    assert tracker(file, folder).lookup() == ONE
    assert other.lookup() == TWO
    assert file.read_text().splitlines() == [f"{other.workdir}|{TWO}", f"{folder}|{ONE}"]


def test_links_and_slashes_lead_to_the_same_line(file: Path, tmp_path: Path) -> None:
    folder, link = tmp_path / "real", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    file.parent.mkdir()
    file.write_text(f"{link}/|{ONE}\n")
    assert SessionTracker(file, folder).lookup() == ONE
    SessionTracker(file, link).save(TWO)
    assert file.read_text() == f"{folder}|{TWO}\n"


def test_a_replaced_mapping_is_backed_up(file: Path, tmp_path: Path) -> None:
    ours = tracker(file, tmp_path / "x")
    ours.save(ONE)
    assert ours.save(ONE) is None
    assert ours.save(TWO) == ONE
    assert ours.save(THREE) == TWO
    kept = file.with_name(file.name + ".replaced").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in kept] == [f"{ours.workdir}|{s}" for s in (ONE, TWO)]
    assert oct(file.stat().st_mode & 0o777) == "0o600"


def test_a_cleared_mapping_is_backed_up(file: Path, tmp_path: Path) -> None:
    ours, other = tracker(file, tmp_path / "x"), tracker(file, tmp_path / "y")
    ours.clear()
    other.save(TWO)
    ours.save(ONE)
    ours.clear()
    assert ours.lookup() is None
    assert file.read_text() == f"{other.workdir}|{TWO}\n"
    kept = file.with_name(file.name + ".replaced").read_text()
    assert kept.endswith(f" {ours.workdir}|{ONE}\n")


def test_lines_that_are_not_ours_stay_to_the_byte(file: Path, tmp_path: Path) -> None:
    file.parent.mkdir()
    strange = b"no separator\n/elsewhere|not-an-id\n/caf\xe9|" + ONE.encode() + b"\n|\n"
    file.write_bytes(strange)
    ours = tracker(file, tmp_path / "x")
    assert ours.lookup() is None
    ours.save(TWO)
    assert file.read_bytes() == strange + f"{ours.workdir}|{TWO}\n".encode()


def test_an_unusable_id_counts_as_none(file: Path, tmp_path: Path) -> None:
    file.parent.mkdir()
    file.write_text(f"{tmp_path}|; rm -rf /\n")
    assert SessionTracker(file, tmp_path).lookup() is None


def test_a_line_break_is_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line break"):
        tracker(file, tmp_path / "a\nb").save(ONE)
    assert not file.exists()


def test_many_daemons_lose_no_line(file: Path, tmp_path: Path) -> None:
    work = (
        "import sys; from pathlib import Path;"
        "from agentapi.agents.codex.resume.sessions import SessionTracker;"
        "t = SessionTracker(Path(sys.argv[1]), Path(sys.argv[2])); t.acquire() or sys.exit(1);"
        "[t.save(f'01a1fddc-2eb3-7532-99ae-a2decbc7{n:04x}') for n in range(40)]"
    )
    folders = [tmp_path / f"f{n}" for n in range(4)]
    daemons = [
        subprocess.Popen([sys.executable, "-c", work, str(file), str(folder)]) for folder in folders
    ]
    assert [daemon.wait() for daemon in daemons] == [0] * 4
    lines = sorted(file.read_text().splitlines())
    assert lines == [f"{folder}|01a1fddc-2eb3-7532-99ae-a2decbc70027" for folder in folders]


def test_one_daemon_owns_a_folder_until_it_ends(file: Path, tmp_path: Path) -> None:
    first, second = tracker(file, tmp_path / "x"), tracker(file, tmp_path / "x")
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    assert tracker(file, tmp_path / "y").acquire()
    first.release()
    assert second.acquire()


def test_the_previous_agent_is_returned_while_it_lives(file: Path, tmp_path: Path) -> None:
    ours = tracker(file, tmp_path / "x")
    assert ours.previous_agent() is None
    assert ours.acquire()
    with subprocess.Popen(["sleep", "60"]) as agent:
        ours.record_agent(agent.pid)
        ours.release()
        assert tracker(file, tmp_path / "x").previous_agent() == agent.pid
        agent.kill()
    assert tracker(file, tmp_path / "x").previous_agent() is None


def test_data_files_of_folders_differ(file: Path, tmp_path: Path) -> None:
    names = {
        SessionTracker(file, tmp_path / name).data_file("state.json")
        for name in ("a/b", "c/b", "…")
    }
    assert len(names) == 3
    assert all(re.fullmatch(r"[\w.-]+", path.name, re.ASCII) for path in names)


@given(st.text(alphabet=st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"])))
def test_no_text_in_the_file_breaks_the_reading(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("t")
    file = folder / "sessions"
    file.write_text(f"{text}\n")
    ours = SessionTracker(file, folder)
    ours.save(ONE)
    assert ours.lookup() == ONE
    assert file.read_text().startswith(f"{text}\n" if text else "")


# -- rollouts ------------------------------------------------------------------------------------


def meta_line(**payload: object) -> str:
    import json

    return json.dumps({"type": "session_meta", "payload": {"id": ONE, "cwd": "/x", **payload}})


def test_the_first_line_has_the_session(tmp_path: Path) -> None:
    rollout = tmp_path / "rollout"
    rollout.write_text(meta_line(cli_version="0.169.0", source="cli", thread_source="user") + "\n")
    meta = read_meta(rollout)
    assert meta is not None
    assert (meta.id, meta.cwd, meta.version, meta.by_user) == (ONE, "/x", "0.169.0", True)


@pytest.mark.parametrize(
    "hidden", [{"source": {"subagent": "review"}}, {"thread_source": "subagent"}]
)
def test_hidden_threads_are_recognized(tmp_path: Path, hidden: dict[str, object]) -> None:
    rollout = tmp_path / "rollout"
    rollout.write_text(meta_line(**hidden) + "\n")
    meta = read_meta(rollout)
    assert meta is not None
    assert not meta.by_user


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
def test_an_unfinished_first_line_is_none(tmp_path: Path, cut: int) -> None:
    rollout = tmp_path / "rollout"
    rollout.write_text((meta_line() + "\n")[:cut])
    assert read_meta(rollout) is None


def test_a_rollout_is_found_by_its_id(tmp_path: Path) -> None:
    folder = tmp_path / "sessions/2026/11/21"
    folder.mkdir(parents=True)
    for session in (ONE, TWO):
        (folder / f"rollout-2026-11-21T11-27-07-{session}.jsonl").touch()
    found = find_rollout(tmp_path, ONE)
    assert found is not None
    assert ONE in found.name
    assert find_rollout(tmp_path, THREE) is None


@pytest.mark.parametrize(
    "screen",
    [
        f"To continue this session, run codex resume {ONE}",
        f"  codex resume {TWO}\nTo continue this session, run:\n  codex resume {ONE}\nOr run",
        f"run codex resume {ONE[:20]}\n  {ONE[20:]}",
    ],
)
def test_the_exit_text_names_the_session(screen: str) -> None:
    assert session_in_exit_text(screen) == ONE


@pytest.mark.parametrize("screen", ["", "codex resume", f"codex resume {ONE}0", f"resume {ONE}"])
def test_other_text_names_none(screen: str) -> None:
    assert session_in_exit_text(screen) is None


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(OSError, match=re.escape(os.strerror(20))):
        SessionTracker(in_the_way / "sessions", tmp_path).acquire()
