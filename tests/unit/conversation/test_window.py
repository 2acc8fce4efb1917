"""What of a full-screen program's window scrolls: by itself, and through the page."""

from __future__ import annotations

import pytest

from agentapi.conversation.window import Window, without_foot, without_status

PAGE = [f"line {number}" for number in range(1, 40)]
HEAD = ["  Current   Sessions", ""]
FOOT = ["", " ~/project"]


def window(top: int, head: list[str] = HEAD, foot: list[str] = FOOT) -> list[str]:
    """Ten rows of the page between what stays."""
    return [*head, *PAGE[top : top + 10], *foot]


def scrolled(*windows: list[str], working: bool = False) -> list[str] | None:
    """What of the last of these windows scrolls."""
    one, rows = Window(), None
    for shown in windows:
        rows = one.scrolled_rows(shown, working)
    return rows


def test_all_of_the_first_window_may_scroll() -> None:
    assert scrolled(window(0)) == window(0)


@pytest.mark.parametrize("move", [1, 3, 9, 20])
def test_rows_that_stay_while_the_rest_moves_are_dropped(move: int) -> None:
    """Also where nothing is left of the window before."""
    assert scrolled(window(0), window(move)) == PAGE[move : move + 10]


def test_what_the_window_before_held_is_corrected() -> None:
    one = Window()
    one.scrolled_rows(window(0), False)
    one.scrolled_rows(window(2), False)
    assert one.before == PAGE[:10]


def test_rows_that_move_are_none() -> None:
    assert scrolled(window(0, [], []), window(4, [], [])) == PAGE[4:14]


def test_a_page_that_does_not_move_says_nothing() -> None:
    grown = [*window(0)[:-2], "more", *FOOT]
    assert scrolled(window(0), grown) == grown


def test_equal_lines_that_move_are_none_that_stay() -> None:
    page = ["same", "same", *PAGE]
    assert scrolled(page[:12], page[1:13]) == page[1:13]


def test_the_last_row_may_become_longer() -> None:
    """opencode: a line below the answer tells in the end how long it took."""
    before = [*PAGE[:10], "", " Build · scripted"]
    one = Window()
    one.scrolled_rows(before, True)
    one.scrolled_rows([*PAGE[20:30], "", " Build · scripted · 91ms"], True)
    assert one.before == PAGE[:10]


def test_a_window_that_loses_its_words_is_being_painted() -> None:
    blank = [*[""] * 11, " Build · scripted · 91ms", ""]
    assert scrolled([*PAGE[:10], "", " Build · scripted", ""], blank) is None


def test_a_short_answer_may_take_the_place_of_a_long_one() -> None:
    assert scrolled(window(0), ["", "Yes.", *[""] * 12]) == ["", "Yes.", *[""] * 12]


def test_a_short_window_may_be_cleared() -> None:
    assert scrolled(["one", "two", "three"], ["", "", ""]) == ["", "", ""]


@pytest.mark.parametrize(
    "status",
    [
        ["✶ Considering…", "  ⎿  Tip: Use /memory to view and manage memory"],
        ["⠋ Thinking... (esc to cancel, 2s)"],
        ["✻ Churning… (3s · ↓ 20 tokens)"],
    ],
)
def test_what_a_running_turn_does_is_not_said(status: list[str]) -> None:
    assert without_status([*PAGE[:3], "", *status, "", ""]) == [*PAGE[:3], ""]


@pytest.mark.parametrize("words", ["Wait…", "- and so on", "* a list goes on like this …, or so"])
def test_other_words_are_said(words: str) -> None:
    assert without_status([*PAGE[:3], words]) == [*PAGE[:3], words]


def test_a_status_stays_between_turns() -> None:
    rows = [*PAGE[:3], "✶ Considering…"]
    assert scrolled(rows, working=False) == rows
    assert scrolled(rows, working=True) == PAGE[:3]


def test_what_stands_far_below_is_of_the_foot() -> None:
    assert without_foot(["an answer", *[""] * 900, "~/work", "", " ┃"]) == ["an answer"]


def test_a_long_end_is_no_foot() -> None:
    answer = ["an answer", *[""] * 30, *PAGE[:9]]
    assert without_foot(answer) == answer
