"""The driver over recordings of the real Codex: what it makes of each is kept beside it, and
checked a second time against what the model sent and against words that no message may hold.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest

from agentapi.model.events import AgentText, PhaseChanged, UserText
from tests.recordings.expect import expected_path, recordings, render
from tests.support.replay import Replayed, replay

RECORDINGS = recordings()
FURNITURE = re.compile(
    r"^[•◦] Working \(|^  Worked for|^  \d\d:\d\d$|\? for shortcuts|Ask Codex to do anything"
    r"|\d+% context left|OpenAI Codex \(v|^  └ Tip:|^› (?!\d\. )|background terminals? running"
)
CUT = {"lines-400-alt-80x50", "interrupt", "interrupt-tool", "exit"}
"""Scenarios in which not every word that the model sent was on the screen: an alternate screen of
50 rows skips lines, an interrupt and an exit cut the answer."""


@pytest.fixture(
    params=RECORDINGS, ids=lambda path: f"{path.parent.name}-{path.stem}", scope="module"
)
def recording(request: pytest.FixtureRequest) -> Path:
    """One recording of the real Codex."""
    path = request.param
    assert isinstance(path, Path)
    return path


@pytest.fixture(scope="module")
def replayed(recording: Path) -> Replayed:
    """What the driver makes of it."""
    return replay(recording)


def test_there_are_recordings() -> None:
    versions = {path.parent.name for path in RECORDINGS}
    assert {"0.80.0", "0.125.0", "0.169.0"} <= versions


def test_the_conversation_is_as_expected(recording: Path, replayed: Replayed) -> None:
    expected = expected_path(recording).read_text(encoding="utf-8")
    assert render(replayed) == expected, (
        "if the new one is right: python -m tests.recordings.expect"
    )


def test_messages_hold_no_furniture(replayed: Replayed) -> None:
    """The start-up screen alone has banner and tips."""
    for role, text in replayed.conversation[1:]:
        if role == "agent":
            assert [line for line in text.split("\n") if FURNITURE.search(line)] == []


def test_lines_have_no_padding(replayed: Replayed) -> None:
    for role, text in replayed.conversation:
        if role == "agent":
            assert [line for line in text.split("\n") if line != line.rstrip()] == []


def test_every_word_of_the_model_is_in_the_messages(recording: Path, replayed: Replayed) -> None:
    sent = json.loads(recording.with_suffix(".json").read_text(encoding="utf-8"))["sent"]
    said = "".join("".join(text.split()) for _, text in replayed.conversation)
    texts = [step["text"] for turn in sent for step in turn["steps"] if step["step"] == "Say"]
    words = [word for text in texts for word in re.findall(r"\w{2,}", without_fences(text))]
    if recording.stem in CUT:
        words = words[:1]
    assert [word for word in words if word not in said] == []


def test_a_turn_is_one_running_and_one_stable(replayed: Replayed) -> None:
    """No flicker: after the start, every `working` ends in `idle`, or in `blocked`, where the
    user must act."""
    phases = replayed.phases
    for before, after in itertools.pairwise(phases):
        assert (before, after) in {
            ("starting", "idle"),
            ("starting", "blocked"),
            ("blocked", "starting"),
            ("blocked", "working"),
            ("blocked", "idle"),
            ("idle", "working"),
            ("idle", "blocked"),  # a person opens a list
            ("working", "idle"),
            ("working", "blocked"),
        }
    assert phases.count("starting") <= 2


def test_what_was_said_when_the_turn_ended_is_what_stands(replayed: Replayed) -> None:
    """Nothing of a turn's text comes after its `stable`."""
    idle = asked = False
    for _, event in replayed.events:
        if isinstance(event, UserText):
            asked, idle = True, False
        elif isinstance(event, PhaseChanged):
            idle = event.state.phase.value == "idle"
        elif isinstance(event, AgentText):
            assert not (idle and asked), event.text[-200:]


def without_fences(text: str) -> str:
    """Markdown without the language names of its code blocks, which no screen shows."""
    return re.sub(r"```\w+", "", text)
