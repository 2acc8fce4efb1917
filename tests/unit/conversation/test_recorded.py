"""What a record of turns counts for: lines that are late, old, half, or of another session."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agentapi.conversation.recorded import RecordedTurns
from agentapi.conversation.status import PhaseFusion, Source
from agentapi.model.conversation import Phase
from agentapi.model.items import AgentMessage, Entry, Turn

EVENTS = ["started", "completed", "failed", "aborted"]
BEGIN = datetime(2026, 11, 21, 12, 0, 0, 400, UTC)


class Stage:
    """A fusion that has started, its record, and a clock that the test sets."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.fusion = PhaseFusion()
        self.record = RecordedTurns(self.fusion, lambda: self.now)
        self._turns = 0
        self.fusion.update_screen(True, None)
        self.fusion.settle()

    def at(self, seconds: float) -> datetime:
        return BEGIN + timedelta(seconds=seconds)

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def line(self, event: str, seconds: float | None) -> None:
        """A line of the record, written so many seconds after the beginning of the run."""
        time = None if seconds is None else self.at(seconds)
        if time is not None:  # Codex cuts off what is less than a millisecond
            time = time.replace(microsecond=time.microsecond // 1000 * 1000)
        self._turns += event == "started"
        self.record.take(Entry(0, self._turns, time, Turn(event)))

    def turn(self, begin: float, end: float) -> None:
        """A whole turn that was submitted here and told in time."""
        self.fusion.submit()
        self.line("started", begin)
        self.passes(end - begin)
        self.line("completed", end)
        assert self.phase is Phase.IDLE

    @property
    def phase(self) -> Phase:
        return self.fusion.state.phase

    @property
    def because(self) -> str:
        return self.fusion.state.reason

    @property
    def counts(self) -> bool:
        said = self.fusion.evidence[Source.ROLLOUT]
        return said.votes and self.fusion.reported(Source.ROLLOUT)


def test_a_turn_of_the_record_opens_and_ends_the_turn_that_was_submitted() -> None:
    stage = Stage()
    stage.fusion.submit()
    stage.passes(0.01)
    stage.line("started", 0.005)
    assert (stage.phase, stage.because) == (Phase.WORKING, "rollout: turn 1 started")
    stage.line("completed", 0.02)
    assert (stage.phase, stage.because) == (Phase.IDLE, "rollout: turn 1 completed")


def test_a_turn_that_begins_in_the_millisecond_of_the_submit_is_its_own() -> None:
    stage = Stage()
    stage.fusion.submit()
    stage.line("started", 0)
    assert stage.phase is Phase.WORKING


def test_the_first_beginning_opens_but_does_not_vote_until_an_end_was_seen() -> None:
    stage = Stage()
    stage.fusion.submit()
    stage.line("started", 0)
    stage.fusion.record(Source.TITLE, Phase.WORKING, "working")
    assert not stage.counts
    stage.fusion.record(Source.TITLE, Phase.IDLE, "idle")
    assert stage.phase is Phase.IDLE
    stage.line("completed", 0.1)
    stage.passes(1)
    stage.fusion.submit()
    stage.line("started", 1)
    assert stage.counts
    stage.fusion.record(Source.TITLE, Phase.IDLE, "idle")
    assert (stage.phase, stage.because) == (Phase.WORKING, "rollout: turn 2 started")


def test_a_version_that_writes_beginnings_and_aborts_alone_never_votes_that_it_works() -> None:
    """0.80."""
    stage = Stage()
    for second in range(0, 6, 2):
        stage.fusion.submit()
        stage.line("started", second)
        assert stage.phase is Phase.WORKING
        assert not stage.counts
        stage.passes(1)
        stage.line("aborted", second + 1)
        assert (stage.phase, stage.because) == (
            Phase.IDLE,
            f"rollout: turn {second // 2 + 1} aborted",
        )
        stage.passes(1)
    stage.fusion.submit()
    stage.line("started", 6)
    stage.fusion.record(Source.NOTIFICATION, Phase.IDLE, "idle")
    assert stage.phase is Phase.IDLE


def test_what_an_earlier_run_left_open_says_nothing() -> None:
    stage = Stage()
    for event, seconds in (("started", -60), ("completed", -50), ("started", -40)):
        stage.line(event, seconds)
    assert stage.phase is Phase.IDLE
    assert stage.fusion.evidence == {}
    stage.turn(1, 2)  # and its end is not that of the turn which was left open


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(-9000, -1)), max_size=20))
def test_no_line_of_an_earlier_run_says_anything(lines: list[tuple[str, int]]) -> None:
    stage = Stage()
    for event, seconds in lines:
        stage.line(event, seconds)
    assert stage.fusion.evidence == {}
    assert stage.phase is Phase.IDLE


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 9)), max_size=20))
def test_no_order_of_lines_holds_a_turn_open_against_osc(lines: list[tuple[str, int]]) -> None:
    stage = Stage()
    stage.fusion.record(Source.OSC, Phase.WORKING, "working")
    for event, seconds in lines:
        stage.line(event, seconds)
        assert stage.phase is Phase.WORKING
    stage.fusion.record(Source.OSC, Phase.IDLE, "done")
    for event, seconds in lines:
        stage.line(event, seconds)
        assert stage.because == "osc 7501: done"


def test_the_past_proves_nothing_for_the_version_that_writes_now() -> None:
    stage = Stage()
    stage.line("started", -60)
    stage.line("completed", -50)
    stage.fusion.submit()
    stage.line("started", 0)
    assert not stage.counts


def test_an_end_that_is_read_after_the_next_submit_does_not_end_that_turn() -> None:
    stage = Stage()
    stage.turn(0, 1)
    stage.passes(1)
    stage.fusion.submit()
    stage.line("started", 2)
    stage.fusion.record(Source.TITLE, Phase.WORKING, "working")
    stage.fusion.record(Source.LINK, Phase.IDLE, "idle")  # the link was the first to know
    stage.passes(1)
    stage.fusion.submit()
    stage.fusion.record(Source.TITLE, Phase.WORKING, "still working")
    stage.line("completed", 2.9)
    assert (stage.phase, stage.because) == (Phase.WORKING, "title: still working")
    assert not stage.counts
    stage.line("started", 3)
    assert stage.because == "rollout: turn 3 started"


def test_a_whole_turn_that_is_read_after_the_next_submit_says_nothing_of_it() -> None:
    stage = Stage()
    stage.turn(0, 1)
    stage.fusion.submit()
    stage.fusion.record(Source.TITLE, Phase.WORKING, "working")
    stage.passes(1)
    stage.fusion.record(Source.TITLE, Phase.IDLE, "idle")
    stage.passes(1)
    stage.fusion.submit()
    stage.fusion.begin("message sent")
    stage.line("started", 1.1)
    stage.line("completed", 1.9)
    assert (stage.phase, stage.because) == (Phase.WORKING, "message sent")
    stage.line("started", 3)
    stage.line("completed", 3.5)
    assert stage.phase is Phase.IDLE


def test_a_turn_that_was_over_before_it_was_seen_is_not_opened_by_its_record() -> None:
    """0.80: the notification is there first, and no end would ever be read."""
    stage = Stage()
    stage.fusion.submit()
    stage.passes(0.1)
    stage.fusion.record(Source.NOTIFICATION, Phase.IDLE, "idle")
    stage.fusion.begin("a turn too short to be seen")
    stage.line("started", 0.05)
    assert stage.phase is Phase.IDLE


def test_a_message_that_waited_in_the_agent_begins_the_moment_the_turn_before_ends() -> None:
    """Both lines are read at once, later than either was written."""
    stage = Stage()
    stage.fusion.submit()
    stage.line("started", 0)
    stage.passes(2)
    stage.line("completed", 1)
    assert stage.phase is Phase.IDLE
    stage.line("started", 1.001)
    assert (stage.phase, stage.because) == (Phase.WORKING, "rollout: turn 2 started")


def test_a_turn_at_the_terminal_opens_and_ends() -> None:
    stage = Stage()
    stage.passes(5)
    stage.line("started", 4.99)
    assert stage.phase is Phase.WORKING
    stage.line("failed", 6)
    assert (stage.phase, stage.because) == (Phase.IDLE, "rollout: turn 1 failed")


def test_turns_at_the_terminal_open_one_after_the_other_though_no_end_is_written() -> None:
    """0.80, with what else tells their ends."""
    stage = Stage()
    for second in (1, 3, 5):
        stage.line("started", second)
        assert stage.phase is Phase.WORKING
        stage.passes(2)
        stage.fusion.record(Source.NOTIFICATION, Phase.IDLE, "idle")
        assert stage.because == "notification: idle"


def test_another_record_makes_what_was_said_void() -> None:
    stage = Stage()
    stage.turn(0, 1)
    stage.fusion.submit()
    stage.line("started", 1)
    stage.record.reset()
    assert Source.ROLLOUT not in stage.fusion.evidence
    stage.line("completed", 2)  # of a turn whose beginning this record did not tell
    assert Source.ROLLOUT not in stage.fusion.evidence
    stage.passes(1)
    stage.fusion.submit()
    stage.line("started", 2)
    assert not stage.counts


def test_lines_without_a_time_and_other_lines_say_nothing() -> None:
    stage = Stage()
    stage.line("started", None)
    stage.record.take(Entry(0, 1, stage.at(1), AgentMessage("started")))
    assert stage.fusion.evidence == {}
