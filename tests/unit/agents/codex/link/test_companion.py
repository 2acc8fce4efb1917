"""A TUI with a link, in virtual time: when a turn's start and end are published, and what is done
by a call or by a key. The tests script the link."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from agentapi.agents.codex.link.companion import (
    BEGIN_LIMIT,
    END_LIMIT,
    OPEN_LIMIT,
    LinkCompanion,
)
from agentapi.agents.codex.link.events import DialogChanged, LinkEvent, LinkLost, PhaseReported
from agentapi.agents.codex.link.link import CodexLink
from agentapi.agents.codex.link.question import LinkQuestion, make_question
from agentapi.agents.codex.link.rpc import RpcError, RpcLost
from agentapi.agents.generic.reporter import DRAIN
from agentapi.agents.generic.stopper import INTERRUPT_LIMIT
from agentapi.agents.generic.typist import DIALOG_REST
from agentapi.conversation.completeness import PAINT_LIMIT, STALL_LIMIT
from agentapi.conversation.profile import AgentProfile
from agentapi.model.conversation import Phase
from agentapi.model.errors import Busy, DialogOpen, SendError
from agentapi.model.events import ItemChanged, SessionKnown, TurnChanged
from agentapi.model.items import AgentMessage, Entry, Turn, UserMessage
from tests.support.replay import run_virtual
from tests.support.stage import DONE, WORKING, Stage, StagedDriver

ACTIVE, AT_REST = PhaseReported(Phase.WORKING, "active"), PhaseReported(Phase.IDLE, "idle")
ASKED = make_question(
    7,
    [("Yes, proceed", {"decision": "accept"}), ("No", {"decision": "cancel"})],
    kind="command",
    title="Would you like to run the following command?",
    command="date",
)
QUESTION = replace(ASKED, dialog=replace(ASKED.dialog, id="dialog-1"))


class FixedLink:
    """A link with the outcomes that a test sets."""

    def __init__(self) -> None:
        self.thread: str | None = "thread"
        self.calls: list[str] = []
        self.outcome: Exception | None = None
        self.taken: asyncio.Event = asyncio.Event()
        """Whether Codex has answered `turn/start`."""
        self.taken.set()
        self.turn_known = True
        self.question: LinkQuestion | None = None

    async def send(self, text: str) -> str:
        """`turn/start`."""
        self.calls.append(text)
        await self.taken.wait()
        if self.outcome is not None:
            raise self.outcome
        return "t"

    async def interrupt(self) -> bool:
        """`turn/interrupt`."""
        self.calls.append("interrupt")
        if self.outcome is not None:
            raise self.outcome
        return self.turn_known

    def find_question(self, dialog_id: str) -> LinkQuestion | None:
        """The open question."""
        question = self.question
        return question if question is not None and question.dialog.id == dialog_id else None

    async def answer(self, question: LinkQuestion, choice: str) -> None:
        """Answer a request."""
        self.calls.append(f"answer {choice}")
        question.choose(choice)
        if self.outcome is not None:
            raise self.outcome


class LinkedStage(Stage):
    """A detached linked TUI and its link."""

    def __init__(self) -> None:
        self.link = FixedLink()
        self.lost: list[str] = []
        self.companion = LinkCompanion(cast(CodexLink, self.link), self.lost.append)
        super().__init__()

    def drive(self, profile: AgentProfile) -> StagedDriver:
        """The driver with its companion."""
        return StagedDriver(profile, self.console, companion=self.companion)

    def emit(self, *events: LinkEvent) -> None:
        """Handle events of the link."""
        for event in events:
            self.companion.handle(event)

    def record(self, turn: str) -> None:
        """Record the start of a turn, as the rollout does."""
        self.driver.recorded([Entry(0, 1, datetime.now(UTC), Turn("started"), key=turn)])

    async def started(self) -> None:
        """Become ready for a prompt, on the link, too."""
        self.emit(SessionKnown("thread"), AT_REST)
        await self.ready()

    async def working(self, text: str = "hi") -> None:
        """Start a turn with a message."""
        await self.started()
        sending = asyncio.create_task(self.driver.send(text))
        await asyncio.sleep(0)
        self.emit(ACTIVE, TurnChanged("t", "started"))
        await sending
        self.paint(f"› {text}", "", "• Working (0s • esc to interrupt)")

    def ends(self, *texts: str) -> None:
        """End the turn on the link, whatever the screen shows."""
        self.emit(ItemChanged("t", "u", UserMessage("hi"), partial=False))
        for number, text in enumerate(texts):
            self.emit(ItemChanged("t", str(number), AgentMessage(text), partial=False))
        self.emit(AT_REST, TurnChanged("t", "completed"))

    @property
    def phase(self) -> str:
        """The last published phase."""
        return self.phases()[-1]


def perform(script: Callable[[LinkedStage], Awaitable[None]]) -> LinkedStage:
    """Run a script in virtual time."""

    async def main() -> LinkedStage:
        stage = LinkedStage()
        await stage.start()
        await script(stage)
        return stage

    return run_virtual(main())


async def soon(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Begin it, and let it come to where it waits."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0.001)
    return task


def seconds() -> float:
    return asyncio.get_running_loop().time()


# -- sending -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begins",
    [
        lambda stage: stage.emit(ACTIVE),
        lambda stage: stage.emit(TurnChanged("t", "started")),
        lambda stage: stage.emit(PhaseReported(Phase.BLOCKED, "waitingOnApproval")),
        lambda stage: stage.driver.feed(WORKING),
        lambda stage: stage.record("t"),
        lambda stage: stage.emit(ACTIVE, AT_REST),
    ],
    ids=["active", "turn started", "blocked", "the TUI's own word", "the rollout", "over already"],
)
@pytest.mark.parametrize("answered_first", [True, False])
def test_a_message_is_sent_when_it_is_accepted_and_its_turn_started(
    begins: Callable[[LinkedStage], None], answered_first: bool
) -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.started()
        stage.link.taken.clear()
        sending = await soon(stage.driver.send("hi"))
        steps: list[Callable[[], None]] = [stage.link.taken.set, lambda: begins(stage)]
        first, second = steps if answered_first else reversed(steps)
        first()
        await asyncio.sleep(0.001)
        assert not sending.done()
        assert "hi" not in stage.told()
        second()
        await sending

    stage = perform(script)
    told = stage.told()
    assert told[told.index("hi") - 1] == "idle"
    assert told[told.index("hi") + 1] in ("working", "blocked")
    assert (stage.link.calls, stage.driver.written) == (["hi"], [])


def test_another_turn_of_the_rollout_is_ignored() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.started()
        sending = await soon(stage.driver.send("hi"))
        stage.record("another")
        await asyncio.sleep(0.01)
        assert not sending.done()
        stage.record("t")
        await sending

    assert perform(script).told()[-2:] == ["hi", "working"]


def test_a_message_that_codex_refuses_was_never_sent() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.started()
        stage.link.outcome = RpcError("turn/start", -1, "turn/start: not today")
        with pytest.raises(SendError, match="not today") as refused:
            await stage.driver.send("hi")
        assert refused.value.step == "begin"
        stage.link.outcome = None
        sending = await soon(stage.driver.send("again"))
        stage.emit(ACTIVE)
        await sending

    told = perform(script).told()
    assert "hi" not in told
    assert told[-2:] == ["again", "working"]


def test_another_clients_turn_is_published_when_ours_was_refused() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.started()
        stage.link.taken.clear()
        stage.link.outcome = RpcError("turn/start", -1, "busy")
        sending = await soon(stage.driver.send("hi"))
        stage.emit(ACTIVE)
        assert stage.phase == "idle"
        stage.link.taken.set()
        with pytest.raises(SendError):
            await sending

    assert perform(script).told()[-1] == "working"


@pytest.mark.parametrize("taken", [True, False])
def test_a_link_that_is_lost_on_the_way_fails_the_message(taken: bool) -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.started()
        if not taken:
            stage.link.taken.clear()
            stage.link.outcome = RpcLost("the app-server closed the connection")
        sending = await soon(stage.driver.send("hi"))
        stage.emit(LinkLost("the app-server closed the connection"))
        stage.link.taken.set()
        with pytest.raises(SendError, match="closed the connection"):
            await sending

    stage = perform(script)
    assert "hi" not in stage.told()
    assert stage.lost == ["the app-server closed the connection"]


def test_a_message_that_starts_no_turn_fails_after_the_limit() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.started()
        start = seconds()
        with pytest.raises(SendError, match="began no turn within 15 s"):
            await stage.driver.send("hi")
        assert seconds() - start == pytest.approx(BEGIN_LIMIT)

    assert "hi" not in perform(script).told()


def test_a_cancelled_message_is_withdrawn() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.started()
        stage.link.taken.clear()
        sending = await soon(stage.driver.send("hi"))
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        stage.emit(ACTIVE)

    assert perform(script).told()[-1] == "working"


def test_nothing_is_sent_in_a_turn_or_a_dialog() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.working()
        with pytest.raises(Busy):
            await stage.driver.send("more")
        stage.emit(
            PhaseReported(Phase.BLOCKED, "waitingOnApproval"), DialogChanged(QUESTION.dialog)
        )
        with pytest.raises(DialogOpen):
            await stage.driver.send("1")

    assert perform(script).link.calls == ["hi"]


def test_without_a_session_on_the_link_the_message_is_typed() -> None:
    async def script(stage: LinkedStage) -> None:
        stage.link.thread = None
        await stage.ready()
        assert stage.driver.phase is Phase.STARTING  # a moment more, and the link may have it
        await asyncio.sleep(OPEN_LIMIT)
        sending = await soon(stage.driver.send("hi"))
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    stage = perform(script)
    assert stage.link.calls == []
    assert b"\x1b[200~hi\x1b[201~" in stage.driver.written


# -- the end of a turn ---------------------------------------------------------------------------


def test_a_turn_ends_as_soon_as_the_screen_shows_every_word() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.working()
        stage.ends("All is **well**.\n\nReally.")
        await asyncio.sleep(DRAIN + PAINT_LIMIT)
        stage.paint("› hi", "", "• All is well.", "", "• Working (3s • esc to interrupt)")
        assert stage.phase == "working"
        stage.paint("› hi", "", "• All is well.", "", "  Really.")
        assert stage.phase == "idle"

    assert perform(script).said()[-1] == "• All is well.\n\n  Really."


def test_a_turn_does_not_end_while_the_tui_shows_work() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.working()
        stage.driver.feed(WORKING)
        stage.ends("Well.")
        stage.paint("› hi", "", "• Well.")
        assert stage.phase == "working"
        stage.driver.feed(DONE)
        assert stage.phase == "idle"

    perform(script)


def test_the_mark_of_the_end_is_enough() -> None:
    """For lines that the terminal draws differently."""

    async def script(stage: LinkedStage) -> None:
        await stage.working()
        stage.ends("[ref]: https://x.y 'a title'")
        stage.paint("› hi", "", "• ref", "", "\x1b[2m  Worked for <1s\x1b[22m")
        assert stage.phase == "idle"

    perform(script)


@pytest.mark.parametrize(
    ("said", "lines", "limit"),
    [
        ("one\n\n[x](y) two\n\nthree", ("• one", "", "  x two", "", "  three"), END_LIMIT),
        ("one\n\ntwo", ("• one",), PAINT_LIMIT),
        ("one", ("• Working (3s • esc to interrupt)",), STALL_LIMIT),
    ],
    ids=["a line is drawn differently", "the end is missing", "the TUI has stopped"],
)
def test_waiting_for_missing_text_times_out(
    said: str, lines: tuple[str, ...], limit: float
) -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.working()
        stage.ends(said)
        stage.paint("› hi", "", *lines)
        await asyncio.sleep(limit - 0.01)
        assert stage.phase == "working"
        await asyncio.sleep(DRAIN + 0.02)
        assert stage.phase == "idle"

    perform(script)


def test_a_slow_screen_is_waited_for_while_it_paints() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.working()
        lines = [f"line {number}" for number in range(12)]
        stage.ends("\n".join(lines))
        for count in range(1, len(lines)):
            stage.paint("› hi", "", *lines[:count])
            await asyncio.sleep(PAINT_LIMIT * 0.9)
            assert stage.phase == "working"
        stage.paint("› hi", "", *lines)
        assert stage.phase == "idle"

    perform(script)


def test_a_question_is_published_when_the_screen_shows_it_too() -> None:
    """Otherwise a key would go to the composer."""

    async def script(stage: LinkedStage) -> None:
        await stage.working()
        stage.emit(ItemChanged("t", "m", AgentMessage("I will look."), partial=False))
        stage.paint("› hi", "", "• I will look.")
        stage.emit(
            DialogChanged(QUESTION.dialog), PhaseReported(Phase.BLOCKED, "waitingOnApproval")
        )
        assert stage.phase == "working"
        stage.paint("› hi", "", "• I will look.", "", *SHOWN, composer=None)
        assert stage.phase == "blocked"

    perform(script)


def test_a_question_that_the_screen_shows_first_keeps_its_id() -> None:
    """On a busy machine the link reports it later; it is still answered by a call."""

    async def script(stage: LinkedStage) -> None:
        await stage.working()
        stage.paint("› hi", "", *SHOWN, composer=None)
        assert stage.phase == "blocked"
        first = stage.driver.tracker.state.dialog
        assert first is not None
        for _ in range(2):  # the link may tell it again
            stage.emit(
                PhaseReported(Phase.BLOCKED, "waitingOnApproval"), DialogChanged(QUESTION.dialog)
            )
            told = stage.driver.tracker.state.dialog
            assert told is not None
            assert (told.id, told.command) == (first.id, QUESTION.dialog.command)
        stage.link.question = QUESTION
        answering = await soon(stage.driver.answer(first.id, "1"))
        stage.link.question = None
        stage.emit(DialogChanged(None), PhaseReported(Phase.WORKING, "active"))
        await answering
        again = replace(QUESTION.dialog, id="dialog-2")
        stage.emit(DialogChanged(again))
        assert stage.driver.tracker.state.dialog is not None
        assert stage.driver.tracker.state.dialog.id == "dialog-2"

    assert perform(script).link.calls == ["hi", "answer 1"]


def test_a_key_is_pressed_although_the_link_updates_the_question_meanwhile() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.working()
        stage.paint("› hi", "", *SHOWN, composer=None)
        first = stage.driver.tracker.state.dialog
        assert first is not None
        answering = await soon(stage.driver.answer(first.id, "1"))
        stage.emit(DialogChanged(replace(QUESTION.dialog, reason="To know the day.")))
        await asyncio.sleep(DIALOG_REST)
        stage.emit(DialogChanged(None), PhaseReported(Phase.WORKING, "active"))
        await answering

    assert b"y" in perform(script).driver.written


SHOWN = (
    "  Would you like to run the following command?",
    "",
    "  $ date",
    "",
    "› 1. Yes, proceed (y)",
    "  2. No (esc)",
    "",
    "  Press enter to confirm or esc to cancel",
)


# -- interrupt and answer ------------------------------------------------------------------------


def test_an_interrupt_is_a_call_and_sees_the_turn_end() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.working()
        stopping = await soon(stage.driver.interrupt())
        assert not stopping.done()
        stage.emit(AT_REST)
        stage.paint("› hi", "", "■ Conversation interrupted - tell the model what to do")
        await stopping
        await stage.driver.interrupt()

    stage = perform(script)
    assert stage.link.calls == ["hi", "interrupt"]
    assert b"\x1b" not in stage.driver.written


def test_a_turn_that_the_link_does_not_know_is_interrupted_by_the_key() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.working()
        stage.link.turn_known = False
        await stage.driver.interrupt()

    assert perform(script).driver.written[-1] == b"\x1b"


def test_an_interrupt_that_does_not_help_ends_after_its_limit() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.working()
        start = seconds()
        await stage.driver.interrupt()
        assert INTERRUPT_LIMIT <= seconds() - start < INTERRUPT_LIMIT * 2

    stage = perform(script)
    assert stage.phase == "working"
    assert stage.link.calls == ["hi", "interrupt", "interrupt"]  # Codex may not heed the first


def test_an_interrupt_on_a_lost_link_fails() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.working()
        stage.link.outcome = RpcLost("gone")
        with pytest.raises(SendError, match="gone"):
            await stage.driver.interrupt()

    perform(script)


def test_a_question_of_the_link_is_answered_by_a_call() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.working()
        stage.link.question = QUESTION
        stage.emit(DialogChanged(QUESTION.dialog))
        stage.paint("› hi", "", *SHOWN, composer=None)
        answering = await soon(stage.driver.answer(QUESTION.dialog.id, "1"))
        assert not answering.done()
        stage.link.question = None
        stage.emit(DialogChanged(None))
        await answering

    stage = perform(script)
    assert stage.link.calls == ["hi", "answer 1"]
    assert b"y" not in stage.driver.written


def test_a_choice_that_the_question_does_not_have_answers_nothing() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.working()
        stage.link.question = QUESTION
        with pytest.raises(LookupError, match="'1' \\(Yes, proceed\\)"):
            await stage.driver.answer(QUESTION.dialog.id, "9")

    perform(script)


def test_a_question_that_stays_open_fails_its_answer() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.working()
        stage.link.question = QUESTION
        with pytest.raises(SendError, match="still open"):
            await stage.driver.answer(QUESTION.dialog.id, "1")
        stage.link.outcome = RpcLost("gone")
        with pytest.raises(SendError, match="gone"):
            await stage.driver.answer(QUESTION.dialog.id, "1")

    perform(script)


def test_a_dialog_of_the_screen_alone_is_answered_by_its_key() -> None:
    async def script(stage: LinkedStage) -> None:
        await stage.working()
        stage.paint("› hi", "", *SHOWN, composer=None)
        stage.driver.answer_to = lambda data: stage.paint("› hi", "", "• Ran date")
        dialog = stage.driver.tracker.state.dialog
        assert dialog is not None
        await stage.driver.answer(dialog.id, "1")

    stage = perform(script)
    assert stage.driver.written[-1] == b"y"
    assert stage.link.calls == ["hi"]
