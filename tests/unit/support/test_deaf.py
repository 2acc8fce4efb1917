"""What takes a source away takes all of it and nothing else, wherever the output is cut."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from agentapi.conversation.status import Source
from tests.support.deaf import Without

OUTPUT = (
    b"\x1b[?2026hone\x1b]7501;state=working:app=codex\x1b\\two\x1b]0;\xe2\xa0\x8b title\x07"
    b"three\x1b]9;done\x07\x1b]7501;state=idle\x07\x1b[?2026l\x1b]10;?\x1b\\"
)
KEPT = OUTPUT.replace(b"\x1b]7501;state=working:app=codex\x1b\\", b"").replace(
    b"\x1b]7501;state=idle\x07", b""
)


@given(st.lists(st.integers(0, len(OUTPUT))))
def test_every_cut(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(OUTPUT)]
    edit = Without(Source.OSC)
    parts = [edit(OUTPUT[a:b]) for a, b in itertools.pairwise(ends)]
    assert b"".join(parts) == KEPT


def test_several_at_once() -> None:
    edit = Without(Source.OSC, Source.TITLE, Source.NOTIFICATION)
    assert edit(OUTPUT) == b"\x1b[?2026honetwothree\x1b[?2026l\x1b]10;?\x1b\\"
