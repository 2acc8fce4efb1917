"""The driver of programs without a profile of their own, over recordings of the real ones."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from agentapi.agents.registry import profile_for
from agentapi.model.conversation import Phase
from agentapi.model.errors import DialogOpen
from agentapi.model.events import PhaseChanged, UserText
from agentapi.terminal import Emulator
from tests.support.agent_looks import LOOKS, composer_rows
from tests.support.cast import all_casts, load_cast
from tests.support.codex import PROJECT
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
