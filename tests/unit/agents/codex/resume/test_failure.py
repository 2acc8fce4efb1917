"""Reasons of failed resumes, from the screens of real versions."""

from __future__ import annotations

from agentapi.agents.codex.resume.failure import MAX_LENGTH, NO_OUTPUT, failure_reason

SCREEN_125 = """
Error: Failed to resume session from /srv/agent/.codex/sessions/2026/12/01/rollo
ut-2026-12-01T00-30-10-01a22f02-51e3-78e0-9005-5143a4b7f30a.jsonl

Stack backtrace:
   0: <unknown>
   1: <unknown>
"""


def test_the_sentence_begins_at_its_first_word_and_has_no_backtrace() -> None:
    assert failure_reason(SCREEN_125) == (
        "Failed to resume session from /srv/agent/.codex/sessions/2026/12/01/"
        "rollout-2026-12-01T00-30-10-01a22f02-51e3-78e0-9005-5143a4b7f30a.jsonl"
    )


def test_a_word_at_the_edge_of_the_terminal_is_whole() -> None:
    screen = "Error: thread/resume failed during TUI bootstrap: threa\nd/resume failed"
    told = "thread/resume failed during TUI bootstrap: thread/resume failed"
    assert failure_reason(screen) == told


def test_a_long_text_is_cut_between_words() -> None:
    told = failure_reason("Error: " + "word " * 200)
    assert told.endswith("word …")
    assert len(told) <= MAX_LENGTH + 2
    assert failure_reason("some words " * 100).startswith("… ")


def test_an_empty_screen_has_no_reason() -> None:
    assert failure_reason("\n\n") == NO_OUTPUT
