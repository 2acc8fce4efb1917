"""The page behind the screen: numbers that last, windows that overlap."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from agentapi.conversation.document import GAP, Document, scrolled_by
from agentapi.model.frames import Frame

WORDS = st.text(alphabet="abcdef ", min_size=1, max_size=8).map(str.rstrip)


def frame(
    *lines: str, pushed: tuple[str, ...] = (), alternate: bool = False, cleared: bool = False
) -> Frame:
    """A frame of these rows."""
    return Frame(0, 80, 50, lines, lines, (0, 0), alternate, pushed, cleared)


def pinned(shown: Sequence[str]) -> list[str]:
    """A line with a mark may be a heading."""
    return [shown[0]] if shown[0].startswith("›") else []


def test_lines_that_left_the_top_stay_on_the_page() -> None:
    page = Document()
    page.update(frame("one", "two", "three"), 3)
    page.update(frame("three", "four", "five", pushed=("one", "two")), 3)
    assert page.lines(0) == ["one", "two", "three", "four", "five"]
    assert page.lines(2, 4) == ["three", "four"]
    assert (page.first, page.top, page.end) == (0, 2, 5)


def test_forgotten_lines_do_not_change_the_numbers() -> None:
    page = Document()
    page.update(frame("three", pushed=("one", "two")), 1)
    page.discard(1)
    assert (page.first, page.lines(0), page.lines(2)) == (1, ["two", "three"], ["three"])


def test_a_cleared_scrollback_tears_the_page_and_numbers_go_on() -> None:
    page = Document()
    page.update(frame("one", "two"), 2)
    page.update(frame("again", cleared=True), 1)
    assert page.torn
    assert page.first == 2
    assert page.lines(page.first) == ["again"]


@given(st.lists(WORDS, min_size=1, max_size=60, unique=True), st.integers(3, 12), st.data())
def test_windows_on_the_alternate_screen_are_joined(
    lines: list[str], rows: int, data: st.DataObject
) -> None:
    """As long as two windows share some lines, none is lost and none is doubled."""
    lines = [line or "x" for line in lines]
    page, top = Document(), 0
    page.update(frame(*lines[:rows], alternate=True), rows)
    while top + rows < len(lines):
        top = min(top + data.draw(st.integers(0, max(1, rows - 2))), len(lines) - rows)
        page.update(frame(*lines[top : top + rows], alternate=True), rows)
    assert page.lines(page.first) == lines[: top + rows]


def test_a_jump_leaves_a_mark_and_the_numbers_ascend() -> None:
    page = Document(heading=pinned)
    page.update(frame("› ask", "a", "b", "c", alternate=True), 4)
    page.update(frame("› ask", "x", "y", "z", alternate=True), 4)
    assert page.torn
    assert page.lines(page.first)[-4:] == [GAP, "x", "y", "z"]
    assert page.end == 8


def test_a_pinned_heading_does_not_cover_the_line_below_it() -> None:
    page = Document(heading=pinned)
    page.update(frame("› ask", "a", "b", "c", "d", alternate=True), 5)
    page.update(frame("› ask", "c", "d", "e", "f", alternate=True), 5)
    assert page.lines(page.first) == ["› ask", "a", "b", "c", "d", "e", "f"]


def test_a_heading_over_a_first_window_that_moves_up_stays() -> None:
    """The line that it covers was never shown."""
    page = Document(heading=pinned)
    page.update(frame("› ask", "b", "c", "d", "e", alternate=True), 5)
    page.update(frame("› ask", "a", "b", "c", "d", alternate=True), 5)
    assert page.lines(0) == ["› ask", "a", "b", "c", "d"]


def test_a_line_that_grows_in_place_is_no_scrolling() -> None:
    before = ["head", "a", "b", "c", "gro"]
    assert scrolled_by(before, ["head", "a", "b", "c", "growing"]) == 0
    assert scrolled_by(before, ["b", "c", "growing", "d", "e"]) == 2
    assert scrolled_by(before, ["v", "w", "x", "y", "z"]) is None


def test_one_line_that_agrees_is_no_move_where_many_contradict_it() -> None:
    before = ["lines", "a", "b", "c", "d", "status"]
    assert scrolled_by(before, [*"stuvwxyz", "status"], 0) is None


@given(
    st.lists(WORDS, min_size=4, max_size=8, unique=True),
    st.integers(20, 40),
    st.lists(st.integers(1, 2), min_size=1, max_size=12),
)
def test_a_page_of_equal_answers_moves_onto_itself(
    answer: list[str], rows: int, steps: list[int]
) -> None:
    """The same few lines again and again, shown piece by piece: the numbers go on all the same."""
    block = [f"{number} {line}" for number, line in enumerate(answer)]
    lines = block * 60
    page, shown = Document(), rows
    page.update(frame(*lines[:rows], alternate=True), rows)
    for step in steps:
        shown += step
        page.update(frame(*lines[shown - rows : shown], alternate=True), rows)
        assert page.end == page.first + shown
    assert page.lines(page.first) == lines[:shown]


def test_a_window_of_equal_lines_moves_by_what_is_new_below_them() -> None:
    before = [*["x"] * 40, "Worked", "", "> next", "answer"]
    now = [*["x"] * 28, *before[40:], *(f"new {number}" for number in range(12))]
    assert scrolled_by(before, now) == 12


def test_a_window_that_moves_up_again_shows_lines_that_are_known() -> None:
    """Codex's window ends at its composer: what stands above it may take less room again."""
    block = ["> go on", "", "answer", "", "worked", ""]
    page = Document()
    page.update(frame(*block * 3, alternate=True), 18)
    page.update(frame(*(block * 3)[4:], "> go on", "", "", "working", alternate=True), 18)
    page.update(frame(*(block * 3)[3:], "> go on", "", "answer", alternate=True), 18)
    assert page.lines(0) == [*block * 3, "> go on", "", "answer"]
    assert page.top == 3
