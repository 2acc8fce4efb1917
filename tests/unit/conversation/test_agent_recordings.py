"""Recordings of real agents without a profile of their own, read by shape: in the end each waits
at its prompt, or asks, and nothing is typed into what it asks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agentapi.agents.registry import profile_for
from agentapi.model.conversation import Phase
from agentapi.model.errors import DialogOpen
from tests.support.codex import PROJECT
from tests.support.replay import Replayed, replay

FOLDER = PROJECT / "tests/recordings/agents"
RECORDINGS = sorted(FOLDER.glob("*/*.cast"))
OPEN = [path for path in RECORDINGS if path.stem.endswith("-open")]
KINDS = {"trust-open": "trust", "approval-open": "command"}


def named(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def replayed(path: Path) -> Replayed:
    return replay(path, profile_for(path.parent.name), patient=True)


def test_there_are_recordings() -> None:
    assert {path.parent.name for path in RECORDINGS} == {"claude", "copilot", "gemini", "opencode"}
    assert len(OPEN) == 7


@pytest.mark.parametrize("path", OPEN, ids=named)
def test_what_an_agent_asks_is_known_and_refuses_a_message(path: Path) -> None:
    done = replayed(path)
    driver = done.driver
    state = driver.tracker.state
    assert state.phase is Phase.BLOCKED
    assert state.dialog is not None
    assert state.dialog.kind == KINDS[path.stem]
    with pytest.raises(DialogOpen) as refused:
        asyncio.run(driver.send("tell me your name"))
    assert ("trust" if "trust" in path.stem else "touch made") in refused.value.text


@pytest.mark.parametrize("path", [path for path in RECORDINGS if path not in OPEN], ids=named)
def test_an_agent_that_waits_for_a_prompt_is_idle(path: Path) -> None:
    done = replayed(path)
    reading = done.driver.tracker.reading
    assert done.phases[-1] == "idle", done.phases
    assert reading.dialog is None
    assert reading.composer is not None
    assert reading.composer.text == ("hello there" if path.stem == "typed" else "")
    asked = "blocked" in done.phases
    assert asked is path.stem.startswith(("approval", "trust"))
