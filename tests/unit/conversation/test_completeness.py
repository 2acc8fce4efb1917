"""Completeness of rendered messages, on the answers of the corpus and on parts of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.conversation.completeness import ExpectedText

WORDS = st.text(st.sampled_from("ab1é漢→ "), min_size=1, max_size=6)
LINES = st.lists(WORDS.filter(str.strip), min_size=1, max_size=12)


def expected(*messages: str) -> ExpectedText:
    made = ExpectedText()
    for message in messages:
        made.add("turn", message)
    return made


@pytest.mark.parametrize(
    ("markdown", "screen"),
    [
        ("All is **well**.", "• All is well."),
        ("1. one\n2. `two`", "• 1. one\n  2. two"),
        ("```sh\nls -l\n```\n\nDone.", "• ls -l\n\n  Done."),
        ("a long line of words", "• a long\n  line of\n  words"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "  a   b\n ━━━ ━━━\n  1   2"),
        ("See [here](https://x.y/z).", "See here (https://x.y/z)."),
        ("keycap 1️⃣ flag 🇩🇪", "keycap 1 flag 🇩🇪"),
        ("┌──┐\n└──┘", "┌──┐\n└──┘"),
    ],
)
def test_what_a_terminal_makes_of_markdown_is_whole(markdown: str, screen: str) -> None:
    assert expected(markdown).is_shown_in(screen)
    assert expected(markdown).end_is_shown_in(screen)


def test_the_last_line_before_those_above_it_is_an_end_and_not_the_whole() -> None:
    """Codex shows the line that grows, while others still wait above it."""
    text = expected("The trains:\n\n- 20:10\n- 20:15\n\n8:05 AM")
    assert not text.is_shown_in("• The trains:\n  8:05 AM")
    assert text.end_is_shown_in("• The trains:\n  8:05 AM")
    assert not text.end_is_shown_in("• The trains:\n  • 20:10")


def test_equal_lines_are_counted() -> None:
    text = expected("ha\nha\nha")
    assert not text.is_shown_in("ha\nha")
    assert not text.end_is_shown_in("ha\nha")
    assert text.is_shown_in("ha\nha\nha")


def test_the_messages_of_a_turn_stand_one_behind_the_other() -> None:
    text = expected("first", "second")
    assert text.is_shown_in("• first\n\n• Ran ls\n\n• second")
    assert not text.is_shown_in("• second\n\n• first")


def test_another_turn_voids_the_one_before() -> None:
    text = expected("first")
    text.add("next", "second")
    assert text.is_shown_in("second")
    text.clear()
    assert not text
    assert text.is_shown_in("")
    assert text.end_is_shown_in("anything")


@given(LINES, st.integers(1, 40))
def test_a_text_that_lacks_its_end_is_never_whole(lines: list[str], less: int) -> None:
    text = "\n".join(lines).rstrip()
    assert expected(text).is_shown_in(text)
    letters = "".join(text.split())
    assert not expected(text).is_shown_in(letters[: -min(less, len(letters))])
