"""Messages with the exact text: what of a transcript becomes which message, and when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.model.conversation import Dialog, Phase, Status
from agentapi.model.errors import Busy
from agentapi.model.events import ItemChanged, UserText
from agentapi.model.items import (
    INTERRUPTED,
    AgentMessage,
    Entry,
    Error,
    Item,
    ItemSource,
    NoticeItem,
    Plan,
    Reasoning,
    ToolCall,
    Turn,
    Usage,
    UserMessage,
)
from agentapi.session import exact
from agentapi.session.events import Subscription
from agentapi.session.exact import answer_text, tool_title
from agentapi.session.session import AgentSession
from agentapi.storage.state import SavedState
from agentapi.transcript.changes import TranscriptItem
from agentapi.transcript.transcript import Feed
from tests.support.fixed_driver import FixedDriver
from tests.unit.transcript.test_live import Rollout as LiveRollout
from tests.unit.transcript.test_live import Step, turns

START = datetime(2026, 1, 2, tzinfo=UTC)
BEGUN, DONE = Turn("started"), Turn("completed")


class Keeper:
    """A store that keeps the last state."""

    state = SavedState()

    def set_aside(self) -> Path | None:
        return None

    def save(self, state: SavedState) -> None:
        self.state = state


class Rollout:
    """Tells what Codex writes, item after item."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._count = 0

    def tell(self, *items: Item, partial: bool = False, time: datetime | None = START) -> None:
        """The next items."""
        numbers = range(self._count, self._count + len(items))
        self._count += len(items)
        self._feed.put(
            [
                Entry(n, 1, time, item, partial, "t1" if item == BEGUN else "")
                for n, item in zip(numbers, items, strict=True)
            ]
        )

    def change(self, number: int, item: Item) -> None:
        """The newer version of an item."""
        self._feed.put([Entry(number, 1, START, item)])


@asynccontextmanager
async def talking(**options: Any) -> AsyncIterator[tuple[AgentSession, FixedDriver, Rollout]]:
    """A session that is idle, its agent and what that writes down."""
    driver = FixedDriver()
    session = AgentSession(driver, agent_type="codex", exact=True, clock=lambda: START, **options)
    await session.start()
    driver.say("banner")
    driver.idle()
    yield session, driver, Rollout(session.transcript.open(ItemSource.ROLLOUT))
    await session.stop()


def contents(session: AgentSession) -> list[str]:
    """What the messages say behind the start-up screen; the ids and roles are checked."""
    messages = session.messages
    assert [message.id for message in messages] == list(range(len(messages)))
    assert [m.role.value for m in messages] == ["agent", *["user", "agent"] * len(messages)][
        : len(messages)
    ]
    return [message.content for message in messages[1:]]


def stable(session: AgentSession) -> bool:
    """Whether the status is `stable`."""
    return session.status is Status.STABLE


async def until_stable(session: AgentSession) -> None:
    """Wait for it."""
    events = session.subscribe()
    while not stable(session):
        await asyncio.wait_for(events.take(), 30)


async def told(subscription: Subscription) -> Iterator[tuple[str, Any]]:
    """The events so far."""
    async with asyncio.timeout(30):
        data = await subscription.take(at_most=10**9)
    pairs = [frame.decode().split("\n") for frame in data.split(b"\n\n") if frame]
    return iter([(head[7:], json.loads(body[6:])) for head, body in pairs])


def items(*told: Item) -> list[TranscriptItem]:
    """Items of a transcript."""
    return [
        TranscriptItem(n, 1, START, item, False, ItemSource.ROLLOUT) for n, item in enumerate(told)
    ]


# -- one answer ----------------------------------------------------------------------------------


@given(st.text())
def test_one_text_stays_to_the_letter(text: str) -> None:
    assert answer_text(items(Reasoning("hm"), AgentMessage(text), Usage({}), DONE)) == text


def test_texts_tools_and_the_plan_stand_in_order() -> None:
    said = items(
        AgentMessage("I *look* first.\n"),
        ToolCall("shell", "ls  -l\n/tmp", status="completed", exit_code=0),
        ToolCall("shell", "false", status="completed", exit_code=1),
        Plan("", ({"step": "look", "status": "completed"}, {"step": "do", "status": "pending"})),
        ToolCall("search", arguments='{"q": 1}', status="running"),
        AgentMessage("\nDone.\n"),
    )
    assert answer_text(said) == (
        "I *look* first.\n\n- ✓ ls -l /tmp\n- ✗ false\n\n- [x] look\n- [ ] do\n\n"
        '- … search {"q": 1}\n\nDone.\n'
    )


def test_a_plan_is_brought_up_to_date_where_it_stands() -> None:
    first = Plan("", ({"step": "look", "status": "pending"},))
    second = Plan("", ({"step": "look", "status": "completed"},))
    assert answer_text(items(first, AgentMessage("text"), second)) == "- [x] look\n\ntext"


@pytest.mark.parametrize("status", ["failed", "declined", "aborted"])
def test_a_tool_that_came_to_nothing_failed(status: str) -> None:
    assert answer_text(items(ToolCall("shell", "ls", status=status))) == "- ✗ ls"


def test_an_error_counts_when_nothing_came_after_it() -> None:
    assert answer_text(items(Error("no"), AgentMessage("yes"))) == "yes"
    assert answer_text(items(AgentMessage("yes"), Error("no"))) == "yes\n\n■ no"
    aborted = Turn("aborted", "interrupted")
    assert answer_text(items(AgentMessage("ha"), aborted)) == f"ha\n\n{INTERRUPTED}"


@pytest.mark.parametrize(
    "patch",
    [
        "*** Begin Patch\n*** Add File: a b.py\n+x\n*** Update File: c.py\n+add y\n*** End Patch",
        "add a b.py\n+x\nupdate c.py\n+add y",
    ],
)
def test_a_patch_is_called_by_its_files(patch: str) -> None:
    assert tool_title(ToolCall("apply_patch", patch)) == "add a b.py, update c.py"


# -- the conversation ----------------------------------------------------------------------------


async def test_the_screen_stands_until_the_exact_text_is_there() -> None:
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        driver.say("bold")
        assert contents(session) == ["hi", "bold"]
        rollout.tell(BEGUN, UserMessage("hi"))
        assert contents(session) == ["hi", "bold"]
        rollout.tell(AgentMessage("**bold**"), DONE)
        assert contents(session) == ["hi", "**bold**"]
        driver.turn("bold, painted again")
        assert contents(session) == ["hi", "**bold**"]


async def test_while_it_works_the_screen_s_text_follows_the_exact() -> None:
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        driver.say("I look.\n\nHere is")
        rollout.tell(BEGUN, UserMessage("hi"), AgentMessage("I *look*."))
        assert contents(session) == ["hi", "I *look*.\n\nHere is"]
        rollout.tell(AgentMessage("Here *is* it."), DONE)
        assert contents(session) == ["hi", "I *look*.\n\nHere *is* it."]


async def test_exact_text_that_comes_first_makes_the_message() -> None:
    async with talking() as (session, driver, rollout):
        rollout.tell(BEGUN, UserMessage("hi"), AgentMessage("*hello*"), DONE)
        assert contents(session) == []
        await session.send("hi")
        assert contents(session) == ["hi", "*hello*"]
        driver.turn("hello")
        assert contents(session) == ["hi", "*hello*"]


async def test_a_tool_line_changes_where_it_stands() -> None:
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        driver.say("Ran ls")
        rollout.tell(BEGUN, UserMessage("hi"))
        rollout.tell(ToolCall("shell", "ls"), partial=True)
        assert contents(session)[1].startswith("- … ls")
        rollout.change(2, ToolCall("shell", "ls", status="completed", exit_code=0))
        rollout.tell(AgentMessage("done"), DONE)
        assert contents(session)[1] == "- ✓ ls\n\ndone"


async def test_a_late_exact_text_replaces_an_earlier_message() -> None:
    keeper = Keeper()
    async with talking(store=keeper) as (session, driver, rollout):
        for prompt in ("one", "two"):
            await session.send(prompt)
            driver.say(f"answer {prompt}")
            session._exact.release()  # type: ignore[union-attr]
            driver.idle()
            session._exact.release()  # type: ignore[union-attr]
        events = session.subscribe()
        await told(events)
        rollout.tell(BEGUN, UserMessage("one"), AgentMessage("*one*"), DONE)
        assert contents(session) == ["one", "*one*", "two", "answer two"]
        name, data = next(await told(events))
        assert (name, data["id"], data["message"]) == ("message_update", 2, "*one*")
        rollout.tell(BEGUN, UserMessage("two"), AgentMessage("*two*"), DONE)
        assert contents(session) == ["one", "*one*", "two", "*two*"]
        session.save()
        assert keeper.state.messages == session.messages


async def test_the_same_words_of_an_earlier_run_are_not_the_answer() -> None:
    async with talking() as (session, driver, rollout):
        earlier = START - timedelta(days=1)
        rollout.tell(BEGUN, UserMessage("hi"), AgentMessage("old"), DONE, time=earlier)
        await session.send("hi")
        driver.say("new")
        assert contents(session) == ["hi", "new"]
        rollout.tell(BEGUN, UserMessage("hi"), AgentMessage("*new*"), DONE)
        assert contents(session) == ["hi", "*new*"]


async def test_what_the_agent_does_not_record_stays_as_the_screen_has_it() -> None:
    async with talking() as (session, driver, rollout):
        await session.send("/status")
        driver.say("all is well")
        session._exact.release()  # type: ignore[union-attr]
        driver.idle()
        session._exact.release()  # type: ignore[union-attr]
        rollout.tell(BEGUN, UserMessage("hi"), AgentMessage("*hello*"), DONE)
        driver.emit(UserText("hi"))
        assert contents(session) == ["/status", "all is well", "hi", "*hello*"]


async def test_a_prompt_that_the_screen_wrapped_is_found() -> None:
    async with talking() as (session, driver, rollout):
        driver.emit(UserText("a long\nprompt"))
        rollout.tell(BEGUN, UserMessage("a long prompt"), AgentMessage("*yes*"), DONE)
        assert contents(session) == ["a long\nprompt", "*yes*"]


async def test_a_question_within_a_turn_has_its_own_answer() -> None:
    async with talking() as (session, driver, rollout):
        driver.emit(UserText("one"))
        driver.phase(Phase.WORKING)
        rollout.tell(BEGUN, UserMessage("one"), AgentMessage("first"))
        driver.emit(UserText("two"))
        rollout.tell(UserMessage("two"), AgentMessage("second"), DONE)
        assert contents(session) == ["one", "first", "two", "second"]


async def test_the_next_turn_s_words_do_not_end_up_in_the_answer_before() -> None:
    async with talking() as (session, driver, rollout):
        driver.emit(UserText("one"))
        rollout.tell(BEGUN, UserMessage("one"), AgentMessage("first"), DONE)
        rollout.tell(BEGUN, UserMessage("two"), AgentMessage("second"))
        assert contents(session) == ["one", "first"]
        driver.emit(UserText("two"))
        assert contents(session) == ["one", "first", "two", "second"]


async def test_a_turn_that_the_agent_begins_by_itself_goes_on_with_the_answer() -> None:
    async with talking() as (session, driver, rollout):
        driver.emit(UserText("one"))
        rollout.tell(BEGUN, UserMessage("one"), AgentMessage("first"), DONE)
        rollout.tell(BEGUN, AgentMessage("and more"), DONE)
        assert contents(session) == ["one", "first\n\nand more"]


async def test_a_record_that_begins_anew_keeps_the_answer() -> None:
    async with talking() as (session, driver, rollout):
        driver.emit(UserText("one"))
        rollout.tell(BEGUN, UserMessage("one"), AgentMessage("first"), DONE)
        rollout._feed.replace(())
        assert contents(session) == ["one", "first"]
        rollout._count = 0
        rollout.tell(BEGUN, UserMessage("one"), AgentMessage("first"), AgentMessage("more"), DONE)
        assert contents(session) == ["one", "first\n\nmore"]


async def test_what_was_taken_back_stays_as_it_was_told() -> None:
    """Also when the same is said again: that is another question."""
    async with talking() as (session, driver, rollout):
        for text, answer in (("one", "first"), ("two", "second")):
            driver.emit(UserText(text))
            rollout.tell(BEGUN, UserMessage(text), AgentMessage(answer), DONE)
        for seconds, again in enumerate(("two", "three")):
            time = START + timedelta(seconds=seconds)
            stays: list[Item] = [BEGUN, UserMessage("one"), AgentMessage("first"), DONE]
            items = [*stays, NoticeItem("rollback", "What came after this was taken back.")]
            rollout._feed.replace([Entry(n, 1, time, item) for n, item in enumerate(items)])
            rollout._count = len(items)
            driver.emit(UserText(again))
            rollout.tell(BEGUN, UserMessage(again), AgentMessage(f"to {again}"), DONE)
        told = ["one", "first", "two", "second", "two", "to two", "three", "to three"]
        assert contents(session) == told


async def test_the_link_s_text_is_exact_while_it_grows() -> None:
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        driver.say("bold")
        rollout.tell(BEGUN, UserMessage("hi"))
        driver.emit(ItemChanged("t1", "m1", AgentMessage("**bo"), True))
        session.transcript.page()  # what grows is shown at intervals; a reader gets the newest
        assert contents(session) == ["hi", "**bo"]
        rollout.tell(AgentMessage("**bold**"), DONE)
        assert contents(session) == ["hi", "**bold**"]


@given(turns(), st.data())
def test_whatever_comes_first_the_answer_is_what_is_recorded(
    sides: tuple[list[Step], list[Step]], data: st.DataObject
) -> None:
    recorded, told = sides

    async def play() -> list[str]:
        async with talking() as (session, driver, rollout):
            record = LiveRollout(session.transcript, rollout._feed)
            for turn in dict.fromkeys(step.turn for step in recorded):
                exact = [step for step in recorded if step.turn == turn]
                link = [step for step in told if step.turn == turn]
                driver.emit(UserText(f"ask {turn[1:]}"))
                driver.phase(Phase.WORKING)
                driver.say("as on the screen")
                order = data.draw(st.permutations([True] * len(exact) + [False] * len(link)))
                steps, pieces = iter(exact), iter(link)
                for is_exact in order:
                    if is_exact:
                        record.take(next(steps))
                    else:
                        step = next(pieces)
                        driver.emit(ItemChanged(turn, step.id, step.item, step.partial))
                driver.idle()
                assert stable(session)
            return contents(session)

    found = asyncio.run(play())
    for number, turn in enumerate(dict.fromkeys(step.turn for step in recorded)):
        said = [step.item for step in recorded if step.turn == turn and not step.partial]
        assert found[2 * number : 2 * number + 2] == [
            f"ask {number}",
            answer_text(items(*said)) or "as on the screen",
        ]


async def test_a_word_more_is_no_reason_to_search_what_is_not_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with talking() as (session, driver, rollout):
        for turn in "abc":
            driver.emit(UserText(f"ask {turn}"))
            driver.phase(Phase.WORKING)
            driver.say("on the screen")
            driver.emit(ItemChanged(turn, "u", UserMessage(f"ask {turn}"), False))
            driver.emit(ItemChanged(turn, "m", AgentMessage(f"say {turn}"), True))
        said = ["ask a", "say a", "ask b", "say b", "ask c", "say c"]
        assert contents(session) == said
        searched: list[int] = []
        behind = session.transcript.behind

        def search(item_id: int) -> list[TranscriptItem]:
            searched.append(item_id)
            return behind(item_id)

        monkeypatch.setattr(session.transcript, "behind", search)
        driver.emit(ItemChanged("c", "m", AgentMessage("say c and more"), True))
        assert contents(session) == [*said[:5], "say c and more"]
        [question] = set(searched)
        found = session.transcript.find(question)
        assert found is not None
        assert found.item == UserMessage("ask c")
        record = LiveRollout(session.transcript, rollout._feed)
        for item, key in (
            (BEGUN, "a"),
            (UserMessage("ask a"), "u"),
            (AgentMessage("recorded"), "m"),
            (DONE, ""),
        ):
            record.tell(item, key)
        assert contents(session) == ["ask a", "recorded", *said[2:5], "say c and more"]


# -- the end of a turn ---------------------------------------------------------------------------


async def test_stable_comes_after_the_exact_text() -> None:
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        rollout.tell(BEGUN, UserMessage("hi"))
        driver.say("bold\n\nand more")
        events = session.subscribe()
        await told(events)
        driver.idle()
        assert not stable(session)
        with pytest.raises(Busy):
            await session.send("too early")
        rollout.tell(AgentMessage("**bold**"))
        assert not stable(session)
        rollout.tell(DONE)
        assert stable(session)
        *_, (text, message), (name, _) = await told(events)
        assert (text, message["message"], name) == ("message_update", "**bold**", "status_change")


async def test_a_decided_question_does_not_wait_for_the_exact_text() -> None:
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        rollout.tell(BEGUN, UserMessage("hi"), AgentMessage("May I?"))
        driver.phase(Phase.BLOCKED, "asks", Dialog("d1", "command", "Run it?", command="ls"))
        assert contents(session)[-1] == "May I?\n\nRun it?\n\n```\nls\n```"
        rollout.tell(ToolCall("shell", command="ls", status="running"))
        assert contents(session)[-1] == "May I?\n\n- … ls\n\nRun it?\n\n```\nls\n```"
        driver.idle()
        assert (session.dialog, session.phase_state.phase) == (None, Phase.WORKING)
        assert contents(session)[-1] == "May I?\n\n- … ls"
        rollout.tell(AgentMessage("Well."), Turn("aborted"))
        assert session.phase_state.phase is Phase.IDLE
        assert contents(session)[-1].endswith("Well.\n\n■ Conversation interrupted")


@pytest.mark.parametrize("recorded", [True, False])
async def test_stable_does_not_wait_for_ever(
    recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "WAIT", 0.01)
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        if recorded:
            rollout.tell(BEGUN, UserMessage("hi"), ToolCall("shell", "ls", status="completed"))
        driver.turn("Ran ls\n\nwhole")
        await until_stable(session)
        assert contents(session) == ["hi", "Ran ls\n\nwhole"]
        rollout.tell(*() if recorded else (BEGUN, UserMessage("hi")), AgentMessage("*whole*"), DONE)
        assert contents(session)[1].endswith("*whole*")


async def test_a_text_at_the_end_is_taken_where_no_end_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exact, "WAIT", 0.0)
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        rollout.tell(BEGUN, UserMessage("hi"), AgentMessage("*whole*"))
        driver.turn("whole and what")
        await until_stable(session)
        assert contents(session) == ["hi", "*whole*"]


async def test_what_happens_next_ends_the_wait() -> None:
    async with talking() as (session, driver, _):
        await session.send("hi")
        driver.turn("hello")
        events = session.subscribe()
        await told(events)
        driver.emit(UserText("typed"))
        names = [(n, d.get("status") or d["message"]) for n, d in await told(events)]
        assert names == [("status_change", "stable"), ("message_update", "typed")]
