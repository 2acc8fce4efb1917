"""The reason of a refused resume, as the screens of real versions have it."""

from __future__ import annotations

from agentapi.agents.codex.resume.reason import MOST, NOTHING, reason_on

SCREEN_125 = """
Error: Failed to resume session from /srv/agent/.codex/sessions/2026/12/01/rollo
ut-2026-12-01T00-30-10-01a22f02-51e3-78e0-9005-5143a4b7f30a.jsonl

Stack backtrace:
   0: <unknown>
   1: <unknown>
"""


def test_the_sentence_begins_at_its_first_word_and_has_no_backtrace() -> None:
    assert reason_on(SCREEN_125) == (
        "Failed to resume session from /srv/agent/.codex/sessions/2026/12/01/"
        "rollout-2026-12-01T00-30-10-01a22f02-51e3-78e0-9005-5143a4b7f30a.jsonl"
    )


def test_a_word_at_the_edge_of_the_terminal_is_whole() -> None:
    screen = "Error: thread/resume failed during TUI bootstrap: threa\nd/resume failed"
    told = "thread/resume failed during TUI bootstrap: thread/resume failed"
    assert reason_on(screen) == told


def test_a_long_text_is_cut_between_words() -> None:
    told = reason_on("Error: " + "word " * 200)
    assert told.endswith("word …")
    assert len(told) <= MOST + 2
    assert reason_on("some words " * 100).startswith("… ")


def test_an_empty_screen_said_nothing() -> None:
    assert reason_on("\n\n") == NOTHING
