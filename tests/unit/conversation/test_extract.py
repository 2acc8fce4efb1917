"""From screens to what the agent said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.agents.registry import profile_for
from agentapi.conversation.document import GAP
from agentapi.conversation.extract import Extract, MarkedExtractor, joined
from agentapi.conversation.plain import (
    PlainExtractor,
    added_lines,
    lines_below,
    without_echo,
    without_scroll_bar,
)
from agentapi.conversation.profile import Reading
from agentapi.model.frames import Frame

CODEX, PLAIN = profile_for("codex"), profile_for("custom")
COMPOSER = ("", "› Ask Codex", "", "  gpt · ~/x")


class Screen:
    """A terminal whose lines a test writes."""

    def __init__(self, extractor: MarkedExtractor | PlainExtractor) -> None:
        self.extractor = extractor
        self.rows = 20
        self.alternate = False

    def show(self, *lines: str, pushed: tuple[str, ...] = (), cleared: bool = False) -> None:
        """Show a frame."""
        marked = isinstance(self.extractor, MarkedExtractor)
        rows = (*lines, *COMPOSER) if marked else lines
        rows += ("",) * (self.rows - len(rows))
        faint = {"› Ask Codex": "›", "  Worked for 1s • 13:34": ""}
        bright = tuple(faint.get(row, row) for row in rows)
        cursor = (2, len(lines) + 1)
        alternate = self.alternate
        frame = Frame(0, 80, self.rows, rows, bright, cursor, alternate, pushed, cleared)
        self.reading = CODEX.read(frame) if marked else Reading(self.rows)
        self.extractor.take(frame, self.reading)


def codex() -> Screen:
    """Codex, started."""
    screen = Screen(MarkedExtractor(CODEX))
    screen.show("  >_ OpenAI Codex (v1)")
    screen.extractor.startup()
    return screen


def ask(screen: Screen, text: str) -> None:
    """Type a message."""
    screen.extractor.prepare()
    screen.extractor.expect(text)


def text(screen: Screen, working: bool) -> str:
    """What the agent says."""
    return screen.extractor.read(working)[-1].text or ""


def typed(screen: Screen, working: bool) -> list[str]:
    """What somebody typed."""
    return [part.typed for part in screen.extractor.read(working) if part.typed is not None]


def test_the_agents_words_stand_below_the_echo() -> None:
    screen = codex()
    ask(screen, "hi")
    screen.show("  >_ OpenAI Codex (v1)", "", "› hi", "", "• Hello", "  there")
    assert screen.extractor.read(working=True) == [Extract("• Hello\n  there")]


def test_until_the_echo_shows_nothing_is_said() -> None:
    screen = codex()
    ask(screen, "hi")
    assert screen.extractor.read(working=True) == []


def test_a_history_that_is_painted_late_is_not_what_was_sent() -> None:
    screen = codex()
    ask(screen, "**now**")
    screen.show("› before", "", "• Then")
    assert screen.extractor.read(working=True) == []
    screen.show("› before", "", "• Then", "", "› now", "", "• Now")
    assert text(screen, working=True) == "• Now"


def test_the_same_question_twice_has_two_answers() -> None:
    screen = codex()
    ask(screen, "hi")
    first = ("› hi", "", "• Hello")
    screen.show(*first)
    ask(screen, "hi")
    screen.show(*first)
    assert screen.extractor.read(working=True) == []
    screen.show(*first, "", "› hi")
    assert text(screen, working=True) == ""
    screen.show(*first, "", "› hi", "", "• Hello")
    assert text(screen, working=True) == "• Hello"


def test_an_answer_that_scrolled_off_is_whole() -> None:
    screen = codex()
    ask(screen, "hi")
    screen.show("› hi", "", "• 1", "  2")
    screen.show("  2", "  3", pushed=("› hi", "", "• 1"))
    assert text(screen, working=True) == "• 1\n  2\n  3"


def test_what_somebody_types_at_the_terminal_is_a_user_message() -> None:
    screen = codex()
    screen.show("› typed by hand", "  in two lines", "", "• Yes")
    assert typed(screen, working=False) == []
    assert screen.extractor.read(working=True) == [
        Extract(typed="typed by hand\nin two lines"),
        Extract("• Yes"),
    ]


def test_a_mark_that_moved_within_its_turn_is_not_a_second_message() -> None:
    screen = codex()
    ask(screen, "one")
    screen.show("› one", "", "• Fir")
    screen.extractor.read(working=True)
    screen.show("", "", "› one", "", "• First")
    assert screen.extractor.read(working=True) == [Extract("• First")]
    screen.extractor.read(working=False)
    screen.show("", "", "› one", "", "• First", "", "› one", "", "• Second")
    assert typed(screen, working=True) == ["one"]


def test_the_first_words_of_an_answer_are_not_the_users() -> None:
    """Codex marks a block as the agent's only when its first line is whole."""
    screen = codex()
    screen.show("› typed by hand", "", "  An")
    assert typed(screen, working=True) == []
    screen.show("› typed by hand", "", "• An answer")
    assert screen.extractor.read(working=True) == [
        Extract(typed="typed by hand"),
        Extract("• An answer"),
    ]


def test_words_typed_by_hand_do_not_lengthen_the_message_before_them() -> None:
    """An app-server says that a turn has begun before its TUI has painted what it answers."""
    screen = codex()
    ask(screen, "one")
    screen.show("› one", "", "• First")
    assert screen.extractor.read(working=False, turn_over=True) == [Extract("• First")]
    first = ("› one", "", "• First", "", "  Worked for 1s • 13:34", "", "")
    screen.show(*first, "› typed by hand")
    assert screen.extractor.read(working=True) == []
    screen.show(*first, "› typed by hand", "", "• Second")
    assert screen.extractor.read(working=True) == [
        Extract(typed="typed by hand"),
        Extract("• Second"),
    ]


def test_a_message_that_follows_at_once_ends_the_one_before() -> None:
    """Codex sends what somebody typed in mid-turn as soon as the turn is over."""
    screen = codex()
    ask(screen, "one")
    first = ("› one", "", "• First", "", "")
    screen.show(*first, "› two", "")
    assert screen.extractor.read(working=False, turn_over=True) == [Extract("• First")]
    screen.show(*first, "› two", "", "• Second")
    assert screen.extractor.read(working=True) == [Extract(typed="two"), Extract("• Second")]


def test_the_next_turns_working_line_is_not_said() -> None:
    screen = codex()
    ask(screen, "one")
    screen.show("› one", "", "• First", "", "• Working (0s • esc to interrupt)")
    assert screen.extractor.read(working=True, turn_over=True) == [Extract("• First")]


def test_two_messages_in_one_frame_are_two() -> None:
    screen = codex()
    ask(screen, "one")
    screen.show("› one", "", "• First", "", "", "› two", "", "• Second", "", "› three", "", "• 3")
    assert screen.extractor.read(working=True) == [
        *(Extract("• First"), Extract(typed="two")),
        *(Extract("• Second"), Extract(typed="three"), Extract("• 3")),
    ]


def test_the_same_message_typed_ahead_is_another_one() -> None:
    screen = codex()
    ask(screen, "one")
    screen.show("› one", "", "• First")
    assert text(screen, working=True) == "• First"
    screen.show("› one", "", "• First", "", "› one", "", "• Second")
    assert typed(screen, working=True) == ["one"]


def test_a_turn_that_is_over_at_first_sight_has_its_user_message() -> None:
    screen = codex()
    ask(screen, "one")
    first = ("› one", "", "• First", "", "")
    screen.show(*first)
    assert screen.extractor.read(working=False, turn_over=True) == [Extract("• First")]
    screen.show(*first, "› two", "", "• Second")
    assert screen.extractor.read(working=False) == [Extract("• First")]
    assert screen.extractor.read(working=False, turn_over=True) == [
        Extract(typed="two"),
        Extract("• Second"),
    ]


def test_a_history_that_is_painted_late_is_not_typed() -> None:
    screen = codex()
    history = ("› one", "", "• 1", "", "› two", "", "• 2", "", "› three", "", "• 3", "")
    screen.show(*history)
    screen.show(*history, "› now", "", "• 4")
    assert screen.extractor.read(working=True) == [Extract(typed="now"), Extract("• 4")]


def test_the_start_up_screen_has_no_working_line() -> None:
    screen = codex()
    screen.show("  >_ OpenAI Codex (v1)", "", "• Working (0s • esc to interrupt)")
    assert screen.extractor.startup() == "  >_ OpenAI Codex (v1)"


def test_a_history_that_is_painted_again_is_not_new() -> None:
    """Codex 0.158 erases the scrollback in mid-turn and paints everything again."""
    screen = codex()
    ask(screen, "one")
    screen.show("› one", "", "• First")
    screen.extractor.read(working=True)
    ask(screen, "two")
    screen.show("› one", "", "• First", "", "› two", "", "• Sec")
    assert text(screen, working=True) == "• Sec"
    screen.show("  >_ OpenAI Codex (v1)", "", "› one", cleared=True)
    assert screen.extractor.read(working=True) == []
    screen.show("› one", "", "• First", "", "› two", "", "• Second", pushed=("  >_",))
    assert screen.extractor.read(working=True) == [Extract("• Second")]


def test_a_finished_message_outlives_a_smaller_terminal() -> None:
    screen = codex()
    ask(screen, "one")
    screen.show("› one", "", "• First")
    assert text(screen, working=True) == "• First"
    screen.rows = 8
    screen.show("  First")
    assert screen.extractor.read(working=False) == []
    screen.show("› one", "", "• Fir")
    assert screen.extractor.read(working=False) == []
    ask(screen, "two")
    screen.show("› one", "", "• Fir")
    assert screen.extractor.read(working=True) == []
    screen.show("› two", "", "• Second", pushed=("› one", "", "• Fir"))
    assert text(screen, working=True) == "• Second"


def test_a_prompt_that_looks_like_output_is_not_output() -> None:
    screen = codex()
    ask(screen, "a\n\n• b\n› c")
    screen.show("› a", "", "  • b", "  › c", "", "", "• Answer")
    assert text(screen, working=True) == "• Answer"


def test_an_answer_that_looks_like_furniture_is_kept() -> None:
    screen = codex()
    ask(screen, "x")
    quoted = ("• › y", "  Worked for 6s • 20:10", "  • Working (3s • esc to interrupt)")
    screen.show("› x", "", *quoted)
    assert text(screen, working=False) == "\n".join(quoted)


PENDING = (
    "• Messages to be submitted after next tool call (press esc to interrupt and send",
    *("  immediately)", "  ↳ echo this", "", "• Queued follow-up inputs", "  ↳ echo that"),
)
"""What 0.169 shows below its status line of what was typed in mid-turn."""


def test_what_was_typed_for_later_is_not_said() -> None:
    screen = codex()
    ask(screen, "hi")
    status = "• Working (1s • esc to interrupt) · 1 background terminal running · /ps to view…"
    shown = ("› hi", "", "• Waiting.", "", "", status, "", *PENDING)
    screen.show(*shown)
    assert text(screen, working=True) == "• Waiting."
    assert screen.reading.working == status


def test_an_answer_about_what_was_typed_for_later_is_kept() -> None:
    screen = codex()
    ask(screen, "hi")
    screen.show("› hi", "", *PENDING)
    assert text(screen, working=True) == "\n".join(PENDING)


def test_a_plain_programs_answer_is_what_was_not_there() -> None:
    screen = Screen(PlainExtractor(PLAIN))
    screen.show("$")
    ask(screen, "echo hi")
    screen.show("$ echo hi", "hi", "$")
    assert text(screen, working=True) == "hi"


def test_the_same_answer_twice_is_shown_twice() -> None:
    screen = Screen(PlainExtractor(PLAIN))
    screen.show("$ echo hi", "hi", "$")
    ask(screen, "echo hi")
    screen.show("$ echo hi", "hi", "$ echo hi", "hi", "$")
    assert text(screen, working=True) == "hi"


def test_a_message_that_was_not_taken_changes_nothing() -> None:
    screen = Screen(PlainExtractor(PLAIN))
    screen.show("$")
    ask(screen, "one")
    screen.show("$ one", "1", "$")
    screen.extractor.prepare()
    screen.extractor.abandon()
    assert text(screen, working=True) == "1"


def test_the_same_long_answer_twice_is_whole_both_times() -> None:
    lines = [str(number) for number in range(30)]
    before, now = lines[-9:], [*lines[-9:], "$ seq 30", *lines]
    assert added_lines(before, now) == ["$ seq 30", *lines]


def test_an_answer_begins_where_the_old_lines_end_on_a_page_that_was_painted_anew() -> None:
    before = ["a heading", "> hi", "hello", "> again", "hello", "", "a hint"]
    now = ["another heading", *before[1:5], "> again", "hello", "", "", "a hint"]
    assert added_lines(before, now) == ["> again", "hello", ""]


def test_a_scroll_bar_is_no_text() -> None:
    lines = ("heading", "words   ┃", "│ in a  ┃", "┃ box   ┃", "        ┃")
    frame = Frame(1, 9, 5, lines, lines, (0, 0), False)
    assert without_scroll_bar(frame).lines == ("heading", "words", "│ in a", "┃ box   ┃", "")


LINES = st.lists(st.sampled_from(["", "a", "b", "c c"]), max_size=8)


@given(LINES, LINES)
def test_added_lines_are_the_answer_between_old_lines(before: list[str], answer: list[str]) -> None:
    fresh = [f"new {line}" for line in answer]
    for place in range(len(before) + 1):
        assert added_lines(before, [*before[:place], *fresh, *before[place:]]) == fresh


@given(st.text(alphabet="ab \n", max_size=60).map(str.strip), LINES, st.integers(4, 20))
def test_the_echo_goes_whatever_its_wrapping(typed: str, answer: list[str], width: int) -> None:
    rows = [
        line[start : start + width].rstrip()
        for line in ("$ " + typed).split("\n")
        for start in range(0, max(1, len(line)), width)
    ]
    if typed:
        assert joined(without_echo([*rows, *answer], typed)) == joined(answer)


TALL = " ".join(f"word{number:04}" for number in range(200))
"""A message that fills more than the alternate screen of these tests."""


def tall(screen: Screen) -> list[str]:
    """Ask it; its rows, as Codex wraps them."""
    screen.rows, screen.alternate = 16, True
    screen.show("• Something", "  else", "  that", "  fills", "  the", "  whole", "  screen", "  .")
    ask(screen, TALL)
    words = TALL.split()
    return ["  " + " ".join(words[at : at + 8]) for at in range(0, len(words), 8)]


def test_the_answer_to_a_message_higher_than_the_screen_is_kept() -> None:
    screen = codex()
    end = tall(screen)[-8:]
    screen.show(*end, "", "• Working (0s • esc to interrupt)")
    assert text(screen, working=True) == ""
    screen.show(*end[1:], "", "• The", "  answer")
    assert text(screen, working=True) == "• The\n  answer"


def test_an_answer_that_is_higher_than_the_screen_as_well_is_not_lost() -> None:
    screen = codex()
    tall(screen)
    screen.show(*(f"  line {number}" for number in range(1, 11)))
    assert screen.extractor.read(working=True) == []
    screen.show(*(f"  line {number}" for number in range(2, 11)), "  the end")
    assert text(screen, working=False).endswith("line 10\n  the end")


@pytest.mark.parametrize("painted", ["before", "after", "never"])
def test_a_new_conversation_in_the_place_of_the_old_one(painted: str) -> None:
    """After `/new` the first message stands in the row of the one before, or above it."""

    def show(*lines: str) -> None:
        screen.show("  >_ OpenAI Codex (v1)", *lines, *("",) * (11 - len(lines)))

    screen = codex()
    screen.alternate = True
    ask(screen, "one")
    show("", "› one", "", "• First")
    assert text(screen, working=False) == "• First"
    if painted == "before":
        show()
    ask(screen, "two")
    if painted != "never":
        show()
    show("", "› two", "", "• Second")
    assert screen.extractor.read(working=True) == [Extract("• Second")]


def test_an_answer_that_lacks_its_mark_for_a_moment_is_not_taken_back() -> None:
    """Codex paints only the second line where the first one has just wrapped."""
    screen = codex()
    ask(screen, "count")
    screen.show("› count", "", "• one two")
    assert text(screen, working=True) == "• one two"
    screen.show("› count", "", "  th")
    assert screen.extractor.read(working=True) == []
    screen.show("› count", "", "• one two", "  th")
    assert text(screen, working=True) == "• one two\n  th"
    screen.show("› count")
    assert text(screen, working=False) == ""


PINNED = pytest.mark.parametrize("mark", ["", "› "])
"""Codex 0.158 pins a prompt's words to the first row, 0.169 with a mark; both in one line."""


@PINNED
@pytest.mark.parametrize(
    ("message", "heading"),
    [
        ("count", "count"),
        ("• Ran ls\n  and\n\nmore", "• Ran ls and more"),
        ("many words " * 9, "many words many wo…"),
    ],
)
def test_a_pinned_prompt_covers_a_line_of_the_answer(mark: str, message: str, heading: str) -> None:
    screen = codex()
    screen.alternate = True
    ask(screen, message)
    screen.show(*echo(message), "", *counted(1, 9))
    screen.show(mark + heading, *counted(5, 12))
    screen.show(mark + heading, *counted(8, 15))
    assert text(screen, working=True) == joined(counted(1, 15))
    screen.show(mark + heading, *counted(41, 50))
    assert text(screen, working=False) == joined([*counted(1, 15), GAP, *counted(41, 50)])


@PINNED
def test_a_pinned_prompt_may_be_all_that_is_seen_of_a_message(mark: str) -> None:
    screen = codex()
    screen.alternate = True
    ask(screen, "count")
    screen.show(mark + "count", *counted(41, 50))
    assert text(screen, working=True) == joined([GAP, *counted(41, 50)])


@PINNED
def test_a_smaller_terminal_in_mid_turn_leaves_what_is_below_the_pinned_prompt(mark: str) -> None:
    screen = codex()
    screen.alternate = True
    ask(screen, "count")
    screen.show("› count", "", *counted(1, 9))
    screen.show(mark + "count", *counted(5, 12))
    assert text(screen, working=True) == joined(counted(1, 12))
    screen.rows -= 2
    screen.show(mark + "count", *counted(9, 12))
    assert text(screen, working=True) == joined([GAP, *counted(9, 12)])
    screen.show(mark + "count", *counted(10, 13))
    assert text(screen, working=True) == joined([GAP, *counted(9, 13)])


@PINNED
def test_a_smaller_terminal_may_show_no_prompt_until_it_is_painted_again(mark: str) -> None:
    screen = codex()
    screen.alternate = True
    ask(screen, "count")
    screen.show("› count", "", *counted(1, 9))
    screen.show(mark + "count", *counted(5, 12))
    assert text(screen, working=True) == joined(counted(1, 12))
    screen.rows -= 2
    screen.show(*counted(8, 12))
    screen.show(mark + "count", *counted(10, 14))
    assert text(screen, working=True) == joined(counted(8, 14))


def test_a_smaller_terminal_in_mid_turn_leaves_an_echo_in_the_first_row() -> None:
    screen = codex()
    screen.alternate = True
    ask(screen, "count\nup")
    screen.show("", *echo("count\nup"), "", *counted(1, 4))
    screen.rows -= 2
    screen.show(*echo("count\nup"), "", *counted(1, 5))
    assert text(screen, working=True) == joined(counted(1, 5))


def test_a_line_in_the_first_row_that_is_not_the_prompt_is_text() -> None:
    """Some notices of Codex stand where a pinned prompt does."""
    screen = codex()
    screen.alternate = True
    ask(screen, "count")
    screen.show("› count", "", *counted(1, 4))
    screen.show("You granted it", *counted(41, 50))
    assert text(screen, working=False).endswith(joined(["You granted it", *counted(41, 50)]))


def echo(message: str) -> list[str]:
    """A message as Codex shows it."""
    first, *more = message.strip().split("\n")
    return [f"› {first}", *(f"  {line}".rstrip() for line in more)]


def counted(first: int, last: int) -> list[str]:
    """Lines of an answer."""
    return [("• " if number == 1 else "  ") + f"line {number}" for number in range(first, last + 1)]


def test_what_stands_below_the_last_place_of_some_words() -> None:
    page = ["hello", "", "Trust it?", "1. Yes", "", "hello", "Trust it?", "", "1. Yes", "so be it"]
    assert lines_below(page, ["Trust it?", "1. Yes"]) == ["so be it"]
    assert lines_below(page, ["Trust it?", "2. No"]) == page
    assert lines_below(page, []) == page
