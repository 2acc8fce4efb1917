"""The driver and the turns in the agent's rollout, in virtual time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from agentapi.agents.driver import AcceptsRecord
from agentapi.agents.generic.evidence import DISAGREEMENT
from agentapi.agents.generic.reporter import DRAIN
from agentapi.agents.registry import profile_for
from agentapi.conversation.completeness import PAINT_LIMIT, STALL_LIMIT
from agentapi.conversation.profile import AgentProfile
from agentapi.model.items import AgentMessage, Entry, Turn
from tests.support.replay import run_virtual
from tests.support.stage import BRACKETED, Stage, StagedDriver

TITLE_AT_WORK, TITLE_AT_REST = b"\x1b]0;\xe2\xa0\x8b dir\x07", b"\x1b]0;dir\x07"
BEGIN = datetime(2026, 11, 21, 12, tzinfo=UTC)
QUIET = profile_for("codex").quiet


class Recorded(Stage):
    """A Codex without OSC 7501 that is ready, and its rollout; the clock on the wall is that of
    the loop."""

    def __init__(self) -> None:
        super().__init__()
        self._turns = 0

    def drive(self, profile: AgentProfile) -> StagedDriver:
        """Make the driver with the loop's clock."""
        loop = asyncio.get_running_loop()
        return StagedDriver(
            profile, self.console, clock=lambda: BEGIN + timedelta(seconds=loop.time())
        )

    def line(self, event: str) -> None:
        """Read a line of the rollout as soon as it is written."""
        self._turns += event == "started"
        now = BEGIN + timedelta(seconds=asyncio.get_running_loop().time())
        self.driver.recorded([Entry(0, self._turns, now, Turn(event))])

    def words(self, text: str) -> None:
        """A message of the agent in the rollout."""
        self.driver.recorded([Entry(0, self._turns, None, AgentMessage(text))])

    async def ready(self) -> None:
        """Ready for a prompt."""
        self.driver.feed(BRACKETED)
        self.paint("  banner")
        await asyncio.sleep(1)

    async def first_turn(self) -> None:
        """Run a turn after which the rollout is known to record ends."""
        self.submit("one")
        self.line("started")
        self.paint("  banner", "› one", "", "• First.")
        self.words("First.")
        self.line("completed")
        await asyncio.sleep(1)
        assert self.phases()[-2:] == ["working", "idle"]

    @property
    def because(self) -> str:
        """The reason for the phase."""
        return self.driver.tracker.state.reason


async def stage() -> Recorded:
    """A stage that has started."""
    made = Recorded()
    await made.start()
    await made.ready()
    return made


def test_a_turn_is_seen_to_begin_and_end_by_its_record_alone() -> None:
    async def script() -> None:
        on = await stage()
        on.submit("hello")
        on.line("started")
        assert on.told()[-2:] == ["hello", "working"]
        on.paint("  banner", "› hello", "", "• Hi.")
        on.words("Hi.")
        on.line("completed")
        await asyncio.sleep(1)
        assert on.told()[-2:] == ["• Hi.", "idle"]
        assert on.because == "rollout: turn 1 completed"

    run_virtual(script())


def test_the_end_waits_for_the_words_that_are_still_being_painted() -> None:
    async def script() -> None:
        on = await stage()
        on.submit("hello")
        on.line("started")
        on.paint("  banner", "› hello", "", "• Hi")
        on.words("Hi there.")
        on.line("completed")
        await asyncio.sleep(PAINT_LIMIT - 2 * DRAIN)
        on.paint("  banner", "› hello", "", "• Hi there.")
        await asyncio.sleep(2 * DRAIN)
        assert on.told()[-2:] == ["• Hi there.", "idle"]

    run_virtual(script())


def test_the_end_waits_for_a_tui_that_has_not_seen_it() -> None:
    """0.107 on a busy machine: its record was whole 4 s before its last frame."""

    async def script() -> None:
        on = await stage()
        on.submit("hello")
        on.line("started")
        on.paint("  banner", "› hello", "", "• Working (3s • esc to interrupt)")
        on.words("Hi there.")
        on.line("completed")
        await asyncio.sleep(STALL_LIMIT - 1)
        assert on.phases()[-1] == "working"
        on.paint("  banner", "› hello", "", "• Hi there.")
        await asyncio.sleep(2 * DRAIN)
        assert on.told()[-2:] == ["• Hi there.", "idle"]

    run_virtual(script())


def test_but_not_for_ever() -> None:
    """An answer may end with the words of a working line."""

    async def script() -> None:
        on = await stage()
        on.submit("hello")
        on.line("started")
        on.paint("  banner", "› hello", "", "• Working (3s • esc to interrupt)")
        on.line("completed")
        await asyncio.sleep(STALL_LIMIT + 1)
        assert on.phases()[-1] == "idle"

    run_virtual(script())


def test_words_that_are_drawn_otherwise_are_not_waited_for_long() -> None:
    async def script() -> None:
        on = await stage()
        on.submit("hello")
        on.line("started")
        on.paint("  banner", "› hello", "", "• a link")
        on.words("a [link](https://example.com/)")
        on.line("completed")
        await asyncio.sleep(PAINT_LIMIT - DRAIN)
        assert on.phases()[-1] == "working"
        await asyncio.sleep(3 * DRAIN)
        assert on.phases()[-1] == "idle"

    run_virtual(script())


def test_nor_at_all_where_the_tui_says_itself_that_the_turn_is_over() -> None:
    async def script() -> None:
        on = await stage()
        on.driver.feed(TITLE_AT_REST)
        on.submit("hello")
        on.driver.feed(TITLE_AT_WORK)
        on.line("started")
        on.paint("  banner", "› hello", "", "• a link")
        on.words("a [link](https://example.com/)")
        on.line("completed")
        on.driver.feed(TITLE_AT_REST)
        await asyncio.sleep(DRAIN + 0.1)
        assert on.phases()[-1] == "idle"

    run_virtual(script())


def test_a_turn_that_goes_on_in_silence_is_not_ended_by_the_quiet() -> None:
    """0.107 paints nothing while a paragraph streams, and has no title."""

    async def script() -> None:
        on = await stage()
        await on.first_turn()
        on.submit("two")
        on.line("started")
        on.paint("  banner", "› one", "", "• First.", "", "› two", "", "• Sec")
        await asyncio.sleep(10 * QUIET)
        assert on.phases()[-1] == "working"
        on.words("Sec")
        on.line("completed")
        await asyncio.sleep(1)
        assert on.phases()[-1] == "idle"

    run_virtual(script())


def test_an_end_that_is_never_written_does_not_keep_the_turn_open() -> None:
    """A full disk: the title says that it is over, and nothing moves any more."""

    async def script() -> None:
        on = await stage()
        await on.first_turn()
        on.submit("two")
        on.driver.feed(TITLE_AT_WORK)
        on.line("started")
        on.paint("  banner", "› one", "", "• First.", "", "› two", "", "• Second.")
        on.driver.feed(TITLE_AT_REST)
        await asyncio.sleep(QUIET - 1)
        assert on.phases()[-1] == "working"
        assert on.because == "rollout: turn 2 started"
        await asyncio.sleep(2)
        assert on.phases()[-1] == "idle"
        assert on.because == "title: idle"
        assert [s.counts for s in on.driver.evidence() if s.source == "rollout"] == [False]
        on.submit("three")
        on.driver.feed(TITLE_AT_WORK)
        on.line("started")
        on.line("completed")
        await asyncio.sleep(1)
        assert on.because == "rollout: turn 3 completed"

    run_virtual(script())


def test_a_disagreement_with_the_title_is_logged_once_with_both(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def script() -> None:
        on = await stage()
        await on.first_turn()
        on.submit("two")
        on.line("started")
        on.driver.feed(TITLE_AT_WORK + TITLE_AT_REST)
        await asyncio.sleep(2 * DISAGREEMENT)
        on.line("completed")

    run_virtual(script())
    assert [record.getMessage() for record in caplog.records] == [
        "sources disagree: rollout: turn 2 started says working, title: idle says idle;"
        " the first one counts"
    ]


def test_the_evidence_shows_the_record_and_its_age() -> None:
    async def script() -> None:
        on = await stage()
        on.submit("one")
        on.line("started")
        await asyncio.sleep(2)
        evidence = on.driver.evidence()[0]
        assert (evidence.source, evidence.phase.value, evidence.detail) == (
            *("rollout", "working"),
            "turn 1 started",
        )
        assert evidence.age == pytest.approx(2)
        assert not evidence.counts  # nobody knows yet whether this version writes ends

    run_virtual(script())


def test_another_rollout_resets_the_evidence() -> None:
    async def script() -> None:
        on = await stage()
        await on.first_turn()
        assert isinstance(on.driver, AcceptsRecord)
        on.driver.recorded((), anew=True)
        assert on.phases()[-1] == "idle"
        assert [evidence.counts for evidence in on.driver.evidence()] == [False]

    run_virtual(script())
