from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.cli.attach.filter import QueryFilter

QUESTIONS = [
    b"\x05",
    b"\x1b[c",
    b"\x1b[0c",
    b"\x1b[>c",
    b"\x1b[=c",
    b"\x1b[6n",
    b"\x1b[?6n",
    b"\x1b[5n",
    b"\x1b[?996n",
    b"\x1b[?u",
    b"\x1b[>q",
    b"\x1b[>0q",
    b"\x1b[?2026$p",
    b"\x1b[14t",
    b"\x1b[18t",
    b"\x1b]10;?\x1b\\",
    b"\x1b]11;?\x07",
    b"\x1b]4;1;?\x1b\\",
    b"\x1b]52;c;?\x07",
    b"\x1b]7501;?\x1b\\",
    b"\x1bP+q544e\x1b\\",
    b"\x1bP$qm\x1b\\",
    b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\",
]
ORDINARY = [
    b"text \xf0\x9f\x98\x80",
    b"\x1b[1;31m",
    b"\x1b[2J",
    b"\x1b[?2026h",
    b"\x1b[?1049h",
    b"\x1b[>7u",
    b"\x1b[<u",
    b"\x1b[>4;0m",
    b"\x1b[0 q",
    b"\x1b]0;a title?\x07",
    b"\x1b]8;;http://x/?\x1b\\",
    b"\x1b]7501;state=idle:app=codex\x1b\\",
    b"\x1b]10;rgb:ff/ff/ff\x07",
    b"\x1b[8;24;80t",
    b"\x1b7",
    b"\x1b\\",
    b"\x1b(B",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_do_not_pass(question: bytes) -> None:
    assert QueryFilter().feed(b"a" + question + b"b") == b"ab"


@pytest.mark.parametrize("sequence", ORDINARY)
def test_everything_else_does(sequence: bytes) -> None:
    assert QueryFilter().feed(b"a" + sequence + b"b") == b"a" + sequence + b"b"


@given(
    parts=st.lists(st.sampled_from(QUESTIONS + ORDINARY), max_size=8),
    cuts=st.lists(st.integers(0, 200), max_size=6),
)
def test_however_the_bytes_are_split(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts) + b"."
    whole = QueryFilter().feed(data)
    split = QueryFilter()
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    pieces = (data[a:b] for a, b in itertools.pairwise(places))
    assert b"".join(split.feed(piece) for piece in pieces) == whole
    assert whole == b"".join(part for part in parts if part in ORDINARY) + b"."


def test_a_long_string_is_not_held_back() -> None:
    """A picture of a megabyte is no question, and memory is bounded."""
    start = b"\x1b]1337;File=inline=1:" + b"A" * 1000
    assert QueryFilter().feed(start) == start


@given(st.lists(st.binary(max_size=20), max_size=20))
def test_what_is_held_back_is_little(chunks: list[bytes]) -> None:
    filtering = QueryFilter()
    shown = 0
    for chunk in chunks:
        shown += len(filtering.feed(chunk))
        assert len(filtering._held) <= 300
