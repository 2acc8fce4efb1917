"""Operations of a turn and the message they add up to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentapi.conversation.turn_text import (
    TITLE_LENGTH,
    Chunk,
    PlanPart,
    ToolPart,
    TurnText,
    one_line,
)


def text_of(*operations: Chunk | ToolPart | PlanPart) -> str:
    turn = TurnText()
    for operation in operations:
        turn.apply(operation)
    return turn.text()


@given(st.lists(st.text()))
def test_chunks_of_one_message_are_its_exact_text(pieces: list[str]) -> None:
    assert text_of(*(Chunk(piece, "m") for piece in pieces)) == "".join(pieces)


def test_another_message_id_begins_a_paragraph() -> None:
    assert text_of(Chunk("a", "1"), Chunk("b", "1"), Chunk("c", "2")) == "ab\n\nc"


def test_paragraphs_are_one_blank_line_apart_whatever_newlines_they_bring() -> None:
    assert text_of(Chunk("a\n\n", "1"), Chunk("\n\nb\n", "2")) == "a\n\nb\n"


def test_an_empty_chunk_begins_nothing() -> None:
    assert text_of(Chunk("a", "1"), Chunk("", None), Chunk("b", "1")) == "ab"


def test_a_tool_call_keeps_its_place_and_only_changes_what_was_told() -> None:
    operations: list[Chunk | ToolPart | PlanPart] = [
        Chunk("before", "1"),
        ToolPart("t", "Terminal", "pending"),
        Chunk("after", "1"),
        ToolPart("t", None, "in_progress"),
        ToolPart("t", "`ls`", None),
    ]
    assert text_of(*operations) == "before\n\n- … `ls`\n\nafter"
    assert text_of(*operations, ToolPart("t", " ", "completed")) == "before\n\n- ✓ `ls`\n\nafter"


def test_tool_calls_stand_line_by_line() -> None:
    assert text_of(
        ToolPart("1", "one", "completed"), ToolPart("2", "two", "failed"), ToolPart("3")
    ) == ("- ✓ one\n- ✗ two\n- … tool call")


def test_a_tool_call_that_comes_twice_is_one_line() -> None:
    assert text_of(ToolPart("1", "one"), ToolPart("1", "one", "completed")) == "- ✓ one"


def test_a_plan_is_replaced_where_it_stands() -> None:
    first = PlanPart(entries=(("pending", "look"), ("pending", "act")))
    second = PlanPart(entries=(("completed", "look"), ("in_progress", "act")))
    assert text_of(first, Chunk("text"), second) == "- [x] look\n- [ ] → act\n\ntext"


def test_a_plan_may_be_markdown_and_may_be_removed() -> None:
    assert text_of(PlanPart("p", markdown="1. look\n"), Chunk("text")) == "1. look\n\ntext"
    assert text_of(PlanPart("p", markdown="1. look\n"), Chunk("text"), PlanPart("p")) == "text"


def test_title_knows_the_tools_of_the_turn() -> None:
    turn = TurnText()
    turn.apply(ToolPart("t", "`ls`"))
    assert (turn.title("t"), turn.title("other")) == ("`ls`", "")


@given(st.text())
def test_one_line_is_one_and_bounded(text: str) -> None:
    line = one_line(text)
    assert len(line) <= TITLE_LENGTH
    assert len(line.splitlines()) <= 1
