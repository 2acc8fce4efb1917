"""Frames, splits, hostile input and the dump."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from agentapi.model.frames import AgentState, Bell, Notification, Title
from agentapi.terminal import Emulator
from agentapi.terminal.line import Line
from tests.unit.terminal.streams import splits, streams

OUTSIDE_A_DUMP = re.compile(rb"\x1b\[([0-9;]*b|0*2[23](;[0-9;]*)?t)")
"""REP and the title stack: what they refer to cannot be put into a dump."""
MOUSE = (9, 1000, 1002, 1003)
"""The modes that track the mouse."""
BEGIN, END = b"\x1b[?2026h", b"\x1b[?2026l"


def emulator_with(data: bytes, columns: int = 20, rows: int = 6) -> Emulator:
    emulator = Emulator(columns, rows)
    emulator.feed(data)
    return emulator


def everything(emulator: Emulator) -> tuple[object, ...]:
    """All that a reader can see, apart from versions."""
    frame = emulator.take_frame()
    return (
        frame.lines,
        frame.bright,
        frame.cursor,
        frame.alternate,
        frame.cursor_visible,
        emulator.scrollback_lines(),
        emulator.bracketed_paste,
        emulator.dump(),
    )


def answers(emulator: Emulator, question: bytes) -> bytes:
    """What the terminal answers to this, and not to what it was asked before."""
    emulator.take_replies()
    emulator.feed(question)
    return emulator.take_replies()


def switched_on(emulator: Emulator, mode: int) -> bool:
    """Whether a private mode is on, as the terminal itself tells (DECRQM)."""
    return answers(emulator, b"\x1b[?%d$p" % mode) == b"\x1b[?%d;1$y" % mode


class TestAnySplit:
    @given(streams, st.lists(st.integers(0, 1000), max_size=8))
    def test_gives_the_same(self, data: bytes, cuts: list[int]) -> None:
        whole, parts = Emulator(20, 6), Emulator(20, 6)
        whole.feed(data)
        for part in splits(data, cuts):
            parts.feed(part)
        assert everything(whole) == everything(parts)
        assert whole.take_replies() == parts.take_replies()
        assert whole.take_signals() == parts.take_signals()

    def test_every_single_byte(self) -> None:
        data = (
            "a漢\x1b[31m⚠️\x1b]0;tïtle\x07\x1b[?u\x1b[6n\x1b]11;?\x1b\\\x1bP+q544e\x1b\\\x1b(0q"
        ).encode()
        whole, parts = emulator_with(data), Emulator(20, 6)
        for index in range(len(data)):
            parts.feed(data[index : index + 1])
        assert everything(whole) == everything(parts)
        assert whole.take_replies() == parts.take_replies()


class TestHostileInput:
    @given(st.binary(max_size=400))
    def test_random_bytes(self, data: bytes) -> None:
        emulator = emulator_with(data)
        emulator.end_synchronized()
        frame = emulator.take_frame()
        assert len(frame.lines) == 6
        assert 0 <= frame.cursor[0] < 20
        assert 0 <= frame.cursor[1] < 6

    @given(
        st.lists(
            st.sampled_from(["\x1b", "[", "]", "P", "?", ">", ";", ":", "1049", "h", "l", "9" * 12])
            | st.sampled_from("ABCDHJKLMPSTXZbcmnpqrstu@`\\ \x07\x18\r\n漢é$!"),
            max_size=60,
        ),
        st.integers(1, 12),
        st.integers(1, 4),
    )
    def test_broken_sequences_on_tiny_screens(
        self, parts: list[str], columns: int, rows: int
    ) -> None:
        emulator = Emulator(columns, rows)
        for part in parts:
            emulator.feed(part.encode())
        emulator.resize(rows, columns)
        emulator.feed(b"\x1b[H\x1b[2J\x1bcok" if rows > 1 else b"")
        assert len(emulator.screen_lines()) == columns

    @pytest.mark.parametrize(
        "start", [b"\x1b]0;", b"\x1bP", b"\x1b_", b"\x1b^", b"\x1bX", b"\x1b["]
    )
    def test_a_string_without_end_keeps_no_memory(self, start: bytes) -> None:
        emulator = emulator_with(start)
        piece = b"1" * 100_000
        tracemalloc.start()
        for _ in range(8):
            emulator.feed(piece)
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept < 500_000
        emulator.feed(b"m\x1b\\visible")
        assert "visible" in "".join(emulator.screen_lines())
        assert emulator.take_signals() == []

    def test_an_overlong_title_is_dropped_whole(self) -> None:
        emulator = emulator_with(b"\x1b]0;" + b"x" * 1_000_000 + b"\x07ok")
        assert emulator.screen_lines()[0] == "ok"
        assert emulator.take_signals() == []

    def test_floods_of_questions_bells_and_marks_are_bounded(self) -> None:
        emulator = emulator_with(b"\x1b[6n" * 100_000 + b"\x07" * 100_000)
        assert len(emulator.take_replies()) <= 65_536
        assert len(emulator.take_signals()) <= 1_000
        emulator.feed(b"\ra" + "\u0301".encode() * 100_000)
        assert len(emulator.screen_lines()[0]) < 100

    def test_huge_counts(self) -> None:
        emulator = emulator_with(b"a")
        for final in b"@ABCDEFGIJKLMPSTXZ`abdeu":
            emulator.feed(b"\x1b[99999999999999999999%cx" % final)
        assert len(emulator.screen_lines()) == 6


class TestFrames:
    def test_equal_screens_have_equal_versions(self) -> None:
        emulator = emulator_with(b"hello")
        before = emulator.take_frame()
        emulator.feed(b"\rhello")
        assert emulator.take_frame() is before
        emulator.feed(b"!")
        after = emulator.take_frame()
        assert after.version == before.version + 1
        assert after.lines[1] is before.lines[1]

    def test_unchanged_rows_stay_the_same_objects(self) -> None:
        emulator = emulator_with(b"one\r\ntwo")
        before = emulator.take_frame()
        emulator.feed(b"\x1b[1;1Hone\x1b[2;4H!")
        after = emulator.take_frame()
        assert after.lines[:2] == ("one", "two!")
        assert after.lines[0] is before.lines[0]

    def test_bright_leaves_faint_text_out(self) -> None:
        frame = emulator_with("› \x1b[2mfaint 漢\x1b[22mx\x1b[2m end".encode()).take_frame()
        assert frame.lines[0] == "› faint 漢x end"
        assert frame.bright[0] == "›        x"

    def test_pushed_counts_from_the_frame_before(self) -> None:
        emulator = emulator_with(b"".join(b"%d\r\n" % number for number in range(7)))
        assert emulator.take_frame().pushed == ("0", "1")
        assert emulator.take_frame().pushed == ()
        emulator.feed(b"7\r\n")
        assert emulator.take_frame().pushed == ("2",)

    def test_cleared(self) -> None:
        emulator = emulator_with(b"\n" * 8)
        assert not emulator.take_frame().cleared
        emulator.feed(b"\n\x1b[3J1\n")
        frame = emulator.take_frame()
        assert frame.cleared
        assert frame.pushed == ("",)
        assert not emulator.take_frame().cleared

    def test_scrolling_equal_lines_is_a_change(self) -> None:
        emulator = emulator_with(b"\r\n".join([b"same"] * 6))
        before = emulator.take_frame()
        emulator.feed(b"\r\nsame")
        after = emulator.take_frame()
        assert after.lines == before.lines
        assert after.version > before.version
        assert after.pushed == ("same",)


class TestSynchronizedOutput:
    def test_an_update_shows_when_it_ends(self) -> None:
        emulator = emulator_with(b"old")
        emulator.feed(BEGIN + b"\rnew")
        assert emulator.synchronized
        assert emulator.screen_lines()[0] == "old"
        assert emulator.take_frame().lines[0] == "old"
        emulator.feed(END)
        assert not emulator.synchronized
        assert emulator.screen_lines()[0] == "new"
        assert emulator.completed_frames == 1

    def test_the_end_of_one_and_the_begin_of_the_next_in_one_piece(self) -> None:
        emulator = emulator_with(BEGIN + b"one" + END + BEGIN + b"\rtwo")
        assert emulator.synchronized
        assert emulator.completed_frames == 1
        frame = emulator.take_frame()
        assert frame.lines[0] == "one"
        assert frame.cursor == (3, 0)

    def test_lines_that_scroll_off_in_an_update_wait_for_its_end(self) -> None:
        emulator = emulator_with(b"1\r\n2\r\n3\r\n4\r\n5\r\n6")
        emulator.feed(BEGIN + b"\r\n7")
        assert emulator.take_frame().pushed == ()
        assert emulator.scrollback_lines() == []
        emulator.feed(END)
        assert emulator.take_frame().pushed == ("1",)

    def test_a_missing_end_can_be_forced(self) -> None:
        emulator = emulator_with(BEGIN + b"half")
        version = emulator.take_frame().version
        emulator.end_synchronized()
        assert not emulator.synchronized
        assert emulator.take_frame().version > version
        assert emulator.screen_lines()[0] == "half"

    def test_a_second_begin_is_part_of_the_first(self) -> None:
        emulator = emulator_with(BEGIN + b"a" + BEGIN + b"b")
        assert emulator.screen_lines()[0] == ""
        emulator.feed(END)
        assert emulator.screen_lines()[0] == "ab"

    def test_resize_and_reset_end_it(self) -> None:
        emulator = emulator_with(BEGIN + b"half")
        emulator.resize(30, 7)
        assert emulator.screen_lines()[0] == "half"
        emulator.feed(BEGIN + b"\x1bcnew")
        assert not emulator.synchronized
        assert emulator.screen_lines()[0] == "new"


class TestSignals:
    def test_in_order(self) -> None:
        emulator = emulator_with(
            b"\x1b]0;one\x07\x07\x1b]7501;state=working:app=codex\x1b\\"
            b"\x1b]9;done\x07\x1b]9;4;1;50\x07\x1b]2;two\x1b\\"
            b"\x1b]7501;state=blocked:app=claude-code:kind=permission:msg=YXBwcm92ZQ\x07"
            b"\x1b]777;notify;Title;body\x07\x1b]10;?\x07\x1b]1;icon\x07\x1b]7501;?\x07"
        )
        assert emulator.take_signals() == [
            Title("one"),
            Bell(),
            AgentState("working", "codex"),
            Notification("done"),
            Title("two"),
            AgentState("blocked", "claude-code", "permission", "approve"),
            Notification("Title: body"),
        ]
        assert emulator.take_signals() == []

    @pytest.mark.parametrize("message", [b"!!!", b"/w==", b"="])
    def test_an_undecodable_message_is_empty(self, message: bytes) -> None:
        emulator = emulator_with(b"\x1b]7501;state=working:msg=" + message + b"\x07")
        assert emulator.take_signals() == [AgentState("working")]

    def test_other_osc_are_no_titles(self) -> None:
        emulator = emulator_with(
            b"\x1b]21;kitty=1\x07\x1b]133;A\x07\x1b]10;#ffffff\x07\x1b]52;c;\x07"
        )
        assert emulator.take_signals() == []

    def test_title_stack(self) -> None:
        emulator = emulator_with(b"\x1b]0;one\x07\x1b[22;0t\x1b]0;two\x07\x1b[23;0t\x1b[23;0t")
        assert emulator.take_signals() == [Title("one"), Title("two"), Title("one")]


class TestModes:
    def test_properties(self) -> None:
        emulator = emulator_with(b"")
        assert not emulator.bracketed_paste
        assert emulator.take_frame().cursor_visible
        assert not any(switched_on(emulator, mode) for mode in MOUSE)
        emulator.feed(b"\x1b[?2004h\x1b[?1h\x1b[?25l\x1b[?1000h\x1b[?1003h\x1b[?1006h\x1b[?1004h")
        assert emulator.bracketed_paste
        assert switched_on(emulator, 1)
        assert not emulator.take_frame().cursor_visible
        assert [mode for mode in MOUSE if switched_on(emulator, mode)] == [1003]
        assert emulator.focus_events
        emulator.feed(b"\x1b[?2004;1;1003;1004l\x1b[?25h")
        assert not emulator.bracketed_paste
        assert not switched_on(emulator, 1)
        assert not any(switched_on(emulator, mode) for mode in MOUSE)

    def test_keyboard_flags_are_a_stack_a_screen(self) -> None:
        emulator = emulator_with(b"\x1b[>1u\x1b[>7u")
        assert answers(emulator, b"\x1b[?u") == b"\x1b[?7u"
        emulator.feed(b"\x1b[?1049h")
        assert answers(emulator, b"\x1b[?u") == b"\x1b[?0u"
        emulator.feed(b"\x1b[=5u\x1b[=2;2u\x1b[=1;3u")
        assert answers(emulator, b"\x1b[?u") == b"\x1b[?6u"
        emulator.feed(b"\x1b[?1049l\x1b[<u")
        assert answers(emulator, b"\x1b[?u") == b"\x1b[?1u"
        emulator.feed(b"\x1b[<9u")
        assert answers(emulator, b"\x1b[?u") == b"\x1b[?0u"


class TestDump:
    @given(streams, streams, st.lists(st.integers(0, 1000), min_size=1, max_size=1))
    def test_it_and_the_rest_show_the_same(
        self, before: bytes, after: bytes, cut: list[int]
    ) -> None:
        """Dumped anywhere, also inside a sequence or character, and then fed the rest."""
        assume(not OUTSIDE_A_DUMP.search(before + after))
        start, rest = splits(before + after, cut)
        original = emulator_with(start)
        copy = emulator_with(original.dump())
        original.take_frame()
        for emulator in (original, copy):
            emulator.feed(rest)
        first, second = original.take_frame(), copy.take_frame()
        assert first.lines == second.lines
        assert first.bright == second.bright
        assert first.cursor == second.cursor
        assert first.alternate == second.alternate
        assert original.dump() == copy.dump()

    def test_colours_and_attributes(self) -> None:
        painted = b"\x1b[1;31mred\x1b[0;2;4:3;38;2;1;2;3;48;5;208mfaint\x1b[0m"
        dump = emulator_with(painted + b"\x1b[?25l\x1b[3 q").dump()
        assert b"\x1b[0;1;31mred" in dump
        assert b"\x1b[0;2;38;2;1;2;3;48;5;208;4:3mfaint" in dump
        assert b"\x1b[?25l" in dump
        assert b"\x1b[3 q" in dump

    def test_links(self) -> None:
        link = b"\x1b]8;id=1;https://example.org/a;b\x1b\\"
        emulator = emulator_with(b"a" + link + b"bc\x1b[md\x1b]8;;\x1b\\e")
        assert b"a\x1b[0m" + link + b"bcd\x1b]8;;\x1b\\\x1b[0me" in emulator.dump()
        emulator.feed(link + b"\x1b7\x1b]8;id=1;\x07" + b"\x1b]8;;" + b"x" * 9_000 + b"\x07f")
        copy = emulator_with(emulator.dump())
        for terminal in (emulator, copy):
            terminal.feed(b"g\x1b8h")
        assert copy.screen_lines()[0] == "abcdehg"
        assert copy.dump() == emulator.dump()

    def test_inside_an_update(self) -> None:
        original = emulator_with(b"old" + BEGIN + b"\rnew")
        copy = emulator_with(original.dump())
        assert copy.synchronized
        for emulator in (original, copy):
            emulator.feed(END)
        assert copy.screen_lines() == original.screen_lines() == ["new", "", "", "", "", ""]


WHOLE_SCREEN = [
    pytest.param(b"\x1bc", id="RIS"),
    pytest.param(b"\x1b#8", id="DECALN"),
    pytest.param(b"\x1b[2J", id="ED 2"),
    pytest.param(b"\x1b[H\x1b[J", id="ED 0"),
    pytest.param(b"\x1b[999H\x1b[1J", id="ED 1"),
    pytest.param(b"\x1b[999S", id="SU"),
    pytest.param(b"\x1b[999T", id="SD"),
    pytest.param(b"\x1b[H\x1b[999L", id="IL"),
    pytest.param(b"\x1b[H\x1b[999M", id="DL"),
    pytest.param(b"\x1b[?1049h", id="1049"),
    pytest.param(b"\x1b[?47h\x1b[?47l\x1b[?47h", id="47"),
    pytest.param(b"\x1b[41m\x1b[2J", id="ED 2 in a colour"),
]


class TestCost:
    """A control costs its effect: what fills many rows at once makes one row of cells."""

    @pytest.mark.parametrize("control", WHOLE_SCREEN)
    def test_rows_that_are_filled_at_once_are_one(
        self, control: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        emulator = emulator_with(b"first\r\nsecond", 20, 1000)
        made: list[Line] = []
        copy, init = Line.copy, Line.__init__

        def counted_copy(line: Line) -> Line:
            made.append(copy(line))
            return made[-1]

        def counted_init(line: Line, *args: object) -> None:
            made.append(line)
            init(line, *args)  # type: ignore[arg-type]

        monkeypatch.setattr(Line, "copy", counted_copy)
        monkeypatch.setattr(Line, "__init__", counted_init)
        for _ in range(100):
            emulator.feed(control)
        assert len(made) <= 2
        assert len({id(row) for row in emulator._screen.buffer}) <= 3

    def test_a_shared_row_is_not_written_on(self) -> None:
        emulator = emulator_with(b"\x1b#8\x1b[2;3Hx\x1b[4;1H\x1b[2K\x1b[5;1H\x1b[2P", 6, 6)
        assert emulator.screen_lines() == ["EEEEEE", "EExEEE", "EEEEEE", "", "EEEE", "EEEEEE"]
        emulator.feed(b"\x1b[2J\x1b[Ha\r\n\xcc\x81b\r\n\x1b[4Xc\x1b[@")
        assert emulator.screen_lines() == ["a", "b", "c", "", "", ""]
        other = emulator_with(b"\x1b#8", 6, 6)
        assert other.screen_lines() == ["EEEEEE"] * 6

    @pytest.mark.parametrize("repeated", ["漢", "🇩", "🏽", "\u0301"])
    def test_a_repeated_character_is_written_as_if_it_came_as_often(self, repeated: str) -> None:
        one_by_one = emulator_with(f"👍{repeated}".encode(), 9, 6)
        for _ in range(20):
            one_by_one.feed(repeated.encode())
        at_once = emulator_with(f"👍{repeated}\x1b[20b".encode(), 9, 6)
        in_a_run = emulator_with(f"👍{repeated * 21}".encode(), 9, 6)
        assert everything(at_once) == everything(in_a_run) == everything(one_by_one)


def test_a_cursor_that_was_saved_on_a_larger_screen_can_be_dumped() -> None:
    emulator = emulator_with(b"\x1b[6;9H\x1b7\x1b[H", 20, 6)
    emulator.resize(20, 3)
    copy = emulator_with(emulator.dump() + b"\x1b8x", 20, 3)
    emulator.feed(b"\x1b8x")
    assert copy.screen_lines() == emulator.screen_lines() == ["", "", "        x"]


@pytest.mark.parametrize("mark", ["7", "44", "48;2;245;167;66"])
def test_a_marked_choice_is_known_by_its_ground(mark: str) -> None:
    emulator = Emulator(40, 3)
    emulator.feed(f"\x1b[40m  Yes   \x1b[{mark}m No \x1b[0;40m   Maybe\x1b[K".encode())
    assert emulator.highlighted(0) == ["No"]
    assert emulator.highlighted(1) == []
