from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agentapi.agents.codex.resume import session_files
from agentapi.agents.codex.resume.history import in_context, read_history
from agentapi.agents.codex.resume.session_files import (
    DamagedRollout,
    all_rollouts,
    descends_from,
    find_parts,
    find_rollout,
    read_meta,
    session_start,
)
from tests.support.rollout_files import BEGIN, cut, end_after, pack, write_rollout

ONE, TWO, THREE, FOUR, FIVE = (f"01a1fddc-2eb3-7532-99ae-a2decbc73a2{digit}" for digit in "abcde")


def later(minutes: int) -> datetime:
    return BEGIN + timedelta(minutes=minutes)


def conversation(rollout: Path) -> list[str]:
    """The texts in the model's context."""
    return [one.text for one in in_context(read_history(rollout))]


def taken(rollout: Path) -> list[str]:
    return [one.text for one in read_history(rollout) if one.rolled_back]


def rewound(home: Path) -> Path:
    """Write one, two, three; roll back three, add four; roll back four, add five; roll back all
    but one, add six."""
    write_rollout(home, ONE, ["one", "two", "three"])
    two = end_after(2)
    write_rollout(home, ONE, ["four"], segment=TWO, base=(ONE, two), begun=later(1))
    write_rollout(home, ONE, ["five"], segment=THREE, base=(TWO, two + 1), begun=later(2))
    return write_rollout(home, ONE, ["six"], segment=FOUR, base=(ONE, end_after(1)), begun=later(3))


def test_a_session_goes_on_in_its_newest_segment(tmp_path: Path) -> None:
    last = rewound(tmp_path)
    assert find_rollout(tmp_path, ONE) == last
    assert find_rollout(tmp_path, TWO) is None
    assert conversation(last) == ["one", "ONE", "six", "SIX"]
    assert taken(last) == ["two", "TWO", "three", "THREE", "four", "FOUR", "five", "FIVE"]


def test_segments_are_based_on_segments(tmp_path: Path) -> None:
    rewound(tmp_path).unlink()
    last = find_rollout(tmp_path, ONE)
    assert last is not None
    assert [part.end for part in find_parts(last)] == [end_after(2), end_after(2) + 1, None]
    assert conversation(last) == ["one", "ONE", "two", "TWO", "five", "FIVE"]
    assert taken(last) == ["three", "THREE", "four", "FOUR"]


def test_all_may_be_taken_back(tmp_path: Path) -> None:
    write_rollout(tmp_path, ONE, ["one"])
    last = write_rollout(tmp_path, ONE, [], segment=TWO, base=(ONE, 1), begun=later(1))
    assert conversation(last) == []
    assert taken(last) == ["one", "ONE"]


@pytest.mark.parametrize("packed", [(0,), (0, 1, 2, 3), (3,)])
def test_any_part_may_be_packed(tmp_path: Path, packed: tuple[int, ...]) -> None:
    plain = rewound(tmp_path)
    expected = read_history(plain)
    files = all_rollouts(tmp_path)
    for number in packed:
        pack(files[number])
    last = find_rollout(tmp_path, ONE)
    assert last is not None
    assert read_history(last) == expected
    meta = read_meta(last)
    assert meta is not None
    assert meta.id == ONE


def test_the_unpacked_one_counts_where_there_are_both(tmp_path: Path) -> None:
    plain = write_rollout(tmp_path, ONE, ["one"])
    plain.with_name(plain.name + ".zst").write_bytes(b"garbage")
    assert all_rollouts(tmp_path) == [plain]
    assert find_rollout(tmp_path, ONE) == plain
    assert conversation(plain) == ["one", "ONE"]


@pytest.mark.parametrize("content", [None, b"", b"garbage", b"\x28\xb5\x2f\xfd garbage"])
def test_a_packed_file_that_is_not_whole_is_damaged(tmp_path: Path, content: bytes | None) -> None:
    packed = pack(write_rollout(tmp_path, ONE, ["one"] * 50))
    if content is None:
        cut(packed)
    else:
        packed.write_bytes(content)
    with pytest.raises(DamagedRollout) as caught:
        read_history(packed)
    assert "damaged" in str(caught.value)


def test_a_long_line_costs_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_files, "LONGEST_LINE", 4096)
    rollout = write_rollout(tmp_path, ONE, ["one", "x" * 10_000, "two"])
    packed = pack(rollout)
    assert conversation(packed) == ["one", "ONE", "two", "TWO"]


def test_archived_sessions_are_found_behind_the_others(tmp_path: Path) -> None:
    archived = write_rollout(tmp_path, ONE, ["one"], folder="archived_sessions")
    assert find_rollout(tmp_path, ONE) == archived
    other = write_rollout(tmp_path, ONE, ["two"])
    assert find_rollout(tmp_path, ONE) == other


def test_a_base_may_be_archived(tmp_path: Path) -> None:
    write_rollout(tmp_path, ONE, ["one", "two"], folder="archived_sessions")
    base = (ONE, end_after(1))
    last = write_rollout(tmp_path, ONE, ["three"], segment=TWO, base=base, begun=later(1))
    assert conversation(last) == ["one", "ONE", "three", "THREE"]


def test_a_file_outside_the_days_is_found(tmp_path: Path) -> None:
    flat = write_rollout(tmp_path, ONE, ["one"], folder="sessions")
    assert find_rollout(tmp_path, ONE) == flat


def test_a_fork_has_what_it_inherited(tmp_path: Path) -> None:
    parent = write_rollout(tmp_path, ONE, ["one", "two"])
    base = (ONE, end_after(1))
    fork = write_rollout(tmp_path, TWO, ["three"], base=base, begun=later(1))
    assert conversation(fork) == ["one", "ONE", "three", "THREE"]
    assert conversation(parent) == ["one", "ONE", "two", "TWO"]
    assert session_start(fork) == BEGIN
    assert descends_from(fork, ONE)
    assert not descends_from(parent, TWO)


def test_a_copied_fork_stems_from_its_second_line(tmp_path: Path) -> None:
    parent = write_rollout(tmp_path, ONE, ["one"])
    copy = write_rollout(tmp_path, TWO, [], begun=later(1))
    copy.write_text(copy.read_text() + parent.read_text())
    assert descends_from(copy, ONE)
    assert not descends_from(copy, THREE)


def test_a_missing_base_is_damage(tmp_path: Path) -> None:
    last = rewound(tmp_path)
    all_rollouts(tmp_path)[0].unlink()
    with pytest.raises(DamagedRollout) as caught:
        read_history(last)
    assert ONE in str(caught.value)


def test_a_circle_is_damage(tmp_path: Path) -> None:
    write_rollout(tmp_path, ONE, ["one"], segment=TWO, base=(THREE, 4))
    last = write_rollout(tmp_path, ONE, ["two"], segment=THREE, base=(TWO, 4), begun=later(1))
    with pytest.raises(DamagedRollout):
        read_history(last)


@pytest.mark.parametrize("base", ["x", 7, {}, {"thread_id": ONE}, {"end_ordinal_exclusive": 3}])
def test_an_unknown_base_is_none(base: object) -> None:
    line = json.dumps({"type": "session_meta", "payload": {"id": ONE, "history_base": base}})
    meta = session_files.parse_meta(line.encode() + b"\n")
    assert meta is not None
    assert meta.base is None
