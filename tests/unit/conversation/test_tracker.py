"""The state machine over screen and evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentapi.agents.registry import profile_for
from agentapi.conversation.status import Source
from agentapi.conversation.tracker import Tracker
from agentapi.model.conversation import Phase
from agentapi.model.frames import Frame, Notification

BANNER = ("  >_ OpenAI Codex (v1)", "")
COMPOSER = ("› ", "", "  gpt · ~/x")
DIALOG = (
    *("  Would you like to run the following command?", "", "  $ touch x", ""),
    *("› 1. Yes, proceed (y)", "  2. No (esc)", "", "  Press enter to confirm or esc to cancel"),
)


def frame(*lines: str) -> Frame:
    return Frame(0, 80, 20, (*lines, *("",) * (20 - len(lines))), lines, (2, 0), False)


def asking() -> Tracker:
    """Codex with a link, in a turn, whose question stands on the screen."""
    tracker = Tracker(profile_for("codex"))
    tracker.take(frame(*BANNER, *COMPOSER))
    tracker.fusion.record(Source.LINK, Phase.IDLE, "idle")
    tracker.settle()
    tracker.fusion.record(Source.LINK, Phase.WORKING, "active")
    tracker.take(frame(*BANNER, *DIALOG))
    assert tracker.state.dialog is not None
    tracker.set_question(replace(tracker.state.dialog, id="request-1"))
    return tracker


def test_a_decided_question_that_is_still_painted_blocks_nothing() -> None:
    tracker = asking()
    phases = [tracker.state.phase]
    tracker.set_question(None)
    for phase in (Phase.WORKING, Phase.IDLE):
        tracker.fusion.record(Source.LINK, phase, "goes on")
        phases.append(tracker.state.phase)
    assert phases == [Phase.BLOCKED, Phase.WORKING, Phase.IDLE]


def test_a_decided_question_may_change_its_looks() -> None:
    tracker = asking()
    tracker.set_question(None)
    tracker.set_question(None)
    tracker.take(frame(*BANNER, *DIALOG[:2], "  $ touch x y", *DIALOG[3:]))
    assert tracker.state.phase is Phase.WORKING


def test_the_next_question_blocks_again() -> None:
    tracker = asking()
    tracker.set_question(None)
    tracker.take(frame(*BANNER, *COMPOSER))
    tracker.take(frame(*BANNER, *DIALOG))
    assert tracker.state.phase is Phase.BLOCKED


def test_a_dialogs_id_is_its_own_also_among_those_of_other_runs() -> None:
    """Every run counts its dialogs from the first."""
    ids = []
    for _ in range(2):
        tracker = Tracker(profile_for("codex"))
        for shown in (DIALOG, DIALOG, COMPOSER, DIALOG):
            tracker.take(frame(*BANNER, *shown))
            if tracker.state.dialog is not None:
                ids.append(tracker.state.dialog.id)
    assert [ids.index(number) for number in ids] == [0, 0, 2, 3, 3, 5]


def test_the_next_turns_working_line_does_not_lengthen_the_last_answer() -> None:
    """It may be painted before any stronger source tells that a turn began; words still count."""
    tracker = Tracker(profile_for("codex"))
    tracker.take(frame(*BANNER, *COMPOSER))
    tracker.fusion.record(Source.TITLE, Phase.IDLE, "idle")
    tracker.settle()
    tracker.prepare()
    tracker.submit("hi")
    tracker.begin("title")
    tracker.fusion.record(Source.TITLE, Phase.WORKING, "working")
    tracker.take(frame(*BANNER, "› hi", "", "• Hello", "", *COMPOSER))
    assert told(tracker) == ["• Hello"]
    tracker.fusion.record(Source.TITLE, Phase.IDLE, "idle")
    tracker.message.finish()
    working = "• Working (0s • esc to interrupt)"
    tracker.take(frame(*BANNER, "› hi", "", "• Hello", "", working, "", *COMPOSER))
    assert told(tracker) == []
    tracker.take(frame(*BANNER, "› hi", "", "• Hello", "  there", "", *COMPOSER))
    assert told(tracker) == ["• Hello\n  there"]


def test_a_turn_that_is_over_before_it_was_read_has_its_words() -> None:
    """0.80 paints its working line and announces the end within 11 ms, after an interrupt."""
    interrupted = ("› hi", "", "■ Conversation interrupted", "")
    tracker = Tracker(profile_for("codex"))
    tracker.take(frame(*BANNER, *COMPOSER))
    tracker.settle()
    for text, said in (("hi", interrupted[2]), ("again", "• Hello")):
        answered: tuple[str, ...] = ()
        tracker.prepare()
        tracker.submit(text)
        if text == "again":
            working = ("› again", "", "• Working (0s • esc to interrupt)", "")
            tracker.take(frame(*BANNER, *interrupted, *working, *COMPOSER))
            answered = ("› again", "", said, "")
        tracker.begin("screen")
        tracker.signal(Notification(said))
        tracker.take(frame(*BANNER, *interrupted, *answered, *COMPOSER))
        assert [part.text for part in tracker.message.read(ended=True)] == [said]
        tracker.message.finish()


def test_what_a_command_of_the_terminal_paints_is_not_the_agents() -> None:
    """0.169 tells of `!date`, `/compact` and `/model` as of turns and questions, but echoes no
    message."""
    tracker = Tracker(profile_for("codex"))
    tracker.take(frame(*BANNER, *COMPOSER))
    tracker.fusion.record(Source.OSC, Phase.IDLE, "idle")
    tracker.settle()
    tracker.prepare()
    tracker.submit("hi")
    tracker.begin("osc")
    answered = (*BANNER, "› hi", "", "• Hello", "", "  Worked for <1s • 15:27", "")
    tracker.take(dim(frame(*answered, *COMPOSER)))
    assert [said.text for said in tracker.message.read(ended=True)] == ["• Hello"]
    tracker.message.finish()
    tracker.fusion.record(Source.OSC, Phase.WORKING, "working")
    ran = (*answered, "• You ran date", "  └ Monday", "")
    tracker.take(dim(frame(*ran, *COMPOSER)))
    assert told(tracker) == []
    tracker.fusion.record(Source.OSC, Phase.IDLE, "done")
    assert tracker.message.read(ended=True) == tracker.message.finish() == []
    tracker.take(dim(frame(*answered, *DIALOG)))
    assert tracker.state.phase is Phase.BLOCKED
    assert told(tracker) == []
    tracker.fusion.record(Source.OSC, Phase.WORKING, "working")
    tracker.take(dim(frame(*ran, "› by hand", "", "• Yes", "", *COMPOSER)))
    assert [said.text for said in tracker.message.read()] == ["by hand", "• Yes"]


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize(("source", "closed"), [(Source.ROLLOUT, True), (Source.TITLE, False)])
def test_without_a_mark_of_its_end_a_message_stands_once_the_end_is_sure(
    source: Source, closed: bool, typed: bool
) -> None:
    """0.142 paints none; the title also blinks within turns, so it goes on after that."""
    tracker = Tracker(profile_for("codex"))
    tracker.take(frame(*BANNER, *COMPOSER))
    tracker.settle()
    tracker.prepare()
    tracker.submit("hi")
    tracker.begin("record")
    answered = (*BANNER, "› hi", "", "• Hello", "")
    tracker.fusion.record(source, Phase.WORKING, "began")
    tracker.take(frame(*answered, *COMPOSER))
    assert told(tracker) == ["• Hello"]
    tracker.fusion.record(source, Phase.IDLE, "completed")
    tracker.message.finish()
    if typed:  # before the time for late words is over
        tracker.take(frame(*answered, "› /compact", "", "  gpt · ~/x"))
    else:
        tracker.message.freeze()
    tracker.fusion.record(source, Phase.WORKING, "began")
    tracker.take(frame(*answered, "• Context compacted", "", *COMPOSER))
    assert told(tracker) == ([] if closed else ["• Hello\n\n• Context compacted"])
    tracker.prepare()
    tracker.submit("and")
    tracker.begin("record")
    tracker.message.freeze()
    tracker.take(frame(*answered, "› and", "", "• Yes", "", *COMPOSER))
    assert told(tracker) == ["• Yes"]


def dim(shown: Frame) -> Frame:
    """The mark of a turn's end is faint."""
    bright = tuple("" if "Worked for" in line else line for line in shown.lines)
    return replace(shown, bright=bright)


def told(tracker: Tracker) -> list[str]:
    """What the agent is heard to say."""
    return [said.text for said in tracker.message.read() if not said.by_user]
