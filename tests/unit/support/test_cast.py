"""Recordings: the format, and that each one in the tree is whole and fit to be published."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.agents import AGENTS
from tests.support.cast import CastWriter, all_casts, load_cast
from tests.support.codex import PROJECT

RECORDINGS = PROJECT / "tests/recordings"
CASTS = all_casts(RECORDINGS)
OF_CODEX = all_casts(RECORDINGS / "codex")
OF_OTHERS = all_casts(RECORDINGS / "agents")
PRIVATE = re.compile(r"/root|/home/|/work/|/Users/|/tmp/")


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@given(st.lists(st.binary(max_size=20)))
def test_output_comes_back_however_it_was_split(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("cast") / "x.cast"
    writer = CastWriter(80, 24)
    for chunk in chunks:
        writer.output(chunk)
    writer.save(path, {})
    whole = b"".join(chunks).decode(errors="replace")
    # Bytes that could still become a character at the very end are not a character.
    assert whole.startswith(load_cast(path).output().decode())


def test_what_was_typed_is_told_in_both_files(tmp_path: Path) -> None:
    writer = CastWriter(67, 1190)
    writer.input("\x1b[200~hällo\x1b[201~", "prompt")
    writer.save(tmp_path / "a" / "x.cast", {"codex": "1.2.3"})
    cast = load_cast(tmp_path / "a" / "x.cast")
    assert (cast.columns, cast.rows, cast.name) == (67, 1190, "a/x")
    assert [event[1:] for event in cast.events] == [("i", "\x1b[200~hällo\x1b[201~")]
    assert [entry["what"] for entry in cast.notes["typed"]] == ["prompt"]
    assert list(cast.chunks()) == []


def test_there_are_recordings() -> None:
    assert len(OF_CODEX) > 200
    assert {path.parent.name for path in OF_OTHERS} == set(AGENTS)


@pytest.mark.parametrize("path", CASTS, ids=name)
def test_a_recording_is_in_order_and_names_no_private_path(path: Path) -> None:
    cast = load_cast(path)
    times = [at for at, _, _ in cast.events]
    assert times == sorted(times)
    assert cast.output()
    shown = cast.output().decode() + json.dumps(cast.notes)
    assert not PRIVATE.findall(shown.replace("/var/tmp/", ""))


@pytest.mark.parametrize("path", OF_CODEX, ids=name)
def test_the_notes_of_a_codex_recording_are_its_own(path: Path) -> None:
    cast = load_cast(path)
    assert cast.notes["size"] == [cast.columns, cast.rows]
    assert cast.notes["scenario"] == path.stem
    assert cast.notes["codex"] == path.parent.name
    typed = [text for _, kind, text in cast.events if kind == "i"]
    assert typed == [entry["text"] for entry in cast.notes["typed"]]


@pytest.mark.parametrize("path", OF_OTHERS, ids=name)
def test_the_notes_of_another_agents_recording_are_its_own(path: Path) -> None:
    cast = load_cast(path)
    assert cast.notes["size"] == [cast.columns, cast.rows]
    assert (cast.notes["agent"], cast.notes["scenario"]) == (path.parent.name, path.stem)
    typed = [text for _, kind, text in cast.events if kind == "i"]
    assert typed == [entry["text"] for entry in cast.notes["typed"]]
