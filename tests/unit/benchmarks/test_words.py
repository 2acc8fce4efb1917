"""What counts as a word, and that no difference is overlooked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.exactness import CORPUS, corpus
from benchmarks.words import judge, words, words_of
from tests.e2e.furniture import furniture


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("# A *bold* `x_y`", ("A", "bold", "x", "y")),
        ("```python\nx = 1\n```", ("x", "1")),
        ("````md\n```sh\nrun\n```\n````\nend", ("sh", "run", "end")),
        ("open\n```text\nlast", ("open", "last")),
        ("- [x] done\n- [ ] open", ("done", "open")),
        ("a &lt;b&gt; &amp; `&lt;`", ("a", "b", "lt")),
        ("[text](https://target) ![chart](x.png)", ("text", "chart")),
        ("see [it][ref]\n\n[ref]: https://target", ("see", "it")),
        ("a [^1]\n\n[^1]: source", ("a", "1", "1", "source")),
        ("› one • two ✔", ("›", "one", "two", "✔")),
    ],
)
def test_the_words_of_markdown(markdown: str, expected: tuple[str, ...]) -> None:
    assert words_of(markdown).words == expected


def test_what_takes_no_room_is_no_word() -> None:
    assert words("a\u200bb e\u0301 \x07 ②") == ("ab", "é", "2")


def test_a_lost_a_foreign_and_a_moved_word_are_told() -> None:
    sent = "one two three"
    assert judge(sent, "• one two three").exact
    assert judge(sent, "• one three").missing == ("two",)
    assert judge(sent, "• one two three\n  Worked for 6s • 20:10").added == (
        *("Worked", "for", "6s", "20", "10"),
    )
    assert judge(sent, "two three one").moved == ("one",)
    assert judge(sent, "one two three two").added == ("two",)


def test_a_word_may_break_at_a_line_s_end_and_no_where_else_differ() -> None:
    assert judge("abcdefgh ij", "• abcd\n  efgh ij").exact
    assert not judge("abcdefgh ij", "• abcd\n  efg ij").exact


def test_a_table_s_cells_may_stand_beside_one_another() -> None:
    table = "| a | b |\n|---|---|\n| one two | three four |"
    assert judge(table, "a b\none three\ntwo four").exact
    assert judge(table, "a b\none three\ntwo").missing == ("four",)
    assert judge(table, "a b\none three\ntwo four five").added == ("five",)


def test_a_link_s_target_may_be_shown() -> None:
    assert judge("[text](https://target)", "text (https://target)").exact
    assert judge("[text](https://target)", "text").exact
    assert judge("[text](https://target)", "https://target").missing == ("text",)


def test_a_formula_is_drawn_or_shown_as_it_stands() -> None:
    sent = r"so $\frac{a}{b} = 5$"
    assert judge(sent, "    a\nso  ─ = 5\n    b").exact
    assert judge(sent, r"so \frac{a}{b} = 5").exact
    assert judge(sent, "so a b").missing == ("5",)


def test_a_colour_is_obeyed_or_shown() -> None:
    assert judge("\x1b[31mred", "red").exact
    assert judge("\x1b[31mred", "[31mred").exact
    assert not judge("\x1b[31mred", "[31m").exact


def test_the_corpus_is_large_and_quotes_furniture() -> None:
    answers = corpus()
    assert len(answers) >= 60
    assert set(answers) == {file.stem for file in CORPUS.iterdir()}
    assert len([name for name, text in answers.items() if furniture(text)]) >= 8


@pytest.mark.parametrize("name", sorted(corpus()))
def test_every_answer_has_words_and_misses_none_of_them(name: str) -> None:
    text = corpus()[name]
    wanted = words_of(text)
    assert wanted.words
    shown = " ".join(wanted.words)
    assert judge(text, shown).exact
    assert not judge(text, shown + " foreign").exact
    assert not judge(text, " ".join(wanted.words[:-1])).exact


@given(st.text("ab cd\n", min_size=1), st.integers(1, 9))
def test_wrapping_changes_no_word(text: str, width: int) -> None:
    wrapped = "\n".join(text[i : i + width] for i in range(0, len(text), width))
    assert judge(text, wrapped).exact
