"""The table of `scripts/matrix`: what holds, why not, and what was never reached."""

from __future__ import annotations

from agentapi.agents.codex.versions import TRIED
from benchmarks.matrix import UNABLE, brief, outcome, versions
from benchmarks.matrix_page import NOT_REACHED, Column, page, table


def columns() -> list[Column]:
    good = Column("1.0.0", False, {"start": "", "turn": ""}, {"phase told by": "title"})
    bad = Column("2.0.0", False, {"start": "it | ended", "turn": NOT_REACHED})
    return [
        good,
        bad,
        Column("1.0.0", True, unable="too old"),
        Column("2.0.0", True, {"start": ""}),
    ]


def test_only_what_holds_holds() -> None:
    assert [column.holds for column in columns()] == [True, False, True, True]


def test_the_first_reason_stands() -> None:
    column = Column("1.0.0", False, {"start": "", "turn": NOT_REACHED})
    column.fail("turn", "first")
    column.fail("turn", "second")
    column.fail("start", "at its end")
    assert column.results == {"start": "at its end", "turn": "first"}


def test_the_table() -> None:
    assert table(columns()).split("\n") == [
        "",
        "The terminal alone",
        "               1.0.0  2.0.0",
        "start          ✓      [1]",
        "turn           ✓      –",
        "phase told by  title",
        "",
        "With the link",
        "       1.0.0  2.0.0",
        "start  [2]    ✓",
        "",
        "[1] it | ended",
        "[2] too old",
    ]


def test_the_page() -> None:
    text = page(columns())
    assert "| start | ✓ | [1] |\n| turn | ✓ | – |\n| phase told by | title |  |\n" in text
    assert "| start | [2] | ✓ |\n" in text
    assert text.endswith("1. `it | ended`\n2. `too old`\n")


def test_versions_are_sorted_by_number_and_named_once() -> None:
    found = versions(["0.9.0", TRIED[0]])
    assert found[0] == "0.9.0"
    assert len(found) == len(set(found))
    assert {*TRIED} < {*found}


async def test_a_check_that_fails_gives_its_reason() -> None:
    async def holds() -> None: ...

    async def fails() -> None:
        raise AssertionError("what was seen\nand a long log")

    async def hangs() -> None:
        raise TimeoutError

    assert await outcome(holds()) == ""
    assert await outcome(fails()) == "what was seen"
    assert await outcome(hangs()) == "TimeoutError"


def test_a_log_s_error_is_the_reason_of_a_start_that_failed() -> None:
    log = "12:00 info serving\nError: the agent could not be started: --codex-link on: too old\n"
    assert (found := UNABLE.search(log)) and found[1] == "too old"
    assert brief(AssertionError(log)).endswith("too old")
