"""The session: ids, order of sends, the initial prompt, saving before publishing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.model.conversation import (
    Choice,
    Dialog,
    Level,
    Message,
    Notice,
    Phase,
    Role,
    Status,
)
from agentapi.model.errors import Busy, DialogOpen, SendError
from agentapi.model.events import ConversationReset, NoticeRaised, QuestionRendered, UserText
from agentapi.model.items import Entry, Item, ItemSource, ToolCall, Turn, UserMessage
from agentapi.session.events import Subscription
from agentapi.session.history import NOTICES_KEPT
from agentapi.session.info import session_info
from agentapi.session.outbox import EmptyMessage
from agentapi.session.session import AgentSession
from agentapi.storage.state import NullStore, RestoredState, SavedState
from tests.support.fixed_driver import FixedDriver
from tests.support.live import settle

START = datetime(2026, 1, 2, tzinfo=UTC)
DIALOG = Dialog(
    "d1", "command", "Run this?", "it wants the network", "ls", "", (Choice("y", "Yes", "1"),)
)


class Keeper:
    """A store that keeps every saved state."""

    def __init__(self) -> None:
        self.states: list[SavedState] = []
        self.on_save: Callable[[], None] = lambda: None

    def set_aside(self) -> Path | None:
        return None

    def save(self, state: SavedState) -> None:
        self.states.append(state)
        self.on_save()


@asynccontextmanager
async def running(
    *, transport: str = "pty", idle: bool = True, **arguments: Any
) -> AsyncIterator[tuple[AgentSession, FixedDriver]]:
    driver = FixedDriver(transport)
    session = AgentSession(driver, agent_type="codex", **arguments)
    await session.start()
    if idle:
        driver.idle()
    yield session, driver
    await session.stop()


def history(*contents: str, sent: str = "", was_sent: bool = True) -> RestoredState:
    roles = (Role.AGENT, Role.USER)
    messages = [Message(n, roles[n % 2], text, START) for n, text in enumerate(contents)]
    return RestoredState(tuple(messages), sent, was_sent)


async def told(subscription: Subscription) -> list[tuple[str, Any]]:
    """Return the name and data of all events so far."""
    if not subscription._queue and not subscription._snapshot:
        return []
    data = await subscription.take(at_most=10**9)
    frames = [frame.split(b"\n") for frame in data.split(b"\n\n") if frame]
    return [(head[7:].decode(), json.loads(body[6:])) for head, body in frames]


def contents(session: AgentSession) -> list[tuple[int, str, str]]:
    return [(message.id, message.role.value, message.content) for message in session.messages]


# -- messages ------------------------------------------------------------------------------------


async def test_message_0_is_the_start_up_screen_and_is_there_from_the_beginning() -> None:
    session = AgentSession(FixedDriver(), agent_type="codex")
    assert contents(session) == [(0, "agent", "")]
    assert session.status is Status.RUNNING


async def test_over_acp_there_is_no_start_up_message() -> None:
    async with running(transport="acp") as (session, driver):
        assert contents(session) == []
        await session.send("hi")
        driver.turn("hello")
        assert contents(session) == [(0, "user", "hi"), (1, "agent", "hello")]


async def test_one_exchange_makes_three_messages() -> None:
    async with running() as (session, driver):
        driver.say("banner")
        await session.send("hi")
        driver.say("hel")
        driver.turn("hello")
        assert contents(session) == [
            (0, "agent", "banner"),
            (1, "user", "hi"),
            (2, "agent", "hello"),
        ]
        assert session.turn == 1


async def test_the_same_answer_twice_is_two_messages() -> None:
    async with running() as (session, driver):
        for _ in range(2):
            await session.send("hi")
            driver.turn("hello")
        assert [content for _, _, content in contents(session)] == [
            "",
            "hi",
            "hello",
            "hi",
            "hello",
        ]


async def test_what_is_typed_at_the_terminal_is_a_user_message_too() -> None:
    async with running() as (session, driver):
        driver.emit(UserText("typed"))
        assert contents(session)[-1] == (1, "user", "typed")


async def test_an_answer_without_words_is_an_empty_message() -> None:
    """One exchange has three messages, whatever the agent's text."""
    async with running() as (session, driver):
        await session.send("hi")
        driver.say("")
        assert [message.content for message in session.messages[1:]] == ["hi", ""]


@given(st.lists(st.sampled_from(["user", "agent", "more", "empty", "idle"]), max_size=30))
def test_ids_are_contiguous_whatever_happens(steps: list[str]) -> None:
    async def play() -> None:
        async with running(store=NullStore()) as (session, driver):
            for number, step in enumerate(steps):
                if step == "user":
                    driver.emit(UserText(f"u{number}"))
                elif step == "idle":
                    driver.idle()
                else:
                    driver.say("" if step == "empty" else f"{step} {number}")
            assert [message.id for message in session.messages] == list(
                range(len(session.messages))
            )

    asyncio.run(play())


# -- restored history ----------------------------------------------------------------------------


async def test_restored_messages_keep_their_ids_and_new_ones_go_on() -> None:
    async with running(history=history("banner", "old question", "old answer")) as (
        session,
        driver,
    ):
        driver.say("banner\nold question\nold answer")  # the resumed agent paints it all again
        assert [content for _, _, content in contents(session)][-1] == "old answer"
        await session.send("new")
        driver.turn("newer")
        assert contents(session)[3:] == [(3, "user", "new"), (4, "agent", "newer")]
        assert session_info(session)["resumed"] is True
        assert session.turn == 2


async def test_warnings_of_the_restore_reach_the_clients() -> None:
    restored = RestoredState(warnings=("the state file is broken",))
    async with running(history=restored) as (session, _):
        assert [notice.message for notice in session.notices] == ["the state file is broken"]
        assert session_info(session)["resumed"] is False


# -- the status ----------------------------------------------------------------------------------


async def test_a_turn_is_one_running_and_one_stable() -> None:
    async with running() as (session, driver):
        subscription = session.subscribe()
        await told(subscription)
        await session.send("hi")
        driver.phase(Phase.WORKING, "still")
        driver.turn("done")
        driver.idle()
        statuses = [data["status"] for name, data in await told(subscription) if "status" in data]
        assert statuses == ["running", "stable"]


@pytest.mark.parametrize(
    ("phase", "status"),
    [
        (Phase.STARTING, Status.RUNNING),
        (Phase.IDLE, Status.STABLE),
        (Phase.WORKING, Status.RUNNING),
        (Phase.BLOCKED, Status.STABLE),
        (Phase.EXITED, Status.RUNNING),
    ],
)
async def test_the_status_of_each_phase(phase: Phase, status: Status) -> None:
    async with running(idle=False) as (session, driver):
        driver.phase(phase)
        assert session.status is status


async def test_the_last_text_goes_out_before_the_stable_that_ends_the_turn() -> None:
    async with running() as (session, driver):
        await session.send("hi")
        subscription = session.subscribe()
        await told(subscription)
        for length in range(1, 50):
            driver.say("x" * length)
        driver.idle()
        events = await told(subscription)
        assert [name for name, _ in events] == ["message_update", "status_change"]
        assert events[0][1]["message"] == "x" * 49


async def test_a_late_text_of_a_flood_still_goes_out() -> None:
    async with running() as (session, driver):
        await session.send("hi")
        driver.say("one")
        driver.say("two")
        subscription = session.subscribe()
        assert (await told(subscription))[-2][1]["message"] == "two"
        driver.say("three")
        driver.say("four")
        seen = []
        while "four" not in seen:
            data = await asyncio.wait_for(subscription.take(), 5)
            seen.append(json.loads(data.split(b"data: ")[-1])["message"])


async def test_the_phase_its_reason_and_its_age_are_reported() -> None:
    now = START
    async with running(clock=lambda: now) as (session, driver):
        now += timedelta(seconds=5)
        driver.phase(Phase.WORKING, "osc 7501: working")
        now += timedelta(seconds=5)
        driver.phase(Phase.WORKING, "spinner")
        info = session_info(session)
        assert (info["phase"], info["phase_reason"]) == ("working", "spinner")
        assert info["phase_since"] == START + timedelta(seconds=5)
        assert info["idle_seconds"] == 0
        driver.idle()
        now += timedelta(seconds=7)
        assert session_info(session)["idle_seconds"] == 7


# -- the open question ---------------------------------------------------------------------------

CHOICE = "Run this?\n\nit wants the network\n\n```\nls\n```\n\n1. Yes"
"""`DIALOG` as text."""
PAINTED = "  Run this?\n  $ ls\n› 1. Yes"


@pytest.mark.parametrize("transport", ["pty", "acp"])
async def test_the_agent_s_message_ends_with_the_open_question(transport: str) -> None:
    keeper = Keeper()
    async with running(transport=transport, store=keeper) as (session, driver):
        await session.send("hi")
        driver.say("I will look.")
        events = session.subscribe()
        await told(events)
        driver.phase(Phase.BLOCKED, dialog=DIALOG)
        number = len(session.messages) - 1
        assert contents(session)[-1] == (number, "agent", f"I will look.\n\n{CHOICE}")
        driver.phase(Phase.WORKING)
        assert contents(session)[-1] == (number, "agent", "I will look.")
        news = [
            data["message"] if "message" in data else data["status"]
            for _, data in await told(events)
        ]
        assert news in (
            [f"I will look.\n\n{CHOICE}", "stable", "I will look.", "running"],
            ["I will look.", "stable", "running"],  # for one who reads only now
        )
        assert session.messages[-1] == session._history.messages[-1]
    assert CHOICE not in str(keeper.states)


async def test_a_question_before_the_first_word_is_a_message_that_the_answer_goes_on_with() -> None:
    keeper = Keeper()
    async with running(store=keeper) as (session, driver):
        await session.send("hi")
        driver.phase(Phase.BLOCKED, dialog=DIALOG)
        assert contents(session)[1:] == [(1, "user", "hi"), (2, "agent", CHOICE)]
        assert [message.content for message in keeper.states[-1].messages] == ["", "hi", ""]
        driver.phase(Phase.WORKING)
        assert contents(session)[2:] == [(2, "agent", "")]
        driver.turn("done")
        assert contents(session)[2:] == [(2, "agent", "done")]


async def test_a_dialog_of_the_start_stands_in_message_0() -> None:
    async with running(idle=False) as (session, driver):
        driver.say("banner")
        driver.phase(Phase.BLOCKED, dialog=DIALOG)
        assert contents(session) == [(0, "agent", f"banner\n\n{CHOICE}")]


async def test_in_a_resumed_conversation_the_question_ends_the_last_message() -> None:
    async with running(history=history("banner", "old", "answer"), idle=False) as (
        session,
        driver,
    ):
        driver.say("banner\nold\nanswer")
        driver.phase(Phase.BLOCKED, dialog=DIALOG)
        assert contents(session)[-1] == (2, "agent", f"answer\n\n{CHOICE}")
        driver.idle()
        assert contents(session)[-1] == (2, "agent", "answer")


async def test_one_question_takes_the_place_of_another() -> None:
    async with running() as (session, driver):
        await session.send("hi")
        events = session.subscribe()
        await told(events)
        driver.phase(Phase.BLOCKED, dialog=DIALOG)
        await told(events)
        driver.phase(Phase.BLOCKED, dialog=replace(DIALOG, id="d2", command="pwd"))
        assert contents(session)[-1][2] == CHOICE.replace("ls", "pwd")
        await told(events)
        driver.phase(Phase.BLOCKED, dialog=replace(DIALOG, id="d3", command="pwd"))
        await asyncio.sleep(0.05)
        (news,) = await told(events)
        assert news[1]["message"] == CHOICE.replace("ls", "pwd"), "the same words, another question"


async def test_a_question_stays_after_later_user_messages() -> None:
    async with running() as (session, driver):
        await session.send("hi")
        driver.say("looking")
        driver.phase(Phase.BLOCKED, dialog=DIALOG)
        driver.emit(UserText("typed"))
        assert contents(session)[2:] == [
            (2, "agent", "looking"),
            (3, "user", "typed"),
            (4, "agent", CHOICE),
        ]


async def test_what_the_screen_shows_of_a_question_is_kept_to_where_it_is_whole() -> None:
    async with running() as (session, driver):
        await session.send("hi")
        driver.say("looking")
        driver.emit(QuestionRendered(PAINTED))
        assert contents(session)[-1][2] == "looking", "no dialog is known yet"
        driver.phase(Phase.BLOCKED, dialog=DIALOG)
        assert contents(session)[-1][2] == f"looking\n\n{PAINTED}"
        driver.emit(QuestionRendered(PAINTED.replace("› 1", "  1")))
        assert contents(session)[-1][2] == f"looking\n\n{PAINTED.replace('› 1', '  1')}"
        moved = contents(session)
        driver.emit(QuestionRendered(""))
        assert contents(session) == moved, "it is about to go"
        driver.emit(QuestionRendered(PAINTED))
        driver.phase(Phase.BLOCKED, dialog=replace(DIALOG, command="ls /"))
        assert contents(session)[-1][2].endswith(CHOICE.replace("ls", "ls /"))


PATCH = Dialog("d1", "patch", "Edit?", diff="1 +one …")
WHOLE = "*** Begin Patch\n*** Add File: x\n+one\n+two\n*** End Patch"


async def test_a_patch_is_as_it_is_recorded_whenever_that_comes() -> None:
    """A screen may show only a part of it. Text above that has the rest is not repeated."""
    async with running() as (session, driver):
        await session.send("hi")
        driver.say("I will edit.")
        driver.emit(QuestionRendered("  Edit?"))
        driver.phase(Phase.BLOCKED, dialog=PATCH)
        assert session.dialog == PATCH
        feed = session.transcript.open(ItemSource.ROLLOUT)
        call = ToolCall("apply_patch", status="running", command=WHOLE)
        items: list[Item] = [Turn("started"), UserMessage("hi"), call]
        feed.put(Entry(n, 1, START, item) for n, item in enumerate(items))
        assert session.dialog == replace(PATCH, diff=WHOLE)
        assert contents(session)[-1][2] == f"I will edit.\n\nEdit?\n\n```diff\n{WHOLE}\n```"
        driver.say("I will edit.\n\n• Added x\n  1 +one\n  2 +two")
        assert contents(session)[-1][2].endswith("  2 +two\n\n  Edit?")


async def test_an_answer_returns_once_nothing_is_blocked_by_the_dialog() -> None:
    """The agent may report the decision later than its driver."""
    async with running() as (session, driver):
        driver.phase(Phase.BLOCKED, dialog=DIALOG)
        driver.silent = True
        answering = asyncio.ensure_future(session.answer("d1", "y"))
        await settle()
        assert driver.answered == [("d1", "y")]
        driver.phase(Phase.BLOCKED, "nothing is known of it")
        await settle()
        assert not answering.done()
        driver.phase(Phase.BLOCKED, dialog=replace(DIALOG, id="d2"))
        await answering
        driver.phase(Phase.BLOCKED, dialog=DIALOG)
        answering = asyncio.ensure_future(session.answer("d1", "y"))
        await settle()
        driver.phase(Phase.WORKING)
        await answering


async def test_an_answered_dialog_that_stays_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentapi.session.question.ANSWER_LIMIT", 0.01)
    async with running() as (session, driver):
        driver.silent = True
        driver.phase(Phase.BLOCKED, dialog=DIALOG)
        with pytest.raises(SendError, match="still open"):
            await session.answer("d1", "y")


async def test_an_interrupted_question_is_waited_for_to_the_end_of_its_turn() -> None:
    """The agent may work for a moment after the question is gone."""
    async with running() as (session, driver):
        driver.phase(Phase.BLOCKED, dialog=DIALOG)
        driver.interrupted.clear()
        stopping = asyncio.ensure_future(session.interrupt())
        await settle()
        driver.phase(Phase.WORKING, "the question is decided")
        driver.deaf = True
        driver.interrupted.set()
        await settle()
        assert not stopping.done()
        driver.idle()
        await stopping


# -- sends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["", " \t\r\n\f\v"])
@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.WORKING])
async def test_a_blank_message_is_refused_as_empty_even_while_busy(
    content: str, phase: Phase
) -> None:
    async with running() as (session, driver):
        driver.phase(phase)
        with pytest.raises(EmptyMessage):
            await session.send(content)
        assert driver.sent == []


async def test_a_message_is_trimmed_and_otherwise_literal() -> None:
    async with running() as (session, driver):
        await session.send(" \n a\n  b \t\n")
        assert driver.sent == ["a\n  b"]


async def test_a_message_while_the_agent_works_is_refused() -> None:
    async with running() as (session, driver):
        driver.phase(Phase.WORKING)
        with pytest.raises(Busy):
            await session.send("hi")
        assert driver.sent == []


async def test_a_message_during_a_dialog_is_refused_with_its_text() -> None:
    async with running() as (session, driver):
        driver.phase(Phase.BLOCKED, "dialog", DIALOG)
        with pytest.raises(DialogOpen, match=r"(?s)Run this\?.*it wants the network.*ls.*Yes"):
            await session.send("yes")
        assert driver.sent == []


async def test_concurrent_messages_go_one_after_another() -> None:
    async with running() as (session, driver):
        driver.hold.clear()
        first = asyncio.ensure_future(session.send("first"))
        await driver.sending.wait()
        second = asyncio.ensure_future(session.send("second"))
        await settle()
        assert session.status is Status.STABLE  # and nobody waits to see it
        driver.hold.set()
        await first
        with pytest.raises(Busy):
            await second
        assert driver.sent == ["first"]


async def test_a_waiting_message_is_sent_when_the_agent_is_idle_again() -> None:
    async with running() as (session, driver):
        driver.hold.clear()
        driver.fail_next = SendError("echo", "it never showed")
        first = asyncio.ensure_future(session.send("first"))
        await driver.sending.wait()
        second = asyncio.ensure_future(session.send("second"))
        await settle()
        driver.hold.set()
        with pytest.raises(SendError, match="echo: it never showed"):
            await first
        await second
        assert driver.sent == ["second"]
        assert session.stats.send_failures == {"echo": 1}


async def test_a_caller_that_goes_away_leaves_the_queue() -> None:
    async with running() as (session, driver):
        driver.hold.clear()
        driver.fail_next = SendError("echo", "it never showed")
        first = asyncio.ensure_future(session.send("first"))
        await driver.sending.wait()
        second = asyncio.ensure_future(session.send("second"))
        await settle()
        second.cancel()
        driver.hold.set()
        await asyncio.gather(first, second, return_exceptions=True)
        await settle()
        assert driver.sent == []


async def test_a_caller_that_goes_away_leaves_no_half_typed_message() -> None:
    async with running() as (session, driver):
        driver.hold.clear()
        first = asyncio.ensure_future(session.send("first"))
        await driver.sending.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        driver.hold.set()
        await settle()
        assert driver.sent == ["first"]
        assert contents(session)[-1] == (1, "user", "first")


async def test_keystrokes_keep_their_order_in_any_phase() -> None:
    async with running(idle=False) as (session, driver):
        await asyncio.gather(*(session.type(key) for key in "hello"))
        assert driver.typed == list("hello")


# -- the initial prompt --------------------------------------------------------------------------


async def test_the_initial_prompt_goes_out_once_and_nothing_was_stable_before() -> None:
    async with running(idle=False, initial_prompt=" do it\n") as (session, driver):
        subscription = session.subscribe()
        driver.idle()
        driver.phase(Phase.STARTING)
        driver.idle()
        assert session.status is Status.RUNNING
        assert not session.ready
        await settle()
        driver.turn("did it")
        driver.idle()
        await settle()
        assert driver.sent == ["do it"]
        assert contents(session)[1:] == [(1, "user", "do it"), (2, "agent", "did it")]
        statuses = [data["status"] for name, data in await told(subscription) if "status" in data]
        assert statuses == ["running", "stable"]


async def test_a_message_before_the_initial_prompt_is_refused() -> None:
    async with running(idle=False, initial_prompt="do it") as (session, driver):
        driver.idle()
        with pytest.raises(Busy):
            await session.send("me first")
        await settle()
        assert driver.sent == ["do it"]


async def test_a_dialog_before_the_initial_prompt_is_stable() -> None:
    async with running(idle=False, initial_prompt="do it") as (session, driver):
        driver.phase(Phase.BLOCKED, "trust", DIALOG)
        assert session.status.value == "stable"
        with pytest.raises(DialogOpen, match="Yes"):
            await session.send("me first")
        driver.idle()
        assert session.status.value == "running"


async def test_a_dialog_that_opens_under_the_initial_prompt_only_delays_it() -> None:
    async with running(idle=False, initial_prompt="do it") as (session, driver):
        driver.hold.clear()
        driver.idle()
        await driver.sending.wait()
        driver.phase(Phase.BLOCKED, "trust", DIALOG)
        driver.hold.set()
        await settle()
        assert (driver.sent, session.status.value) == ([], "stable")
        driver.idle()
        await settle()
        assert driver.sent == ["do it"]


async def test_an_idle_phase_that_came_back_during_the_attempt_is_used() -> None:
    async with running(idle=False, initial_prompt="do it") as (session, driver):
        driver.hold.clear()
        driver.fail_next = Busy()
        driver.idle()
        await driver.sending.wait()
        driver.phase(Phase.WORKING)
        driver.idle()
        driver.hold.set()
        await settle()
        assert driver.sent == ["do it"]
        assert session.notices == ()


async def test_an_initial_prompt_that_did_not_arrive_is_reported_and_saved_as_unsent() -> None:
    keeper = Keeper()
    async with running(idle=False, initial_prompt="do it", store=keeper) as (session, driver):
        driver.fail_next = SendError("echo", "it never showed")
        driver.idle()
        await settle()
        assert session.status is Status.STABLE
        assert [(notice.level, notice.message) for notice in session.notices] == [
            (Level.ERROR, "the initial prompt could not be sent: echo: it never showed")
        ]
        driver.idle()
        await session.send("by hand")
        assert driver.sent == ["by hand"]
        assert (keeper.states[-1].initial_prompt, keeper.states[-1].initial_prompt_sent) == (
            "do it",
            False,
        )


async def test_an_error_while_sending_the_initial_prompt_is_reported() -> None:
    async with running(idle=False, initial_prompt="do it") as (session, driver):
        driver.fail_next = OSError("the terminal is gone")  # type: ignore[assignment]
        driver.idle()
        await settle()
        assert "the terminal is gone" in session.notices[0].message


@pytest.mark.parametrize(
    ("given_prompt", "kept", "was_sent", "expected"),
    [
        ("do it", "do it", True, []),
        ("do it", "do it", False, ["do it"]),
        ("another", "do it", True, ["another"]),
        (None, "do it", False, ["do it"]),
        (None, "do it", True, []),
        ("  ", "", False, []),
    ],
)
async def test_what_an_earlier_run_sent_is_not_sent_again(
    given_prompt: str | None, kept: str, was_sent: bool, expected: list[str]
) -> None:
    restored = history("banner", sent=kept, was_sent=was_sent)
    async with running(initial_prompt=given_prompt, history=restored) as (_, driver):
        await settle()
        assert driver.sent == expected


async def test_a_prompt_that_is_still_being_read_holds_the_status() -> None:
    coming: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    async with running(initial_prompt=coming) as (session, driver):
        await settle()
        assert session.status is Status.RUNNING
        coming.set_result("from standard input\n")
        await settle()
        assert driver.sent == ["from standard input"]


@pytest.mark.parametrize("text", [None, "", " \n"])
async def test_nothing_on_standard_input_is_no_prompt(text: str | None) -> None:
    coming: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    async with running(initial_prompt=coming) as (session, driver):
        coming.set_result(text)
        await settle()
        assert (driver.sent, session.status) == ([], Status.STABLE)


async def test_a_prompt_that_cannot_be_read_is_reported() -> None:
    coming: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    async with running(initial_prompt=coming) as (session, _):
        coming.set_exception(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"))
        await settle()
        assert "could not be read" in session.notices[0].message
        assert session.status is Status.STABLE


# -- what is kept --------------------------------------------------------------------------------


async def test_a_message_is_saved_before_it_is_published() -> None:
    keeper = Keeper()
    async with running(store=keeper) as (session, driver):
        subscription = session.subscribe()
        await told(subscription)
        unsaid: list[int] = []
        keeper.on_save = lambda: unsaid.append(len(subscription._queue))
        await session.send("hi")
        assert unsaid[0] == 0
        assert keeper.states[-1].messages[-1].content == "hi"
        driver.say("hello")
        assert keeper.states[-1].messages[-1].content == "hello"


async def test_the_initial_prompt_is_kept_as_sent_with_its_message() -> None:
    keeper = Keeper()
    async with running(initial_prompt="do it", store=keeper):
        await settle()
        first = next(state for state in keeper.states if len(state.messages) == 2)
        assert first.initial_prompt_sent


async def test_growth_is_kept_at_the_end_of_the_turn_at_the_latest() -> None:
    keeper = Keeper()
    async with running(store=keeper) as (session, driver):
        await session.send("hi")
        for length in range(1, 20):
            driver.say("x" * length)
        assert len(keeper.states) <= 4
        driver.idle()
        assert keeper.states[-1].messages[-1].content == "x" * 19


async def test_what_the_state_holds_besides_is_kept_as_it_was() -> None:
    keeper = Keeper()
    async with running(store=keeper, history=RestoredState(extra={"queue": [1]})) as (session, _):
        session.save()
        assert keeper.states[-1].extra == {"queue": [1]}


# -- notices, subscriptions, the end -------------------------------------------------------------


async def test_only_the_last_notices_are_kept() -> None:
    async with running() as (session, driver):
        for number in range(NOTICES_KEPT + 5):
            driver.emit(NoticeRaised(Level.WARNING, str(number)))
        kept: tuple[Notice, ...] = session.notices
        assert [notice.message for notice in kept] == [str(n) for n in range(5, NOTICES_KEPT + 5)]


async def test_a_subscription_begins_with_messages_status_and_notices() -> None:
    async with running() as (session, driver):
        driver.say("banner")
        driver.emit(NoticeRaised(Level.ERROR, "oh"))
        await session.send("hi")
        subscription = session.subscribe()
        assert [name for name, _ in await told(subscription)] == [
            "message_update",
            "message_update",
            "status_change",
            "agent_error",
        ]
        assert session_info(session)["clients"] == 1
        subscription.close()
        assert session_info(session)["clients"] == 0


async def test_a_replay_equals_what_was_seen_live() -> None:
    async with running() as (session, driver):
        live = session.subscribe()
        for word in ("one", "two"):
            await session.send(word)
            driver.turn(word.upper())
        seen: dict[int, Any] = {
            data["id"]: data for name, data in await told(live) if name == "message_update"
        }
        replay = await told(session.subscribe())
        assert [data for name, data in replay if name == "message_update"] == list(seen.values())


async def test_an_agent_that_ends_is_waited_for() -> None:
    async with running() as (session, driver):
        waiting = asyncio.ensure_future(session.wait())
        driver.end(3)
        ended = await waiting
        assert (ended.code, ended.failed) == (3, True)
        assert session.phase_state.phase is Phase.EXITED
        with pytest.raises(Busy):
            await session.send("hi")


async def test_a_program_that_cannot_be_started_is_an_error_of_start() -> None:
    driver = FixedDriver()
    driver.start_error = FileNotFoundError(2, "no such program", "codexx")
    session = AgentSession(driver, agent_type="codex")
    with pytest.raises(FileNotFoundError):
        await session.start()
    assert session.phase_state.phase is Phase.EXITED


async def test_stopping_ends_the_streams_and_keeps_the_state() -> None:
    keeper = Keeper()
    async with running(store=keeper) as (session, driver):
        subscription = session.subscribe()
        await told(subscription)
        await session.send("hi")
        driver.say("half an ans")
        driver.say("half an answer")
    assert keeper.states[-1].messages[-1].content == "half an answer"
    assert driver.stopped_with == [5.0]
    assert (await told(subscription))[-1][0] == "message_update"
    assert subscription.closed


async def test_the_screen_is_rendered_only_for_those_who_look() -> None:
    async with running() as (session, driver):
        driver.paint("one")
        looking = session.subscribe_screen()
        assert await told(looking) == [("screen", {"screen": "one"})]
        driver.paint("two  \n\n")
        assert await told(looking) == [("screen", {"screen": "two"})]
        driver.paint("two")
        driver.paint("three")
        data = await asyncio.wait_for(looking.take(), 5)
        assert b'"three"' in data


# -- another conversation ------------------------------------------------------------------------


class Shelf(Keeper):
    """A store that keeps what is set aside."""

    def __init__(self, error: OSError | None = None) -> None:
        super().__init__()
        self.error = error
        self.set_asides: list[list[str]] = []

    def set_aside(self) -> Path | None:
        if self.error is not None:
            raise self.error
        self.set_asides.append([m.content for m in self.states[-1].messages])
        return Path("/shelf/state.json.1")


@pytest.mark.parametrize("verbatim", [False, True])
async def test_a_conversation_that_cannot_go_on_is_set_aside(verbatim: bool) -> None:
    """Subscriptions end; a new one has only the new conversation."""
    shelf = Shelf()
    before = history("banner", "one", "first")
    options: dict[str, Any] = {"history": before, "store": shelf, "verbatim": verbatim}
    async with running(idle=False, **options) as (session, driver):
        session.enqueue("later")
        subscription = session.subscribe()
        await told(subscription)
        driver.emit(ConversationReset("it is refused"))
        (event,) = await told(subscription)
        assert event[0] == "agent_error"
        assert event[1]["message"] == (
            "it is refused: the conversation so far is kept in /shelf/state.json.1"
        )
        assert subscription.closed
        assert await subscription.take() == b""
        assert shelf.set_asides == [["banner", "one", "first"]]
        assert [m.content for m in shelf.states[-1].messages] == [""]
        assert session.transcript.items_after(0) == []
        assert (session.resumed, session.turn, session.queue.items) == (False, 0, ())
        driver.say("fresh banner")
        driver.idle()
        await session.send("two")
        driver.turn("second")
        assert [m.content for m in session.messages] == ["fresh banner", "two", "second"]
        kinds = [name for name, _ in await told(session.subscribe())]
        assert kinds == [*["message_update"] * 3, "status_change", "agent_error"]
        items = session.transcript.page()[0]
        assert [getattr(item.item, "text", "") for item in items] == ["two", "second"]


async def test_a_conversation_that_cannot_be_set_aside_is_reported() -> None:
    shelf = Shelf(OSError(28, "No space left on device"))
    async with running(history=history("banner", "one"), store=shelf, idle=False) as (
        session,
        driver,
    ):
        driver.emit(ConversationReset("it is refused"))
        assert "could not be kept" in session.notices[-1].message
        assert "No space left" in session.notices[-1].message
