"""JSON-RPC lines in a stream that also carries noise."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.agents.acp.wire import LineSplitter, LineTransport, Message, parse_line


@given(st.lists(st.binary()), st.data())
def test_lines_do_not_depend_on_how_the_stream_was_cut(
    pieces: list[bytes], data: st.DataObject
) -> None:
    stream = b"\n".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    splitter, lines = LineSplitter(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        lines += splitter.feed(stream[start:end])
    assert [*lines, splitter.rest()] == stream.split(b"\n")


def test_a_line_beyond_the_limit_is_cut_and_the_next_is_whole() -> None:
    splitter = LineSplitter(limit=4)
    assert splitter.feed(b"abc") + splitter.feed(b"def") + splitter.feed(b"gh\nij\n") == [
        b"abcd",
        b"ij",
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"warning: \xff",
        b"12",
        b"null",
        b"[]",
        b'"method"',
        b"{",
        b"[" * 100_000,
        b'{"level":"info","msg":"ready"}',
        b'{"id":[1],"result":1}',
        b'{"id":1,"error":"no"}',
        b'{"method":1}',
    ],
)
def test_what_is_no_message_is_noise(line: bytes) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "id": 1, "result": None},
        {"jsonrpc": "2.0", "id": "a", "error": {"code": 1, "message": "no"}},
        {"jsonrpc": "2.0", "id": 1, "method": "m", "params": {}},
        {"jsonrpc": "2.0", "method": "m"},
    ],
)
def test_messages_are_messages(message: Message) -> None:
    assert parse_line(json.dumps(message).encode()) == message


async def test_transport_passes_messages_and_hands_noise_over() -> None:
    stream = [b'Hello\n{"method', b'":"a"}\n\n  \n{"method":"b"}\nbye', b""]
    noise: list[bytes] = []
    sent: list[Message] = []
    written: list[bytes] = []

    async def read() -> bytes:
        return stream.pop(0)

    async def write(data: bytes) -> None:
        written.append(data)

    transport = LineTransport(read, write, unparsed=noise.append, sent=sent.append)
    received = [await transport.receive(), await transport.receive(), await transport.receive()]
    assert received == [{"method": "a"}, {"method": "b"}, None]
    assert noise == [b"Hello", b"bye"]

    await transport.send({"text": "a\nü\u2028"})
    assert sent == [{"text": "a\nü\u2028"}]
    assert written[0].count(b"\n") == 1
    assert json.loads(written[0]) == sent[0]


async def test_what_could_not_be_written_was_not_sent() -> None:
    sent: list[Message] = []

    async def read() -> bytes:
        return b""

    async def write(data: bytes) -> None:
        raise ConnectionError("gone")

    transport = LineTransport(read, write, unparsed=lambda line: None, sent=sent.append)
    with pytest.raises(ConnectionError):
        await transport.send({})
    assert sent == []
