"""What a screen changes of a text does not count when two are compared."""

from __future__ import annotations

import pytest

from agentapi.model.comparison import letters, squeeze, visible


@pytest.mark.parametrize(
    ("one", "other"),
    [("a b\n  c", "abc"), ("so\u00adft", "soft"), ("no\u200bwidth\ufeff", "nowidth"), (" \t", "")],
)
def test_squeezed_texts_are_the_same_across_wraps_and_marks(one: str, other: str) -> None:
    assert squeeze(one) == squeeze(other)


def test_accents_count_in_a_squeezed_text_and_take_no_room_on_a_screen() -> None:
    assert squeeze("é") != squeeze("e")
    assert visible("é ") == visible("e") == "e"
    assert visible("\u2764\ufe0f") == "\u2764"


def test_letters_are_what_markdown_and_its_picture_have_in_common() -> None:
    assert letters("- **One** `two_3`, ünï") == letters("• One two_3, ünï") == "Onetwo3ünï"
