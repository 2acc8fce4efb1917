from __future__ import annotations

import pytest

from agentapi.cli.attach.server import paint, read_events
from agentapi.cli.attach.terminal import before_detach


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (b"abc", (b"abc", False)),
        (b"\x03", (b"", True)),
        (b"ab\x03cd", (b"ab", True)),
        (b"a\x1b[99;5u", (b"a", True)),
        (b"a\x1b[99;5:1u", (b"a", True)),
        (b"\x1b[99;69u", (b"", True)),  # with caps lock on
        (b"\x1b[99;5:3u", (b"\x1b[99;5:3u", False)),  # a release
        (b"\x1b[99;1u", (b"\x1b[99;1u", False)),  # a plain c
        (b"\x1b[99;3u\x03", (b"\x1b[99;3u", True)),
        (b"x\x1b[27;5;99~", (b"x", True)),
        (b"\x1b[A", (b"\x1b[A", False)),
    ],
)
def test_ctrl_c_detaches_in_every_encoding(keys: bytes, expected: tuple[bytes, bool]) -> None:
    assert before_detach(keys) == expected


def test_the_last_lines_are_painted_within_the_terminals_size() -> None:
    text = "\n".join(f"line {n} " + "x" * 40 for n in range(5)) + "\n\x1b[31m danger\n   \n\n"
    painted = paint(text, 20, 3).decode()
    lines = painted.removeprefix("\x1b[?2026h\x1b[?7l\x1b[H").split("\x1b[K\r\n")
    assert lines[:2] == ["line 3 xxxxxxxxxxxxx", "line 4 xxxxxxxxxxxxx"]
    assert lines[2].startswith("[31m danger\x1b[J")  # its escape character is gone
    assert len(lines) == 3


async def test_events_are_read_however_they_are_split() -> None:
    wire = b': ping\n\nevent: screen\ndata: {"screen": "\xc3\xa4"}\n\nevent: x\r\ndata: 1\r\n\r\n'

    class Stream:
        def __init__(self, size: int) -> None:
            self.size = size

        async def iter_any(self):  # type: ignore[no-untyped-def]
            for start in range(0, len(wire), self.size):
                yield wire[start : start + self.size]

    for size in range(1, len(wire) + 1):
        events = [event async for event in read_events(Stream(size))]  # type: ignore[arg-type]
        assert events == [("screen", '{"screen": "ä"}'), ("x", "1")]
