"""What the terminal answers. Each query was seen in the start-up of some agent or editor."""

from __future__ import annotations

import pytest

from agentapi import __version__
from agentapi.terminal import Emulator

ST = b"\x1b\\"


def answer(query: bytes) -> bytes:
    emulator = Emulator(80, 24)
    emulator.feed(query)
    assert emulator.screen_lines()[0] == "", "painted"
    return emulator.take_replies()


@pytest.mark.parametrize(
    ("query", "reply"),
    [
        pytest.param(b"\x1b[c", b"\x1b[?62;22c", id="DA1"),
        pytest.param(b"\x1b[0c", b"\x1b[?62;22c", id="DA1 with 0"),
        pytest.param(b"\x1b[>c", b"\x1b[>1;10;0c", id="DA2"),
        pytest.param(b"\x1b[=c", b"\x1bP!|00000000" + ST, id="DA3"),
        pytest.param(b"\x1b[?c", b"", id="an answer to DA1 is no question"),
        pytest.param(b"\x1b[5n", b"\x1b[0n", id="DSR"),
        pytest.param(b"\x1b[7;9H\x1b[6n", b"\x1b[7;9R", id="CPR"),
        pytest.param(b"\x1b[7;9H\x1b[?6n", b"\x1b[?7;9R", id="DECXCPR"),
        pytest.param(b"\x1b[3;9r\x1b[?6h\x1b[2;1H\x1b[6n", b"\x1b[2;1R", id="CPR in origin mode"),
        pytest.param(b"\x1b[99;99H\x1b[6n", b"\x1b[24;80R", id="the usual way to learn the size"),
        pytest.param(b"\x1b[?996n", b"\x1b[?997;1n", id="colour scheme"),
        pytest.param(b"\x1b[?15n", b"\x1b[?13n", id="printer"),
        pytest.param(b"\x1b[>q", f"\x1bP>|agentapi({__version__})".encode() + ST, id="XTVERSION"),
        pytest.param(
            b"\x1b[>0q", f"\x1bP>|agentapi({__version__})".encode() + ST, id="XTVERSION 0"
        ),
        pytest.param(b"\x1b[?u", b"\x1b[?0u", id="kitty keyboard"),
        pytest.param(b"\x1b[>7u\x1b[?u", b"\x1b[?7u", id="kitty keyboard after a push"),
        pytest.param(b"\x1b[?4m", b"\x1b[>4;0m", id="XTQMODKEYS"),
        pytest.param(b"\x1b[>4;2m\x1b[?4m", b"\x1b[>4;2m", id="XTQMODKEYS when set"),
        pytest.param(b"\x1b[>4;?m", b"\x1b[>4;0m", id="Gemini's spelling of it"),
        pytest.param(b"\x1b[?2026$p", b"\x1b[?2026;2$y", id="DECRQM reset"),
        pytest.param(b"\x1b[?25$p", b"\x1b[?25;1$y", id="DECRQM set"),
        pytest.param(b"\x1b[?1049h\x1b[?1049$p", b"\x1b[?1049;1$y", id="DECRQM alternate screen"),
        pytest.param(b"\x1b[?1016$p", b"\x1b[?1016;0$y", id="DECRQM unknown"),
        pytest.param(b"\x1b[4$p", b"\x1b[4;2$y", id="DECRQM of an ANSI mode"),
        pytest.param(b"\x1b[14t", b"\x1b[4;480;800t", id="size in pixels"),
        pytest.param(b"\x1b[16t", b"\x1b[6;20;10t", id="size of a cell"),
        pytest.param(b"\x1b[18t", b"\x1b[8;24;80t", id="size in cells"),
        pytest.param(b"\x1b]0;secret\x07\x1b[21t", b"\x1b]l" + ST, id="never the title"),
        pytest.param(b"\x1b[?1;1;0S", b"\x1b[?1;3;0S", id="graphics attributes"),
        pytest.param(b"\x1b]10;?\x07", b"\x1b]10;rgb:ffff/ffff/ffff\x07", id="OSC 10 with BEL"),
        pytest.param(b"\x1b]11;?" + ST, b"\x1b]11;rgb:0000/0000/0000" + ST, id="OSC 11 with ST"),
        pytest.param(
            b"\x1b]10;?;?\x07",
            b"\x1b]10;rgb:ffff/ffff/ffff\x07\x1b]11;rgb:0000/0000/0000\x07",
            id="OSC 10 and 11 in one",
        ),
        pytest.param(b"\x1b]10;#fff\x07", b"", id="setting a colour"),
        pytest.param(b"\x1b]4;1;?\x07", b"\x1b]4;1;rgb:cdcd/0000/0000\x07", id="OSC 4"),
        pytest.param(
            b"\x1b]4;0;?;15;?;999;?;x;?\x07",
            b"\x1b]4;0;rgb:0000/0000/0000\x07\x1b]4;15;rgb:ffff/ffff/ffff\x07",
            id="OSC 4, several",
        ),
        pytest.param(b"\x1b]7501;?" + ST, b"\x1b]7501;?" + ST, id="agent states"),
        pytest.param(b"\x1b]7501;state=idle:app=codex" + ST, b"", id="an agent state"),
        pytest.param(
            b"\x1bP+q544e;5858" + ST,
            b"\x1bP1+r544e=787465726D2D323536636F6C6F72" + ST + b"\x1bP0+r5858" + ST,
            id="XTGETTCAP",
        ),
        pytest.param(b"\x1bP+qxyz" + ST, b"\x1bP0+r" + ST, id="XTGETTCAP of nonsense"),
        pytest.param(b"\x1b[1;31m\x1bP$qm" + ST, b"\x1bP1$r0;1;31m" + ST, id="DECRQSS SGR"),
        pytest.param(b"\x1b[2;9r\x1bP$qr" + ST, b"\x1bP1$r2;9r" + ST, id="DECRQSS region"),
        pytest.param(b"\x1bP$qzz" + ST, b"\x1bP0$r" + ST, id="DECRQSS unknown"),
        pytest.param(
            b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA" + ST,
            b"\x1b_Gi=31;ENOTSUPPORTED:no graphics here" + ST,
            id="kitty graphics",
        ),
        pytest.param(b"\x1b_Gi=31,a=t;AAAA" + ST, b"", id="a picture is no question"),
    ],
)
def test_reply(query: bytes, reply: bytes) -> None:
    assert answer(query) == reply


def test_all_of_one_read_in_one_write() -> None:
    queries = b"\x1b[?u\x1b[c\x1b[6n\x1b]10;?\x1b\\\x1b]11;?\x1b\\"
    assert answer(queries) == (
        b"\x1b[?0u\x1b[?62;22c\x1b[1;1R"
        b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\\x1b]11;rgb:0000/0000/0000\x1b\\"
    )


def test_replies_are_taken_once() -> None:
    emulator = Emulator()
    emulator.feed(b"\x1b[5n")
    assert emulator.take_replies() == b"\x1b[0n"
    assert emulator.take_replies() == b""
