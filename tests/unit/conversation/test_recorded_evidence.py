"""The real Codex under the real driver, with everything that told of its phase and when, again:
with all sources the phases are those of that day, and they stay so without any one of them.
"""

from __future__ import annotations

import re

import pytest

from agentapi.conversation.status import Source
from agentapi.model.conversation import Phase
from agentapi.model.events import AgentText, PhaseChanged, UserText
from tests.support.replay import Replayed
from tests.support.timed import Timed, replay_timed, timed_recordings

PHASES = {
    "turn": "starting idle working idle",
    "tool": "starting idle working idle",
    "interrupt": "starting idle working idle",
    "approval": "starting idle working blocked working idle",
    "two-turns": "starting idle working idle working idle",
    "typed": "starting idle working idle working idle",
}
RECORDINGS = timed_recordings()
WITHOUT = [(one, source) for one in RECORDINGS for source in sorted(one.sources)]
ONE_TURN = [case for case in WITHOUT if not case[0].head["scenario"].startswith(("two", "typed"))]
PRIVATE = re.compile(r"/root|/home/|/work/|/Users/|/tmp/")

IMPATIENT = (
    "nothing else tells the end of a turn of this version at once, and the next one began before"
    " the quiet time of 3 s was over; a message of a client would have been refused until then"
)
EXCEPTIONS = {
    ("alone-0.107.0-two-turns", Source.ROLLOUT): IMPATIENT,
    ("alone-0.107.0-typed", Source.ROLLOUT): IMPATIENT,
    ("alone-0.107.0-two-turns-busy", Source.ROLLOUT): IMPATIENT,
    ("alone-0.107.0-typed-busy", Source.ROLLOUT): IMPATIENT,
    ("alone-0.80.0-two-turns", Source.NOTIFICATION): IMPATIENT,
    ("alone-0.80.0-typed", Source.NOTIFICATION): IMPATIENT,
}
"""(recording, source) -> why two turns are one without it."""


def named(case: tuple[Timed, Source]) -> str:
    return f"{case[0].name}-{case[1].name}"


def phases(replayed: Replayed) -> str:
    return " ".join(replayed.phases)


def reasons(replayed: Replayed) -> list[str]:
    states = [event.state for _, event in replayed.events if isinstance(event, PhaseChanged)]
    return [state.reason for state in states if state.phase is not Phase.BLOCKED]


def test_every_way_of_running_is_recorded_with_every_scenario() -> None:
    assert {one.path.parent.name for one in RECORDINGS} == {
        *("linked-0.142.0", "linked-0.158.0", "linked-0.169.0"),
        *("alone-0.80.0", "alone-0.107.0", "alone-0.125.0", "alone-0.169.0"),
    }
    assert len(RECORDINGS) == 7 * len(PHASES) + 2  # two on a machine that was short of time
    assert {source for _, source in WITHOUT} == set(Source) - {Source.QUIET}
    assert EXCEPTIONS.keys() <= {(one.name, source) for one, source in WITHOUT}


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda one: one.name)
def test_no_recording_shows_a_private_path(recording: Timed) -> None:
    assert PRIVATE.findall(recording.path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda one: one.name)
def test_with_all_sources_the_phases_are_those_of_the_run(recording: Timed) -> None:
    replayed = replay_timed(recording)
    assert phases(replayed) == " ".join(recording.head["phases"])
    assert phases(replayed) == PHASES[recording.head["scenario"]]


@pytest.mark.parametrize("case", WITHOUT, ids=named)
def test_without_a_source_the_phases_are_the_same(case: tuple[Timed, Source]) -> None:
    recording, source = case
    replayed = replay_timed(recording, source)
    assert [why for why in reasons(replayed) if why.startswith(f"{source.label}:")] == []
    scenario = "turn" if (recording.name, source) in EXCEPTIONS else recording.head["scenario"]
    assert phases(replayed) == PHASES[scenario]


@pytest.mark.parametrize("case", ONE_TURN, ids=named)
def test_one_source_is_enough_for_a_turn(case: tuple[Timed, Source]) -> None:
    """Composer and dialogs always show; what the screen says of work is a source like others."""
    recording, source = case
    others = [other for other in Source if other not in (source, Source.QUIET)]
    assert phases(replay_timed(recording, *others)) == PHASES[recording.head["scenario"]]


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda one: one.name)
def test_the_rollout_tells_ends_where_a_version_writes_them(recording: Timed) -> None:
    """0.80 writes the end of a turn only when it is interrupted."""
    others = [other for other in Source if other not in (Source.ROLLOUT, Source.QUIET)]
    told = reasons(replay_timed(recording, *others))
    ended = [why for why in told if re.fullmatch(r"rollout: turn \d (completed|aborted)", why)]
    whole = not recording.name.startswith("alone-0.80.0")
    assert bool(ended) == (whole or recording.head["scenario"] == "interrupt")


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda one: one.name)
def test_nothing_is_said_of_a_turn_after_its_end(recording: Timed) -> None:
    """The rollout may know the end before the screen is painted: the end waits for the words."""
    idle = asked = False
    for _, event in replay_timed(recording, Source.LINK, Source.OSC).events:
        if isinstance(event, UserText):
            asked, idle = True, False
        elif isinstance(event, PhaseChanged):
            idle = event.state.phase is Phase.IDLE
        elif isinstance(event, AgentText):
            assert not (idle and asked), event.text[-200:]
