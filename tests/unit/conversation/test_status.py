"""Evidence in, phase out: a table, and the rules that it stands for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.conversation.status import PhaseFusion, Source
from agentapi.model.conversation import Choice, Dialog, Phase

IDLE, WORK, BLOCK, START = Phase.IDLE, Phase.WORKING, Phase.BLOCKED, Phase.STARTING
DIALOG = Dialog("dialog-1", "command", "Run it?", choices=(Choice("1", "Yes", "y"),))
Step = tuple[object, ...]


def started() -> PhaseFusion:
    """An agent that was ready."""
    fusion = PhaseFusion()
    fusion.update_screen(composer=True, dialog=None)
    fusion.settle()
    return fusion


def play(fusion: PhaseFusion, steps: list[Step]) -> None:
    """Apply steps: ("submit",), ("begin",), ("dialog", shown), ("withdraw", source), (source,
    phase); ("opens", source) and ("late", source) are a beginning and an end without a vote."""
    for step in steps:
        match step:
            case ("submit",):
                fusion.submit()
            case ("begin",):
                fusion.begin("message sent")
            case ("dialog", bool(shown)):
                fusion.update_screen(composer=not shown, dialog=DIALOG if shown else None)
            case ("withdraw", Source() as source):
                fusion.withdraw(source)
            case ("opens", Source() as source):
                fusion.record(source, Phase.WORKING, "working", votes=False)
            case ("late", Source() as source):
                fusion.record(source, Phase.IDLE, "idle", votes=False)
            case (Source() as source, Phase() as phase):
                fusion.record(source, phase, phase.value)
            case _:
                raise AssertionError(step)


LINK, OSC, ROLLOUT, TITLE, NOTE, SCREEN, QUIET = (
    Source.LINK,
    Source.OSC,
    Source.ROLLOUT,
    Source.TITLE,
    Source.NOTIFICATION,
    Source.SCREEN,
    Source.QUIET,
)

TABLE: list[tuple[str, list[Step], Phase, str]] = [
    ("nothing said", [], IDLE, "ready for a prompt"),
    ("a message was taken", [("submit",), ("begin",)], WORK, "message sent"),
    ("osc says working", [("submit",), (OSC, WORK)], WORK, "osc 7501: working"),
    ("osc says done", [("submit",), (OSC, WORK), (OSC, IDLE)], IDLE, "osc 7501: idle"),
    (
        "a weaker source cannot end it",
        [("submit",), (OSC, WORK), (TITLE, IDLE), (NOTE, IDLE)],
        WORK,
        "osc",
    ),
    (
        "a weaker source cannot prolong it",
        [("submit",), (OSC, WORK), (OSC, IDLE), (TITLE, WORK)],
        IDLE,
        "osc",
    ),
    (
        "what was said before the turn is old",
        [(OSC, IDLE), ("submit",), ("begin",)],
        WORK,
        "message",
    ),
    (
        "the title where there is no osc",
        [("submit",), (TITLE, WORK), (TITLE, IDLE)],
        IDLE,
        "title: idle",
    ),
    (
        "a notification ends a turn",
        [("submit",), (SCREEN, WORK), (NOTE, IDLE)],
        IDLE,
        "notification",
    ),
    (
        "no working line while text streams",
        [("submit",), (SCREEN, WORK), ("begin",), ("withdraw", SCREEN)],
        WORK,
        "message sent",
    ),
    (
        "quiet ends what nothing better ends",
        [("submit",), ("begin",), (QUIET, IDLE)],
        IDLE,
        "quiet: idle",
    ),
    (
        "quiet does not end a working line",
        [("submit",), (SCREEN, WORK), (QUIET, IDLE)],
        WORK,
        "screen",
    ),
    (
        "a dialog blocks",
        [("submit",), (OSC, WORK), ("dialog", True)],
        BLOCK,
        "screen: command dialog",
    ),
    (
        "osc names the dialog",
        [("submit",), (OSC, BLOCK), ("dialog", True)],
        BLOCK,
        "osc 7501: blocked",
    ),
    (
        "a dialog that is still painted after the work went on",
        [("submit",), (OSC, WORK), ("dialog", True), (OSC, BLOCK), (OSC, WORK)],
        WORK,
        "osc 7501: working",
    ),
    ("a dialog between turns", [("dialog", True)], BLOCK, "screen: command dialog"),
    ("a turn that somebody typed", [(OSC, IDLE), (OSC, WORK)], WORK, "osc 7501: working"),
    (
        "the title does not open a turn where osc is known",
        [(OSC, IDLE), (TITLE, WORK)],
        IDLE,
        "osc",
    ),
    ("the screen does not either", [(OSC, IDLE), (SCREEN, WORK)], IDLE, "osc"),
    (
        "the rollout is weaker than the link",
        [("submit",), (LINK, WORK), (ROLLOUT, WORK), (ROLLOUT, IDLE)],
        WORK,
        "link: working",
    ),
    (
        "the rollout is weaker than osc",
        [("submit",), (OSC, WORK), (OSC, IDLE), (ROLLOUT, WORK)],
        IDLE,
        "osc 7501: idle",
    ),
    (
        "the rollout is stronger than title, notification and screen",
        [("submit",), (ROLLOUT, WORK), (TITLE, WORK), (TITLE, IDLE), (NOTE, IDLE), (SCREEN, IDLE)],
        WORK,
        "rollout: working",
    ),
    (
        "its end, too",
        [("submit",), (TITLE, WORK), (SCREEN, WORK), (ROLLOUT, WORK), (ROLLOUT, IDLE)],
        IDLE,
        "rollout: idle",
    ),
    (
        "a rollout that tells no ends only opens: the title ends the turn",
        [("submit",), ("opens", ROLLOUT), (TITLE, WORK), (TITLE, IDLE)],
        IDLE,
        "title: idle",
    ),
    (
        "and so does a quiet time",
        [("submit",), ("opens", ROLLOUT), ("begin",), (QUIET, IDLE)],
        IDLE,
        "quiet: idle",
    ),
    ("a turn that it alone tells of", [("opens", ROLLOUT)], WORK, "rollout: working"),
    (
        "a turn at the terminal, told by a rollout that tells ends",
        [(ROLLOUT, IDLE), (ROLLOUT, WORK)],
        WORK,
        "rollout: working",
    ),
    (
        "it opens none where osc is known",
        [(OSC, IDLE), (ROLLOUT, WORK)],
        IDLE,
        "osc 7501: idle",
    ),
    (
        "nor where the link is known",
        [(LINK, IDLE), ("opens", ROLLOUT)],
        IDLE,
        "link: idle",
    ),
    (
        "the title need not wait for it",
        [(ROLLOUT, IDLE), (TITLE, WORK)],
        WORK,
        "title: working",
    ),
    (
        "a working line painted after the recorded end opens nothing",
        [("submit",), (ROLLOUT, WORK), (ROLLOUT, IDLE), (SCREEN, WORK)],
        IDLE,
        "rollout: idle",
    ),
    (
        "an end that is read too late is no vote",
        [("submit",), ("begin",), ("late", ROLLOUT)],
        WORK,
        "message sent",
    ),
    (
        "another session's rollout: what the one before said is void",
        [("submit",), (ROLLOUT, WORK), (TITLE, IDLE), ("withdraw", ROLLOUT)],
        IDLE,
        "title: idle",
    ),
    (
        "a dialog blocks whatever the rollout says",
        [("submit",), (TITLE, BLOCK), ("dialog", True), (ROLLOUT, WORK)],
        BLOCK,
        "title: blocked",
    ),
]


@pytest.mark.parametrize(
    ("steps", "phase", "because"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE]
)
def test_table(steps: list[Step], phase: Phase, because: str) -> None:
    fusion = started()
    play(fusion, steps)
    assert fusion.state.phase is phase
    assert fusion.state.reason.startswith(because)


def test_starting_lasts_until_the_composer_settled() -> None:
    fusion = PhaseFusion()
    assert fusion.state.phase is START
    fusion.settle()
    assert fusion.state.phase is START
    fusion.update_screen(composer=True, dialog=None)
    assert fusion.ready
    assert fusion.state.phase is START
    fusion.settle()
    assert fusion.state.phase is IDLE


def test_an_agent_that_blinks_while_it_starts_is_not_ready() -> None:
    """Codex 0.169 says idle, working and idle again before its first prompt."""
    fusion = PhaseFusion()
    fusion.update_screen(composer=True, dialog=None)
    fusion.record(OSC, IDLE, "idle")
    assert fusion.ready
    fusion.record(OSC, WORK, "working")
    assert not fusion.ready
    assert fusion.at_work
    fusion.record(OSC, IDLE, "idle")
    assert fusion.ready
    assert fusion.state.phase is START


def test_a_dialog_at_the_start_blocks_and_starting_goes_on_after_it() -> None:
    fusion = PhaseFusion()
    fusion.update_screen(composer=False, dialog=DIALOG)
    assert (fusion.state.phase, fusion.state.dialog) == (BLOCK, DIALOG)
    assert not fusion.ready
    fusion.update_screen(composer=False, dialog=None)
    assert fusion.state.phase is START


def test_an_agent_at_work_when_it_starts_has_a_turn() -> None:
    fusion = PhaseFusion()
    fusion.update_screen(composer=True, dialog=None)
    fusion.record(TITLE, WORK, "working")
    fusion.settle()
    assert fusion.state.phase is WORK
    fusion.record(TITLE, IDLE, "idle")
    assert fusion.state.phase is IDLE


def test_the_end_is_final() -> None:
    fusion = started()
    fusion.exit("exit status 0")
    fusion.record(OSC, WORK, "working")
    fusion.update_screen(composer=False, dialog=DIALOG)
    assert (fusion.state.phase, fusion.state.reason) == (Phase.EXITED, "exit status 0")


SOURCES = st.sampled_from(list(Source))
STEPS = st.lists(
    st.one_of(
        st.just(("submit",)),
        st.just(("begin",)),
        st.tuples(st.just("dialog"), st.booleans()),
        st.tuples(st.sampled_from(["withdraw", "opens", "late"]), SOURCES),
        st.tuples(SOURCES, st.sampled_from([IDLE, WORK, BLOCK])),
    ),
    max_size=30,
)


@given(STEPS)
def test_the_strongest_source_of_a_turn_has_the_last_word(steps: list[Step]) -> None:
    fusion = started()
    play(fusion, [*steps, ("dialog", False), ("submit",), (LINK, WORK), (LINK, IDLE)])
    assert fusion.state.phase is IDLE
    play(fusion, [(OSC, WORK), (TITLE, WORK), (SCREEN, WORK), (QUIET, WORK), (NOTE, WORK)])
    assert fusion.state.phase is IDLE


def test_the_record_alone_is_told_apart_from_one_that_others_agree_with() -> None:
    fusion = started()
    play(fusion, [("submit",), (ROLLOUT, WORK)])
    assert not fusion.open_only_by_record
    play(fusion, [(TITLE, WORK), (NOTE, IDLE)])
    assert not fusion.open_only_by_record
    play(fusion, [(TITLE, IDLE)])
    assert fusion.open_only_by_record
    play(fusion, [(OSC, WORK)])
    assert not fusion.open_only_by_record


def test_it_is_told_when_a_turn_is_over() -> None:
    fusion = started()
    over: list[Phase] = []
    fusion.between_turns = lambda: over.append(fusion.state.phase)
    play(fusion, [("submit",)])
    assert over == [IDLE]
    play(fusion, [(TITLE, WORK), ("late", ROLLOUT), (NOTE, IDLE)])
    assert over == [IDLE]
    play(fusion, [(TITLE, IDLE)])
    assert set(over[1:]) == {IDLE}
    seen = len(over)
    play(fusion, [(NOTE, BLOCK), (NOTE, IDLE)])  # a turn too short to be seen otherwise
    assert len(over) > seen


@given(STEPS)
def test_an_open_dialog_is_never_ready_for_a_prompt(steps: list[Step]) -> None:
    fusion = started()
    play(fusion, [*steps, ("dialog", False), ("dialog", True)])
    assert fusion.state.phase is BLOCK
