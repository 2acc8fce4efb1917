"""The driver of programs without a profile of their own, over recordings of the real ones."""

from __future__ import annotations

import asyncio
import functools
import itertools
import re
from pathlib import Path

import pytest

from agentapi.agents.registry import profile_for
from agentapi.conversation.document import GAP
from agentapi.model.conversation import Phase
from agentapi.model.errors import DialogOpen
from agentapi.model.events import PhaseChanged, UserText
from agentapi.terminal import Emulator
from tests.support.agent_looks import LOOKS, composer_rows
from tests.support.cast import all_casts, load_cast
from tests.support.codex import PROJECT
from tests.support.record_agents import LONG
from tests.support.replay import Replayed, replay

RECORDINGS = PROJECT / "tests/recordings/agents"
CASTS = all_casts(RECORDINGS)
GREETING = "Hello! I am a scripted model: no key, no network. You wrote:"


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def of(*scenarios: str) -> pytest.MarkDecorator:
    """The recordings of these scenarios, of every agent."""
    paths = [path for path in CASTS if path.stem in scenarios]
    return pytest.mark.parametrize("path", paths, ids=name)


OPEN = ("trust-open", "approval-open")
OTHERS = {path.stem for path in CASTS} - set(OPEN)
KINDS = {"trust-open": "trust", "approval-open": "command"}


def played(path: Path) -> Replayed:
    return replay(path, profile_for(path.parent.name), patient=True)


def answers(replayed: Replayed) -> list[str]:
    """What the agent said after the first message."""
    texts = [text for role, text in replayed.conversation[1:] if role == "agent"]
    for text in texts:
        assert composer_rows(text) == []
        assert "\n\n\n\n" not in text
        assert text == text.strip("\n")
    return texts


def shown_at(path: Path, text: str) -> float:
    """When the screen first had a text, in seconds since the first output."""
    cast = load_cast(path)
    emulator = Emulator(cast.columns, cast.rows)
    for at, data in cast.chunks():
        emulator.feed(data)
        if text in "\n".join(emulator.screen_lines()):
            return at - cast.events[0][0]
    raise AssertionError(f"{text!r} never showed")


@of("start", "hello", "typed", "hello-80x1000", "interrupt")
def test_nothing_is_idle_before_its_prompt_shows(path: Path) -> None:
    states = [
        (at, event.state) for at, event in played(path).events if isinstance(event, PhaseChanged)
    ]
    idle = next(at for at, state in states if state.phase is Phase.IDLE)
    assert idle >= shown_at(path, LOOKS[path.parent.name].ready)


@of("start", "hello", "slow", "three-turns", "hello-80x1000", "typed")
def test_a_program_that_waits_is_idle(path: Path) -> None:
    assert played(path).phases[-1] == "idle"
    assert "blocked" not in played(path).phases


@of("trust-open", "approval-open")
def test_a_dialog_blocks(path: Path) -> None:
    replayed = played(path)
    assert replayed.phases[-1] == "blocked"
    if path.stem == "trust-open":
        assert "idle" not in replayed.phases


@of("trust-accepted")
def test_a_question_of_the_start_is_no_greeting(path: Path) -> None:
    """gemini leaves it on the screen, and greets once more."""
    [(role, greeting)] = played(path).conversation
    assert role == "agent"
    assert LOOKS[path.parent.name].trust not in greeting
    banner = {"claude": "Claude Code v", "copilot": "Copilot v", "gemini": "Gemini CLI v"}
    assert greeting.count(banner[path.parent.name]) == 1


@of("trust-accepted", "approval-allowed", "approval-allowed-80x50", "approval-refused")
def test_a_dialog_that_was_answered_blocks_no_more(path: Path) -> None:
    phases = played(path).phases
    assert "blocked" in phases
    assert phases[-1] == "idle"


@of("hello", "hello-80x1000")
def test_an_answer_is_the_message(path: Path) -> None:
    [answer] = answers(played(path))
    assert GREETING in answer
    assert "approve date" in answer


@of("three-turns")
def test_an_answer_that_repeats_the_user_is_kept(path: Path) -> None:
    replayed = played(path)
    assert [text for role, text in replayed.conversation if role == "user"] == [
        "hello",
        "echo the same words",
        "echo the same words",
    ]
    first, second, third = answers(replayed)
    assert GREETING in first
    assert "echo the same words" in second
    assert "echo the same words" in third
    assert GREETING not in third


@of("slow")
def test_a_turn_is_one_running_and_one_stable(path: Path) -> None:
    replayed = played(path)
    events = [event for _, event in replayed.events]
    begun = next(n for n, event in enumerate(events) if isinstance(event, UserText))
    states = [event.state for event in events[begun:] if isinstance(event, PhaseChanged)]
    statuses = [state.phase.status.value for state in states]
    assert [status for status, _ in itertools.groupby(statuses)] == ["running", "stable"]
    assert "word20" in answers(replayed)[0]


SMALL = of("long", "long-80x50")
STAYS = re.compile(
    r"Current {3}Sessions|^ ~/project|Tip: |^. \w+…$|Build · scripted$", re.MULTILINE
)
"""What stays on the screens of these agents, or belongs to a turn that runs."""


def numbers(text: str) -> list[tuple[int, int]]:
    """(number, count) of each of the lines that tell which they are; (0, 0) for a gap."""
    found = re.findall(rf"line (\d+) of (\d+)$|^{re.escape(GAP)}$", text, re.MULTILINE)
    return [(int(number or 0), int(count or 0)) for number, count in found]


@SMALL
def test_in_a_small_window_each_message_is_of_its_own_turn(path: Path) -> None:
    replayed = played(path)
    assert [text for role, text in replayed.conversation if role == "user"] == list(LONG)
    said = answers(replayed)
    assert len(said) == len(LONG)
    assert not any(STAYS.search(text) for text in said)
    for at in (0, 2, 5):
        assert said[at].lstrip(" ●✦").startswith(GREETING)
        assert LONG[at] in said[at]
    assert "A heading" in said[4] or said[4].startswith(GAP)
    assert "That is all." in said[4]


@SMALL
@pytest.mark.parametrize(("at", "count"), [(1, 15), (3, 70)])
def test_of_a_long_answer_only_what_was_never_painted_is_missing(
    path: Path, at: int, count: int
) -> None:
    """And a mark stands in its place."""
    text = answers(played(path))[at]
    seen = [number for number in numbers(text) if number != (0, 0)]
    painted = {number for number in range(1, count + 1) if was_painted(path, number, count)}
    assert seen == [(number, count) for number in sorted(painted)]
    expected = [0, *(number for number, _ in numbers(text))]
    assert all(b in (a + 1, 0) or not a for a, b in itertools.pairwise(expected))
    assert (GAP in text) is (len(painted) < count)


@functools.cache
def screens(path: Path) -> list[str]:
    """Every screen that a recording shows, a frame of a program without synchronized output as it
    is after each read."""
    cast = load_cast(path)
    emulator = Emulator(cast.columns, cast.rows)
    shown = []
    for _, data in cast.chunks():
        emulator.feed(data)
        if not emulator.synchronized:
            shown.append("\n".join((*emulator.take_frame().pushed, *emulator.screen_lines())))
    return shown


def was_painted(path: Path, number: int, count: int) -> bool:
    """Whether a line was ever to be seen."""
    line = re.compile(rf"line {number} of {count}\b")
    return any(line.search(screen) for screen in screens(path))


@of("approval-allowed", "approval-allowed-80x50")
def test_no_dialog_stays_in_a_message(path: Path) -> None:
    [answer] = answers(played(path))
    assert LOOKS[path.parent.name].asks not in answer
    assert "command has finished" in answer


def test_there_are_recordings() -> None:
    assert {path.parent.name for path in CASTS} == {"claude", "copilot", "gemini", "opencode"}
    assert len([path for path in CASTS if path.stem in OPEN]) == 7


@of(*OPEN)
def test_what_an_agent_asks_is_known_and_refuses_a_message(path: Path) -> None:
    driver = played(path).driver
    state = driver.tracker.state
    assert state.phase is Phase.BLOCKED
    assert state.dialog is not None
    assert state.dialog.kind == KINDS[path.stem]
    with pytest.raises(DialogOpen) as refused:
        asyncio.run(driver.send("tell me your name"))
    assert ("trust" if "trust" in path.stem else "touch made") in refused.value.text


@of(*OTHERS)
def test_an_agent_that_waits_for_a_prompt_is_idle(path: Path) -> None:
    done = played(path)
    reading = done.driver.tracker.reading
    assert done.phases[-1] == "idle", done.phases
    assert reading.dialog is None
    assert reading.composer is not None
    assert reading.composer.text == ("hello there" if path.stem == "typed" else "")
    asked = "blocked" in done.phases
    assert asked is path.stem.startswith(("approval", "trust"))


def test_a_choice_is_marked_by_its_ground() -> None:
    """Where no sign stands before it."""
    driver = played(RECORDINGS / "opencode/approval-open.cast").driver
    row = next(n for n, line in enumerate(driver.frame.lines) if "Allow once" in line)
    assert "Allow once" in driver.highlighted(row)
    assert "Allow always" not in driver.highlighted(row)
