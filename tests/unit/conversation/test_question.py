"""What an agent asks, as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from agentapi.conversation.question import (
    question_text,
    recorded_command,
    recorded_patch,
    same_question,
    shows_all,
)
from agentapi.model.conversation import Choice, Dialog
from agentapi.model.items import Item, ToolCall, Turn

CHOICES = (
    Choice("1", "Yes, proceed", "y"),
    Choice("2", "Always", "2", "for this folder"),
    Choice("cancel", "No", "\x1b"),
    Choice("4", "In the terminal only", ""),
    Choice("5", "The one below", "\x1b[B\x1b[B\r"),
)


def test_everything_that_a_dialog_says_is_in_its_text() -> None:
    dialog = Dialog("d1", "command", "Run this?", "to see\nthe network", "curl a\ncurl b", "")
    assert question_text(replace(dialog, choices=CHOICES)) == (
        "Run this?\n\n"
        "to see\nthe network\n\n"
        "```\ncurl a\ncurl b\n```\n\n"
        "1. Yes, proceed (`y`)\n"
        "2. Always – for this folder\n"
        "3. No (`esc`)\n"
        "4. In the terminal only\n"
        "5. The one below (`down down enter`)"
    )


def test_a_diff_is_whole_and_cannot_end_its_block() -> None:
    diff = "+before\n+````\n+after"
    dialog = Dialog("d1", "patch", "Edit?", diff=diff)
    assert question_text(dialog) == f"Edit?\n\n`````diff\n{diff}\n`````"


@pytest.mark.parametrize(
    ("shown", "whole"),
    [
        ("$ curl -v\n  example.com\n 1 +one\n 2 -two words\n 3  three", True),
        ("$ curl -v\n  example.com\n 1 +one\n … (the screen shows no more)", False),
        ("$ curl …\n 1 +one\n 2 -two words", False),
    ],
)
def test_a_screen_shows_all_or_not(shown: str, whole: bool) -> None:
    diff = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n+one\n-two words\n three\n four"
    dialog = Dialog("d1", "patch", "Edit?", command="curl -v example.com", diff=diff)
    assert shows_all(shown, dialog) is whole


PATCH = ToolCall("apply_patch", command="*** Begin Patch\n*** End Patch")
STARTED = Turn("started")


@pytest.mark.parametrize(
    ("items", "patch"),
    [
        ([STARTED, ToolCall("shell", command="ls"), PATCH], PATCH.command),
        ([STARTED, replace(PATCH, status="completed")], ""),
        ([PATCH, STARTED], ""),
        ([STARTED, PATCH, PATCH], ""),
        ([], ""),
    ],
)
def test_the_recorded_patch_that_waits(items: list[Item], patch: str) -> None:
    assert recorded_patch(reversed(items)) == patch


LONG = ToolCall("exec_command", command="cat <<E\n  one two\nthree\nE", status="running")


@pytest.mark.parametrize(
    ("others", "shown", "command"),
    [
        ([], "cat <<E\n  one\ntwo\nthree\nE", LONG.command),
        ([], "cat <<E\n  one\n[… 68 lines] ^a view all", LONG.command),
        ([LONG], "cat <<E\n  one\n[… 68 lines] ^a view all", LONG.command),
        ([], "cat <<E\n  one two\nthree", ""),
        ([], "rm <<E\n[… 68 lines] ^a view all", ""),
        ([replace(LONG, command="cat <<E\n  one")], "cat <<E\n[… 68 lines] ^a view all", ""),
        ([], "*** Begin Patch\n*** End Patch", ""),
    ],
)
def test_the_recorded_command_that_waits(others: list[ToolCall], shown: str, command: str) -> None:
    """Only one that agrees with what the screen shows of it."""
    items: list[Item] = [replace(LONG, command=shown), STARTED, PATCH, LONG, *others]
    assert recorded_command(reversed(items), shown) == (command or shown)


def test_only_the_last_turn_is_looked_at() -> None:
    newest_first: Iterator[Item] = iter([PATCH, STARTED, PATCH, STARTED])
    assert recorded_patch(newest_first) == PATCH.command
    assert list(newest_first) == [PATCH, STARTED]


def test_keys_are_named_and_not_written_as_they_are() -> None:
    choices = (Choice("1", "Two", "\x1b[B\x1b[B\r"), Choice("no", "No", "no\r"))
    text = question_text(Dialog("d", "other", "Which?", choices=choices))
    assert text == "Which?\n\n1. Two (`down down enter`)\n2. No (`no enter`)"


@pytest.mark.parametrize(
    ("title", "shown", "same"),
    [
        ("Run it?", "cat <<END\n  1\n  2\nEND", True),
        ("Run\nit?", "cat <<END 1 2\nEND", True),
        ("Run it?", "cat <<END\n  1\n[… 2 lines]", True),
        ("Run it?", "cat <<END\n  2\n[… 2 lines]", False),
        ("Run it?", "cat <<END\n  1", False),
        ("Edit it?", "cat <<END\n  1\n  2\nEND", False),
    ],
)
def test_the_question_that_a_screen_shows(title: str, shown: str, same: bool) -> None:
    asked = Dialog("a", "command", "Run it?", command="cat <<END\n  1\n  2\nEND")
    assert same_question(asked, Dialog("b", "command", title, command=shown)) is same
