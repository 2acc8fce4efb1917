"""What a terminal shows. Each case gives the bytes and the screen of 20x6 that xterm.js 6 and
tmux 3.3a show for them; where those two differ, xterm.js is followed unless a comment says."""

from __future__ import annotations

import pytest

from agentapi.terminal import Emulator

WIDE = "漢字漢".encode()


def shown(data: bytes, columns: int = 20, rows: int = 6) -> list[str]:
    """The screen after `data`, without the empty rows at its end."""
    emulator = Emulator(columns, rows)
    emulator.feed(data)
    lines = emulator.screen_lines()
    assert len(lines) == rows
    while lines and not lines[-1]:
        lines.pop()
    return lines


def scrolled(data: bytes) -> list[str]:
    emulator = Emulator(20, 6)
    emulator.feed(data)
    return emulator.scrollback_lines()


NEVER_PAINTED = [
    b"\x1b[<u",
    b"\x1b[<1u",
    b"\x1b[>7u",
    b"\x1b[=1;1u",
    b"\x1b[=c",
    b"\x1b[!p",
    b"\x1b[4:3m",
    b"\x1b[38:2::255:0:0m",
    b"\x1b[38:5:208m",
    b"\x1b[>4;0m",
    b"\x1b[>4;?m",
    b"\x1b[0 q",
    b"\x1b[?2026$p",
    b"\x1b[?1;1;0S",
    b"\x1b[22;0t",
    b"\x1b[?u",
    b"\x1b[?2004h",
    b"\x1bPpayload\x1b\\",
    b"\x1bP+q544e\x1b\\",
    b"\x1b_Gi=1,a=q;AAAA\x1b\\",
    b"\x1b^private\x1b\\",
    b"\x1bXstart of string\x1b\\",
    b"\x1b]8;id=1;https://example.org\x1b\\",
    b"\x1b]10;?\x1b\\",
    b"\x1b]66;w=2;text\x07",
    b"\x1b]133;A\x07",
    b"\x1b]7501;state=working:app=codex\x1b\\",
    b"\x1b(B",
    b"\x1b=",
    b"\x1b>",
    b"\x1b%G",
    b"\x7f",
    b"\x00",
    b"\x05",
    "\x9b".encode(),
]


@pytest.mark.parametrize("sequence", NEVER_PAINTED)
def test_no_sequence_is_painted(sequence: bytes) -> None:
    assert shown(b"ab" + sequence + b"cd") == ["abcd"]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        pytest.param(b"main\x1b[?1049hALT", ["    ALT"], id="alternate screen starts blank"),
        pytest.param(b"main\x1b[?1049hALT\x1b[?1049lx", ["mainx"], id="1049 restores"),
        pytest.param(b"ab\x1b[?47hcd\x1b[?47lef", ["ab  ef"], id="47 restores, not the cursor"),
        pytest.param(b"ab\x1b[?1047hcd\x1b[?1047lef", ["ab  ef"], id="1047"),
        pytest.param(
            b"ab\x1b7\x1b[?1049h\x1b[5;5H\x1b7\x1b[?1049l\x1b8c", ["abc"], id="a slot a screen"
        ),
        pytest.param(b"a\x1b]0;title\x1b[31mb", ["ab"], id="OSC ended by ESC"),
        pytest.param(b"a\x1b]0;title\x18b", ["ab"], id="OSC ended by CAN"),
        pytest.param(b"a\x1b]0;title\x1ab", ["ab"], id="OSC ended by SUB"),
        pytest.param(b"1\r\n2\r\n3\x1b[S", ["2", "3"], id="SU"),
        pytest.param(b"1\r\n2\r\n3\x1b[TX", ["", "1", "2X", "3"], id="SD"),
        pytest.param(b"1\r\n2\x1b[1;2;3;4;5TX", ["1", "2X"], id="highlight tracking is no SD"),
        pytest.param(b"ab\x1b[5bc", ["abbbbbbc"], id="REP"),
        pytest.param(b"ab\r\x1b[5bc", ["cb"], id="REP only straight after text"),
        pytest.param("•\x1b[3b".encode(), ["••••"], id="REP of any character"),
        pytest.param(b"ab\x1b[scd\x1b[uX", ["abXd"], id="CSI s and u"),
        pytest.param(b"a\tb\tc\x1b[2ZX", ["a       X       c"], id="CBT"),
        pytest.param(b"a\x1b[2IX", ["a               X"], id="CHT"),
        pytest.param(b"abc\x1bEd", ["abc", "d"], id="NEL returns the carriage"),
        pytest.param(b"abc\x1bDd", ["abc", "   d"], id="IND does not"),
        pytest.param(b"ab\x1b[5`c", ["ab  c"], id="HPA"),
        pytest.param(b"ab\x1b[5'cd", ["abd"], id="an apostrophe is no HPA"),
        pytest.param(b"\x1b[2;4r\x1b[3;1H\x1b[9eX", ["", "", "", "", "", "X"], id="VPR"),
        pytest.param(
            b"abcdefghijklmnopqrst\tX", ["abcdefghijklmnopqrst", "X"], id="HT at a due wrap"
        ),
        pytest.param(b"\x1b(0lqk\x1b(Bx", ["┌─┐x"], id="line drawing in G0"),
        pytest.param(b"\x1b)0\x0elqk\x0fx", ["┌─┐x"], id="line drawing in G1"),
        pytest.param(WIDE + b"\x1b[2G\x1b[1X", ["  字漢"], id="ECH beside a wide character"),
        pytest.param(WIDE + b"\x1b[2G\x1b[1@", ["   字漢"], id="ICH"),
        pytest.param(WIDE + b"\x1b[2G\x1b[1P", [" 字漢"], id="DCH"),
        pytest.param(WIDE + b"\x1b[4G\x1b[K", ["漢"], id="EL"),
        pytest.param(WIDE + b"\x1b[3G\x1b[1K", ["    漢"], id="EL 1"),
        pytest.param(WIDE + b"\x1b[2GX", [" X字漢"], id="over the second half"),
        pytest.param(WIDE + b"\x1b[3GX", ["漢X 漢"], id="over the first half"),
        pytest.param(
            b"abcdefghijklmnopqrsX\r\x1b[19C" + WIDE, ["abcdefghijklmnopqrs", "漢字漢"], id="wraps"
        ),
        pytest.param(
            b"\x1b[?7labcdefghijklmnopqrs" + WIDE, ["abcdefghijklmnopqrs"], id="no wrap, no room"
        ),
        pytest.param(
            b"\x1b[?7labcdefghijklmnopqrstuvwx", ["abcdefghijklmnopqrsx"], id="no wrap, narrow"
        ),
        pytest.param(b"\x1b[4;6r\x1b[3;1H\x1bMX", ["", "X"], id="RI above the region"),
        pytest.param(b"\x1b[4;6r\x1b[3;1H\x1b[AX", ["", "X"], id="CUU above the region"),
        pytest.param(b"\x1b[1;2r\x1b[4;1H\nX", ["", "", "", "", "X"], id="LF below the region"),
        pytest.param(b"\x1b[1;2r\x1b[4;1H\x1b[BX", ["", "", "", "", "X"], id="CUD below it"),
        pytest.param(b"\x1b[2;4r\x1b[4;1H\x1b[9AX", ["", "X"], id="CUU stops at the top"),
        pytest.param(b"\x1b[2;4r\x1b[2;1H\x1b[9BX", ["", "", "", "X"], id="CUD at the bottom"),
        pytest.param(b"a\r\nb\x1b[2;3rX", ["X", "b"], id="DECSTBM homes"),
        pytest.param(b"a\r\nb\x1b[2;3r\x1b[5;5H\x1b[rX", ["X", "b"], id="CSI r homes"),
        pytest.param(b"a\r\nb\x1b[5;2rX", ["a", "bX"], id="an impossible region"),
        pytest.param(b"1\r\n2\r\n3\r\n4\x1b[2;3H\x1b[MX", ["1", "X", "4"], id="DL"),
        pytest.param(b"1\r\n2\x1b[1;1H\x1b[MX", ["X"], id="DL over an untouched row"),
        pytest.param(b"1\r\n2\r\n3\x1b[2;3H\x1b[LX", ["1", "X", "2", "3"], id="IL"),
        pytest.param(b"a\r\nb\x1b[3J", ["a", "b"], id="CSI 3J leaves the screen"),
        pytest.param(b"a\r\nb\x1b[2JX", ["", " X"], id="CSI 2J leaves the cursor"),
        pytest.param(b"\x1b[3;3H\x1b7\x1b[H\x1b8A\x1b[H\x1b8B", ["", "", "  B"], id="DECRC twice"),
        pytest.param(
            b"\x1b[1;1H\x1b7\x1b[3;5r\x1b8X", ["X"], id="DECRC does not clamp into the margins"
        ),
        pytest.param(b"ab\x1b8X", ["Xb"], id="DECRC of nothing goes home"),
        pytest.param("a👨‍👩‍👧b".encode(), ["a👨‍👩‍👧b"], id="ZWJ"),
        pytest.param("⚠️ Warning".encode(), ["⚠️ Warning"], id="VS16"),
        pytest.param("☺︎ text".encode(), ["☺︎ text"], id="VS15"),
        pytest.param("a\u200bb\ufeffc".encode(), ["a\u200bb\ufeffc"], id="ZWSP and BOM"),
        pytest.param(b"ab\x01\x02cd", ["abcd"], id="stray C0"),
        pytest.param("e\u0301x".encode(), ["e\u0301x"], id="combining"),
        pytest.param("abc\re\u0301x".encode(), ["e\u0301xc"], id="combining over text"),
        pytest.param("\u0301x".encode(), ["x"], id="combining with nothing to combine with"),
        pytest.param("🇩🇪🇫🇷x".encode(), ["🇩🇪🇫🇷x"], id="flags"),
        pytest.param(b"\x1b[?4mab", ["ab"], id="unknown private SGR"),
        pytest.param(b"ab\x1b[1;2Ac", ["abc"], id="too many parameters"),
        pytest.param(b"ab\x1b[1;2;3Hc", ["ac"], id="CUP"),
        pytest.param(b"ab\x1b[3Kc", ["abc"], id="EL 3"),
        pytest.param(b"ab\x1b[5Jc", ["abc"], id="ED 5"),
        pytest.param(b"a\x1b[3\r1mb", ["b"], id="a control inside a sequence acts"),
        pytest.param(b"a\x1b[3\x181mb", ["a1mb"], id="CAN inside a sequence"),
        pytest.param(b"a\x1b[3\x1b[Cb", ["a b"], id="ESC inside a sequence"),
        pytest.param(b"\xff\xe6\xbc\xc3\xa9x", ["\ufffd\ufffdéx"], id="invalid UTF-8"),
        pytest.param(b"abc\r\x1b[4hXY\x1b[4lZ", ["XYZbc"], id="insert mode"),
        pytest.param(b"\x1b[2;4r\x1b[?6h\x1b[1;1HA\x1b[9;1HB", ["", "A", "", "B"], id="origin"),
        pytest.param(b"\x1b#8\x1b[2;1H\x1b[0J", ["E" * 20], id="DECALN"),
        pytest.param(b"abc\x1bcX", ["X"], id="RIS"),
        pytest.param(b"abcdefghijklmnopqrst\bX", ["abcdefghijklmnopqrXt"], id="BS at a due wrap"),
        pytest.param(b"abcdefghijklmnopqrst\x1b[KX", ["abcdefghijklmnopqrst", "X"], id="EL there"),
        pytest.param(b"\x1b[3g\x1b[5G\x1bH\r\tX\tY", ["    X" + " " * 14 + "Y"], id="tab stops"),
    ],
)
def test_screen(data: bytes, lines: list[str]) -> None:
    assert shown(data) == lines


NUMBERS = b"1\r\n2\r\n3\r\n4\r\n5\r\n6"


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        pytest.param(NUMBERS + b"\r\n7\r\n8", ["1", "2"], id="LF at the bottom"),
        pytest.param(NUMBERS + b"\x1b[3S", ["1", "2", "3"], id="SU"),
        pytest.param(NUMBERS + b"\x1bD", ["1"], id="IND"),
        # xterm.js drops these; tmux, ghostty and avt keep them, and Codex 0.80 sends them.
        pytest.param(NUMBERS + b"\x1b[1;4r\x1b[2S", ["1", "2"], id="SU in a region from the top"),
        pytest.param(NUMBERS + b"\x1b[2;4r\x1b[2S", [], id="SU in a region further down"),
        pytest.param(NUMBERS + b"\x1b[H\x1bM", [], id="RI"),
        pytest.param(NUMBERS + b"\x1b[H\x1b[2L\x1b[3M", [], id="IL and DL"),
        pytest.param(NUMBERS + b"\x1b[2J", [], id="ED 2"),
        pytest.param(b"\x1b[?1049h" + NUMBERS + b"\r\n7", [], id="the alternate screen"),
        pytest.param(NUMBERS + b"\r\n7\x1b[?1049hALT", ["1"], id="stays readable behind it"),
        pytest.param(NUMBERS + b"\r\n7\x1b[3J", [], id="CSI 3J"),
        pytest.param(NUMBERS + b"\r\n7\x1b[3J\r\n8", ["2"], id="goes on after CSI 3J"),
        # tmux clears it all the same
        pytest.param(NUMBERS + b"\r\n7\x1b[?1049h\x1b[3J", ["1"], id="CSI 3J, alternate screen"),
    ],
)
def test_scrollback(data: bytes, lines: list[str]) -> None:
    assert scrolled(data) == lines


def test_scrollback_is_bounded() -> None:
    emulator = Emulator(20, 6, scrollback=10)
    emulator.feed(b"".join(b"line %d\r\n" % number for number in range(100)))
    assert emulator.scrollback_lines() == [f"line {number}" for number in range(85, 95)]
    assert len(emulator.take_frame().pushed) == 10


def test_resize_keeps_the_cursor_row() -> None:
    emulator = Emulator(20, 6)
    emulator.feed(NUMBERS)
    emulator.resize(20, 4)
    assert emulator.scrollback_lines() == ["1", "2"]
    assert emulator.screen_lines() == ["3", "4", "5", "6"]
    assert emulator.cursor == (1, 3)
    emulator.resize(10, 8)
    assert emulator.screen_lines() == ["3", "4", "5", "6", "", "", "", ""]


def test_resize_drops_blank_rows_below_first() -> None:
    emulator = Emulator(20, 6)
    emulator.feed(b"1\r\n2")
    emulator.resize(20, 3)
    assert emulator.screen_lines() == ["1", "2", ""]
    assert emulator.scrollback_lines() == []


def test_resize_behind_the_alternate_screen() -> None:
    emulator = Emulator(20, 6)
    emulator.feed(NUMBERS + b"\x1b[?1049h" + NUMBERS)
    emulator.resize(20, 4)
    assert emulator.screen_lines() == ["3", "4", "5", "6"]
    emulator.feed(b"\x1b[?1049lX")
    assert emulator.screen_lines() == ["3", "4", "5", "6X"]
    assert emulator.scrollback_lines() == ["1", "2"]


def test_resize_cuts_a_wide_character_in_two_halves_nobody_sees() -> None:
    emulator = Emulator(6, 1)
    emulator.feed(WIDE)
    emulator.resize(5, 1)
    assert emulator.screen_lines() == ["漢字"]
    emulator.resize(6, 1)
    emulator.feed(b"\x1b[6GX")
    assert emulator.screen_lines() == ["漢字 X"]


def test_tab_stops_grow_with_the_screen() -> None:
    emulator = Emulator(20, 2)
    emulator.resize(40, 2)
    emulator.feed(b"\x1b[20G\tX")
    assert emulator.screen_lines()[0].index("X") == 24
