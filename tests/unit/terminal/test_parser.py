"""Bytes to operations, with every boundary between reads."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from agentapi.terminal.parser import (
    MAX_PARAMETER,
    MAX_SEQUENCE,
    Control,
    Csi,
    Escape,
    Operation,
    Parser,
    String,
)


def parse(*pieces: bytes) -> list[Operation]:
    """The operations, with adjacent text joined (a split may part it)."""
    parser = Parser()
    return joined(operation for piece in pieces for operation in parser.parse(piece))


def joined(operations: Iterable[Operation]) -> list[Operation]:
    result: list[Operation] = []
    for operation in operations:
        if isinstance(operation, str) and result and isinstance(result[-1], str):
            result[-1] += operation
        else:
            result.append(operation)
    return result


def csi(key: str, *parameters: int) -> Csi:
    return Csi(key, parameters, tuple((parameter,) for parameter in parameters))


CASES: list[tuple[bytes, list[Operation]]] = [
    (b"text", ["text"]),
    ("é漢👍".encode(), ["é漢👍"]),
    (b"a\r\nb", ["a", Control("\r"), Control("\n"), "b"]),
    (b"\x1b[H", [csi("H")]),
    (b"\x1b[1;22H", [csi("H", 1, 22)]),
    (b"\x1b[;5H", [csi("H", 0, 5)]),
    (b"\x1b[?2026;1h", [csi("?h", 2026, 1)]),
    (b"\x1b[>7u\x1b[<u\x1b[=1;2u", [csi(">u", 7), csi("<u"), csi("=u", 1, 2)]),
    (b"\x1b[!p\x1b[0 q\x1b[?5$p", [csi("!p"), csi(" q", 0), csi("?$p", 5)]),
    (b"\x1b[4:3;1m", [Csi("m", (4, 1), ((4, 3), (1,)))]),
    (b"\x1b[38:2::1:2:3m", [Csi("m", (38,), ((38, 2, 0, 1, 2, 3),))]),
    (b"\x1b[99999999999999A", [csi("A", MAX_PARAMETER)]),
    (b"\x1b[1\n2A", [Control("\n"), csi("A", 12)]),
    (b"\x1b[1\x7f2A", [csi("A", 12)]),
    (b"\x1b[1\x182A", ["2A"]),
    (b"\x1b[1\x1b[2A", [csi("A", 2)]),
    (b"\x1b[" + b"1" * (MAX_SEQUENCE + 9) + b"Ab", ["b"]),
    (b"\x1b[1?A", []),
    (b"\x1b7\x1b(0\x1b#8", [Escape("", "7"), Escape("(", "0"), Escape("#", "8")]),
    (b"\x1b\n7", [Control("\n"), Escape("", "7")]),
    (b"\x1b\x187", ["7"]),
    (b"\x1b]0;t\xc3\xaft\x07x", [String("]", "0;tït", "\x07"), "x"]),
    (b"\x1b]0;t\x1b\\x", [String("]", "0;t", "\x1b\\"), "x"]),
    (b"\x1b]0;a\nb\x07", [String("]", "0;ab", "\x07")]),
    (b"\x1b]0;t\x18x", ["x"]),
    (b"\x1b]0;t\x1b[Ax", [String("]", "0;t", "\x1b\\"), csi("A"), "x"]),
    (b"\x1bP+q00\x1b\\\x1b_Gi\x1b\\", [String("P", "+q00", "\x1b\\"), String("_", "Gi", "\x1b\\")]),
    (b"\x1b_a\x07b\x1b\\", [String("_", "ab", "\x1b\\")]),
    (b"\x1b^pm\x1b\\\x1bXsos\x1b\\", [String("^", "pm", "\x1b\\"), String("X", "sos", "\x1b\\")]),
    ("a\x7f\x85b".encode(), ["ab"]),
    (b"\xe6\xbcx", ["\ufffdx"]),
]


def meaningful(operations: list[Operation]) -> list[Operation]:
    """Without the backslash of an ST, which is a sequence of its own that means nothing."""
    return [operation for operation in operations if operation != Escape("", "\\")]


@pytest.mark.parametrize(("data", "operations"), CASES)
def test_whole(data: bytes, operations: list[Operation]) -> None:
    assert meaningful(parse(data)) == operations


@pytest.mark.parametrize(("data", "operations"), CASES)
def test_every_boundary(data: bytes, operations: list[Operation]) -> None:
    for cut in range(len(data) + 1):
        assert meaningful(parse(data[:cut], data[cut:])) == operations, cut


@pytest.mark.parametrize(("data", "operations"), CASES)
def test_byte_by_byte(data: bytes, operations: list[Operation]) -> None:
    pieces = [data[index : index + 1] for index in range(len(data))]
    assert meaningful(parse(*pieces)) == operations


@pytest.mark.parametrize(("data", "operations"), CASES)
def test_pending_carries_over_to_another_parser(data: bytes, operations: list[Operation]) -> None:
    for cut in range(len(data) + 1):
        first, second = Parser(), Parser()
        before = list(first.parse(data[:cut]))
        after = list(second.parse(first.pending() + data[cut:]))
        assert meaningful(joined(before + after)) == operations, cut
