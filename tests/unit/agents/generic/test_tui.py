"""The driver's clockwork, in virtual time: which frames are shown, when texts and phases go out."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from agentapi.agents.codex.screen.profile import CODEX
from agentapi.agents.generic.console import SYNC_LIMIT
from agentapi.agents.generic.reporter import DRAIN, DRAIN_CAP, READ_INTERVAL
from agentapi.conversation.shape_screen import BLANK_QUIET
from agentapi.model.conversation import Phase
from agentapi.model.errors import Busy
from agentapi.model.events import ScreenChanged
from agentapi.terminal import ExitStatus, LineMode
from tests.support.stage import BEGIN, BRACKETED, DONE, END, IDLE, WORKING, Detached, Stage, play

TITLE_AT_WORK, TITLE_AT_REST = b"\x1b]0;\xe2\xa0\x8b dir\x07", b"\x1b]0;dir\x07"


def test_a_half_drawn_frame_is_not_shown() -> None:
    async def script(stage: Stage) -> None:
        stage.driver.feed(BEGIN + b"half")
        await asyncio.sleep(SYNC_LIMIT / 2)
        assert stage.driver.screen() == ""
        stage.driver.feed(b" whole" + END)
        assert stage.driver.screen() == "half whole"

    play(script)


def test_a_frame_that_never_ends_is_shown_after_the_limit() -> None:
    async def script(stage: Stage) -> None:
        stage.driver.feed(BEGIN + b"half")
        await asyncio.sleep(SYNC_LIMIT + 0.1)
        assert stage.driver.screen() == "half"

    play(script)


@pytest.mark.parametrize(
    ("started", "pause", "work"),
    [(0.9, 0.01, 0.001), (1.4, 0.37, 0.03), (2.4, 0.08, 0.43), (2.6, 0.68, 0.12)],
)
def test_an_agent_that_works_once_more_after_its_first_paint_is_not_said_to_wait(
    started: float, pause: float, work: float
) -> None:
    """The times of Codex 0.169 on an idle machine, and on busier ones: it is ready for the least
    time once it has flickered."""
    took = 0.0

    async def script(stage: Stage) -> None:
        nonlocal took
        stage.driver.feed(BRACKETED)
        await asyncio.sleep(started)
        stage.paint("  banner")
        stage.driver.feed(TITLE_AT_REST + IDLE)
        await asyncio.sleep(pause)
        stage.driver.feed(TITLE_AT_WORK + WORKING)
        await asyncio.sleep(work)
        stage.driver.feed(TITLE_AT_REST + IDLE)
        since = asyncio.get_running_loop().time()
        await stage.driver.until(lambda: stage.driver.phase is Phase.IDLE, 5)
        took = asyncio.get_running_loop().time() - since
        await asyncio.sleep(1)

    phases = play(script).phases()
    assert phases.index("idle") == len(phases) - 1, phases
    assert took == pytest.approx(CODEX.settle, abs=0.01)


@pytest.mark.parametrize(
    ("started", "least", "most"), [(0.2, 0.15, 0.2), (1, 0.5, 0.6), (9, 1, 1.1)]
)
def test_one_that_has_not_blinked_is_waited_for_longer(
    started: float, least: float, most: float
) -> None:
    async def script(stage: Stage) -> None:
        stage.driver.feed(BRACKETED)
        await asyncio.sleep(started)
        stage.paint("  banner")
        stage.driver.feed(TITLE_AT_REST)
        await asyncio.sleep(least - 0.01)
        assert "idle" not in stage.phases()
        await asyncio.sleep(most - least + 0.01)
        assert stage.phases()[-1] == "idle"

    play(script)


def test_without_synchronized_output_a_pause_ends_a_frame() -> None:
    async def script(stage: Stage) -> None:
        for letter in b"abc":
            stage.driver.feed(bytes([letter]))
            await asyncio.sleep(0.001)
        assert stage.driver.screen() == ""
        await asyncio.sleep(0.01)
        assert stage.driver.screen() == "abc"

    stage = play(script, "custom")
    assert sum(isinstance(event, ScreenChanged) for _, event in stage.events) == 1


def test_the_users_words_come_before_the_answer_and_the_answer_before_the_end() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.submit("hi")
        stage.driver.feed(WORKING)
        stage.paint("› hi", "", "• Hello")
        stage.driver.feed(DONE)
        stage.paint("› hi", "", "• Hello you", "", "\x1b[2m  Worked for <1s\x1b[22m")
        await asyncio.sleep(1)

    stage = play(script)
    assert stage.told()[-4:] == ["hi", "working", "• Hello you", "idle"]


def test_a_turn_that_begins_before_the_end_of_the_last_one_is_painted() -> None:
    """What somebody typed ahead: Codex sends it as soon as it is idle."""

    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.submit("one")
        stage.driver.feed(WORKING)
        stage.paint("› one", "", "• First")
        first = ("› one", "", "• First", "", "\x1b[2m  Worked for <1s\x1b[22m", "", "")
        stage.paint(*first, "› two")
        stage.driver.feed(DONE + WORKING)
        stage.paint(*first, "› two", "", "• Second")
        await asyncio.sleep(READ_INTERVAL * 2)
        stage.driver.feed(DONE)
        await asyncio.sleep(1)

    stage = play(script)
    assert stage.told()[-8:] == [
        *("one", "working", "• First", "idle"),
        *("working", "two", "• Second", "idle"),
    ]


def test_a_title_that_blinks_before_the_first_words_ends_nothing() -> None:
    """Codex 0.169 sets it anew when the thread gets its name."""

    at_work, at_rest = b"\x1b]0;\xe2\xa0\x8b dir\x07", b"\x1b]0;dir\x07"

    async def script(stage: Stage) -> None:
        stage.driver.feed(BRACKETED + at_rest)
        stage.paint("  banner")
        await asyncio.sleep(1)
        stage.submit("hi")
        stage.driver.feed(at_work)
        stage.driver.feed(at_rest)
        stage.driver.feed(at_work)
        stage.paint("  banner", "› hi", "", "• Hello")
        stage.driver.feed(at_rest)
        await asyncio.sleep(1)

    assert play(script).told()[-4:] == ["hi", "working", "• Hello", "idle"]


def test_an_end_that_is_not_painted_is_told_after_a_pause() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.submit("hi")
        stage.driver.feed(WORKING)
        stage.paint("› hi", "", "• Hello")
        stage.driver.feed(DONE)
        await asyncio.sleep(DRAIN / 2)
        assert stage.phases()[-1] == "working"
        await asyncio.sleep(DRAIN)
        assert stage.phases()[-1] == "idle"

    play(script)


def test_a_message_before_the_end_of_the_last_turn_is_told_is_refused() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.submit("hi")
        stage.driver.feed(WORKING)
        with pytest.raises(Busy):
            await stage.driver.send("in the middle")
        stage.paint("› hi", "", "• Hello")
        stage.driver.feed(DONE)
        assert stage.driver.phase is Phase.IDLE
        with pytest.raises(Busy):
            await stage.driver.send("while its end is painted")

    assert play(script).driver.written == []


def test_an_end_without_words_is_waited_for_but_not_for_ever() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.submit("hi")
        stage.driver.feed(WORKING)
        stage.paint("› hi")
        stage.driver.feed(DONE)
        await asyncio.sleep(DRAIN_CAP - DRAIN)
        assert stage.phases()[-1] == "working"
        await asyncio.sleep(2 * DRAIN)
        assert stage.phases()[-1] == "idle"

    play(script)


def test_what_is_painted_late_lengthens_a_message_whose_end_was_not_seen() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.submit("hi")
        stage.driver.feed(WORKING)
        stage.paint("› hi", "", "• Hello")
        stage.driver.feed(DONE)
        await asyncio.sleep(2 * DRAIN)
        assert stage.phases()[-1] == "idle"
        stage.paint("› hi", "", "• Hello", "  and more")
        await asyncio.sleep(READ_INTERVAL)
        stage.paint("› hi", "", "• Another", "  page")
        await asyncio.sleep(DRAIN_CAP)
        stage.paint("› hi", "", "• Hello", "  and more", "  and too late")
        await asyncio.sleep(1)

    assert play(script).said()[-1] == "• Hello\n  and more"


def test_a_flood_of_frames_is_read_forty_times_a_second() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.submit("hi")
        stage.driver.feed(WORKING)
        for count in range(1000):
            stage.paint("› hi", "", f"• {count}")
            await asyncio.sleep(0.001)
        await asyncio.sleep(READ_INTERVAL)

    stage = play(script)
    said = [text for text in stage.said() if text.startswith("• ")]
    assert 35 <= len(said) <= 45
    assert said[-1] == "• 999"


def test_an_answer_without_words_is_an_empty_message() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.submit("hi")
        stage.driver.feed(WORKING)
        stage.paint("› hi")
        stage.driver.feed(DONE)
        await asyncio.sleep(DRAIN_CAP + 1)

    assert play(script).said()[-1] == ""


def test_codex_is_told_that_nobody_looks() -> None:
    """0.80 and 0.125 announce the end of a turn only to a terminal without focus."""

    async def script(stage: Stage) -> None:
        stage.driver.feed(b"\x1b[?1004h")
        stage.driver.feed(b"more")

    assert play(script).driver.written == [b"\x1b[O"]


def test_a_quiet_program_is_ready() -> None:
    async def script(stage: Stage) -> None:
        stage.driver.feed(b"$ ")
        await asyncio.sleep(0.3)
        assert stage.phases()[-1:] != ["idle"]
        await asyncio.sleep(0.5)

    stage = play(script, "custom")
    assert stage.phases()[-1] == "idle"
    assert stage.driver.tracker.state.reason == "quiet: no output for 0.5 s"


def test_an_interrupt_returns_once_its_end_is_told() -> None:
    """What is sent right after it must not be refused because of a turn that is being painted."""

    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.submit("sleep")
        stage.driver.feed(WORKING)
        stage.paint("  banner", "› sleep", "", "• Waiting.")
        stopping = asyncio.create_task(stage.driver.interrupt())
        await asyncio.sleep(0.1)
        stage.driver.feed(IDLE)
        await stopping
        assert stage.phases()[-1] == "idle"

    play(script)


def test_a_background_command_does_not_delay_the_end_of_a_turn() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.submit("hi")
        stage.driver.feed(WORKING)
        background = "\x1b[2m  1 background terminal running · /ps\x1b[0m"
        stage.paint("› hi", "", "• Hello", "", "\x1b[2m  Worked for 1s\x1b[0m", "", background)
        stage.driver.feed(DONE)
        assert stage.phases()[-1] == "idle"

    play(script)


def test_a_turn_that_is_over_before_it_was_seen_is_told_as_one() -> None:
    """Codex 0.80 tells only the end, by a notification."""

    async def script(stage: Stage) -> None:
        stage.driver.feed(b"\x1b[?2004h")
        stage.paint("  banner")
        await asyncio.sleep(1)
        stage.submit("hi")
        stage.driver.feed(b"\x1b]9;Hello\x07")
        stage.paint("› hi", "", "• Hello")
        await asyncio.sleep(DRAIN_CAP + 1)

    told = play(script).told()
    assert told[told.index("hi") :] == ["hi", "working", "• Hello", "idle"]


def test_an_interrupt_that_comes_too_early_is_tried_once_more() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.submit("hi")
        stage.driver.feed(WORKING)
        stage.paint("› hi", "")
        await stage.driver.interrupt()

    assert play(script).driver.written.count(b"\x1b") == 2


def test_nothing_happens_behind_the_end() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.submit("hi")
        stage.driver.feed(WORKING)
        stage.paint("› hi", "", "• Well.", "", "\x1b[2m  Worked for 1s\x1b[0m")
        stage.driver.feed(DONE + BEGIN)  # the end of the turn is told; and half a frame
        stage.console._on_exit(ExitStatus(0, None))
        told = len(stage.events)
        assert [handle for handle in due() if not handle.cancelled()] == []
        await asyncio.sleep(DRAIN_CAP * 2)
        assert stage.events[told:] == []

    def due() -> list[asyncio.TimerHandle]:
        """What the loop is to do later."""
        handles: list[asyncio.TimerHandle] = vars(asyncio.get_running_loop())["_scheduled"]
        return handles

    assert play(script).phases()[-2:] == ["idle", "exited"]


class Starting:
    """A process that is known to do something else than to read, up to a time."""

    def __init__(self, until: float) -> None:
        self._until = until

    def busy(self) -> bool:
        return asyncio.get_running_loop().time() < self._until


@pytest.mark.parametrize("banner", ["", "Loading...\r\n", "Starting up: "])
@pytest.mark.parametrize("told", [True, False])
def test_a_start_of_25_seconds_is_waited_for(
    banner: str, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel tells nothing of the program, only of one that paints nothing."""
    monkeypatch.setattr(Detached, "line_mode", LineMode(canonical=True, echo=True))

    async def script(stage: Stage) -> None:
        monkeypatch.setattr(stage.console, "_process", Starting(26.0 if told else 0.0))
        stage.driver.feed(banner.encode())
        await asyncio.sleep(25.1)
        assert stage.phases() == ([] if told or not banner else stage.phases()[:1])
        stage.driver.feed(b"Ready.\r\n> ")
        await asyncio.sleep(1)

    stage = play(script, "custom")
    assert stage.phases()[-1] == "idle"
    if told or not banner:
        assert stage.phases() == ["idle"]


def test_a_start_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Detached, "line_mode", LineMode(canonical=True, echo=True))

    async def script(stage: Stage) -> None:
        monkeypatch.setattr(stage.console, "_process", Starting(1000.0))
        stage.driver.feed(b"Loading...\r\n")
        await asyncio.sleep(BLANK_QUIET - 1)
        assert stage.phases() == []
        await asyncio.sleep(3)
        assert stage.phases() != []

    play(script, "custom")


def test_a_window_that_is_painted_anew_ends_no_turn() -> None:
    """opencode on a busy machine shows nothing but its input box for seconds, and before that
    nothing new."""

    async def script(stage: Stage) -> None:
        def paint(*lines: str) -> None:
            screen = "\r\n".join([*lines, *[""] * (17 - len(lines)), "> "])
            stage.driver.feed(f"{BEGIN.decode()}\x1b[H\x1b[2J{screen}{END.decode()}".encode())

        stage.driver.feed(b"\x1b[?1049h")
        greeting = [f"greeting {number}" for number in range(12)]
        paint(*greeting)
        await asyncio.sleep(2)
        stage.driver.tracker.prepare()
        stage.submit("hi")
        stage.driver.begin("the message left the input line")
        await asyncio.sleep(4)
        paint("greeting 0")
        await asyncio.sleep(4)
        paint(*greeting, "", "> hi", "", "Hello you")
        await asyncio.sleep(2)

    stage = play(script, "custom")
    told = [said for said, _ in itertools.groupby(stage.told())]
    assert told[1:] == ["idle", "hi", "working", "Hello you", "idle"]
