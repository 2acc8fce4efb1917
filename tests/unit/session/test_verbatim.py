"""Agent messages with verbatim text: which items of a transcript become which message."""

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
from agentapi.session import verbatim
from agentapi.session.events import Subscription
from agentapi.session.session import AgentSession
from agentapi.session.verbatim import answer_text, tool_title
from agentapi.storage.state import SavedState
from agentapi.transcript.changes import TranscriptItem
from agentapi.transcript.feed import Feed
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
    """Records items as Codex does."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._count = 0

    def put(self, *items: Item, partial: bool = False, time: datetime | None = START) -> None:
        """Record the next items."""
        numbers = range(self._count, self._count + len(items))
        self._count += len(items)
        self._feed.put(
            [
                Entry(n, 1, time, item, partial, "t1" if item == BEGUN else "")
                for n, item in zip(numbers, items, strict=True)
            ]
        )

    def change(self, number: int, item: Item) -> None:
        """Record a newer version of an item."""
        self._feed.put([Entry(number, 1, START, item)])


@asynccontextmanager
async def talking(**options: Any) -> AsyncIterator[tuple[AgentSession, FixedDriver, Rollout]]:
    """An idle session, its agent and the agent's record."""
    driver = FixedDriver()
    session = AgentSession(
        driver, agent_type="codex", verbatim=True, clock=lambda: START, **options
    )
    await session.start()
    driver.say("banner")
    driver.idle()
    yield session, driver, Rollout(session.transcript.open(ItemSource.ROLLOUT))
    await session.stop()


def contents(session: AgentSession) -> list[str]:
    """Return the texts after the start-up screen; check ids and roles."""
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
    """Wait until the status is `stable`."""
    events = session.subscribe()
    while not stable(session):
        await asyncio.wait_for(events.take(), 30)


async def taken(subscription: Subscription) -> Iterator[tuple[str, Any]]:
    """Take the events so far."""
    async with asyncio.timeout(30):
        data = await subscription.take(at_most=10**9)
    pairs = [frame.decode().split("\n") for frame in data.split(b"\n\n") if frame]
    return iter([(head[7:], json.loads(body[6:])) for head, body in pairs])


def items(*values: Item) -> list[TranscriptItem]:
    """Make items of a transcript."""
    return [
        TranscriptItem(n, 1, START, item, False, ItemSource.ROLLOUT)
        for n, item in enumerate(values)
    ]


# -- one answer ----------------------------------------------------------------------------------


@given(st.text())
def test_one_text_is_verbatim(text: str) -> None:
    assert answer_text(items(Reasoning("hm"), AgentMessage(text), Usage({}), DONE)) == text


def test_texts_tools_and_the_plan_are_in_order() -> None:
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


def test_a_plan_is_updated_in_place() -> None:
    first = Plan("", ({"step": "look", "status": "pending"},))
    second = Plan("", ({"step": "look", "status": "completed"},))
    assert answer_text(items(first, AgentMessage("text"), second)) == "- [x] look\n\ntext"


@pytest.mark.parametrize("status", ["failed", "declined", "aborted"])
def test_a_tool_that_did_not_complete_failed(status: str) -> None:
    assert answer_text(items(ToolCall("shell", "ls", status=status))) == "- ✗ ls"


def test_an_error_is_shown_if_nothing_follows() -> None:
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
def test_a_patch_is_titled_by_its_files(patch: str) -> None:
    assert tool_title(ToolCall("apply_patch", patch)) == "add a b.py, update c.py"


# -- the conversation ----------------------------------------------------------------------------


async def test_screen_text_is_shown_until_the_verbatim_text_is_there() -> None:
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        driver.say("bold")
        assert contents(session) == ["hi", "bold"]
        rollout.put(BEGUN, UserMessage("hi"))
        assert contents(session) == ["hi", "bold"]
        rollout.put(AgentMessage("**bold**"), DONE)
        assert contents(session) == ["hi", "**bold**"]
        driver.turn("bold, painted again")
        assert contents(session) == ["hi", "**bold**"]


async def test_during_a_turn_screen_text_follows_the_verbatim_text() -> None:
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        driver.say("I look.\n\nHere is")
        rollout.put(BEGUN, UserMessage("hi"), AgentMessage("I *look*."))
        assert contents(session) == ["hi", "I *look*.\n\nHere is"]
        rollout.put(AgentMessage("Here *is* it."), DONE)
        assert contents(session) == ["hi", "I *look*.\n\nHere *is* it."]


async def test_verbatim_text_may_come_before_the_screen() -> None:
    async with talking() as (session, driver, rollout):
        rollout.put(BEGUN, UserMessage("hi"), AgentMessage("*hello*"), DONE)
        assert contents(session) == []
        await session.send("hi")
        assert contents(session) == ["hi", "*hello*"]
        driver.turn("hello")
        assert contents(session) == ["hi", "*hello*"]


async def test_a_tool_line_is_updated_in_place() -> None:
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        driver.say("Ran ls")
        rollout.put(BEGUN, UserMessage("hi"))
        rollout.put(ToolCall("shell", "ls"), partial=True)
        assert contents(session)[1].startswith("- … ls")
        rollout.change(2, ToolCall("shell", "ls", status="completed", exit_code=0))
        rollout.put(AgentMessage("done"), DONE)
        assert contents(session)[1] == "- ✓ ls\n\ndone"


async def test_late_verbatim_text_replaces_an_earlier_message() -> None:
    keeper = Keeper()
    async with talking(store=keeper) as (session, driver, rollout):
        for prompt in ("one", "two"):
            await session.send(prompt)
            driver.say(f"answer {prompt}")
            session._verbatim.release()  # type: ignore[union-attr]
            driver.idle()
            session._verbatim.release()  # type: ignore[union-attr]
        events = session.subscribe()
        await taken(events)
        rollout.put(BEGUN, UserMessage("one"), AgentMessage("*one*"), DONE)
        assert contents(session) == ["one", "*one*", "two", "answer two"]
        name, data = next(await taken(events))
        assert (name, data["id"], data["message"]) == ("message_update", 2, "*one*")
        rollout.put(BEGUN, UserMessage("two"), AgentMessage("*two*"), DONE)
        assert contents(session) == ["one", "*one*", "two", "*two*"]
        session.save()
        assert keeper.state.messages == session.messages


async def test_the_same_text_of_an_earlier_run_is_not_the_answer() -> None:
    async with talking() as (session, driver, rollout):
        earlier = START - timedelta(days=1)
        rollout.put(BEGUN, UserMessage("hi"), AgentMessage("old"), DONE, time=earlier)
        await session.send("hi")
        driver.say("new")
        assert contents(session) == ["hi", "new"]
        rollout.put(BEGUN, UserMessage("hi"), AgentMessage("*new*"), DONE)
        assert contents(session) == ["hi", "*new*"]


async def test_an_answer_that_is_not_recorded_keeps_the_screen_text() -> None:
    async with talking() as (session, driver, rollout):
        await session.send("/status")
        driver.say("all is well")
        session._verbatim.release()  # type: ignore[union-attr]
        driver.idle()
        session._verbatim.release()  # type: ignore[union-attr]
        rollout.put(BEGUN, UserMessage("hi"), AgentMessage("*hello*"), DONE)
        driver.emit(UserText("hi"))
        assert contents(session) == ["/status", "all is well", "hi", "*hello*"]


async def test_a_wrapped_prompt_is_located() -> None:
    async with talking() as (session, driver, rollout):
        driver.emit(UserText("a long\nprompt"))
        rollout.put(BEGUN, UserMessage("a long prompt"), AgentMessage("*yes*"), DONE)
        assert contents(session) == ["a long\nprompt", "*yes*"]


async def test_a_question_within_a_turn_has_its_own_answer() -> None:
    async with talking() as (session, driver, rollout):
        driver.emit(UserText("one"))
        driver.phase(Phase.WORKING)
        rollout.put(BEGUN, UserMessage("one"), AgentMessage("first"))
        driver.emit(UserText("two"))
        rollout.put(UserMessage("two"), AgentMessage("second"), DONE)
        assert contents(session) == ["one", "first", "two", "second"]


async def test_the_next_turn_is_not_part_of_the_answer_before() -> None:
    async with talking() as (session, driver, rollout):
        driver.emit(UserText("one"))
        rollout.put(BEGUN, UserMessage("one"), AgentMessage("first"), DONE)
        rollout.put(BEGUN, UserMessage("two"), AgentMessage("second"))
        assert contents(session) == ["one", "first"]
        driver.emit(UserText("two"))
        assert contents(session) == ["one", "first", "two", "second"]


async def test_a_turn_that_the_agent_starts_itself_continues_the_answer() -> None:
    async with talking() as (session, driver, rollout):
        driver.emit(UserText("one"))
        rollout.put(BEGUN, UserMessage("one"), AgentMessage("first"), DONE)
        rollout.put(BEGUN, AgentMessage("and more"), DONE)
        assert contents(session) == ["one", "first\n\nand more"]


async def test_a_record_that_starts_over_keeps_the_answer() -> None:
    async with talking() as (session, driver, rollout):
        driver.emit(UserText("one"))
        rollout.put(BEGUN, UserMessage("one"), AgentMessage("first"), DONE)
        rollout._feed.replace(())
        assert contents(session) == ["one", "first"]
        rollout._count = 0
        rollout.put(BEGUN, UserMessage("one"), AgentMessage("first"), AgentMessage("more"), DONE)
        assert contents(session) == ["one", "first\n\nmore"]


async def test_messages_of_a_rewind_stay_as_published() -> None:
    """Even if the same is sent again: that is another prompt."""
    async with talking() as (session, driver, rollout):
        for text, answer in (("one", "first"), ("two", "second")):
            driver.emit(UserText(text))
            rollout.put(BEGUN, UserMessage(text), AgentMessage(answer), DONE)
        for seconds, again in enumerate(("two", "three")):
            time = START + timedelta(seconds=seconds)
            stays: list[Item] = [BEGUN, UserMessage("one"), AgentMessage("first"), DONE]
            items = [*stays, NoticeItem("rollback", "What came after this was taken back.")]
            rollout._feed.replace([Entry(n, 1, time, item) for n, item in enumerate(items)])
            rollout._count = len(items)
            driver.emit(UserText(again))
            rollout.put(BEGUN, UserMessage(again), AgentMessage(f"to {again}"), DONE)
        told = ["one", "first", "two", "second", "two", "to two", "three", "to three"]
        assert contents(session) == told


async def test_the_link_s_text_is_verbatim_while_it_streams() -> None:
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        driver.say("bold")
        rollout.put(BEGUN, UserMessage("hi"))
        driver.emit(ItemChanged("t1", "m1", AgentMessage("**bo"), True))
        session.transcript.page()  # updates are throttled; reading flushes them
        assert contents(session) == ["hi", "**bo"]
        rollout.put(AgentMessage("**bold**"), DONE)
        assert contents(session) == ["hi", "**bold**"]


@given(turns(), st.data())
def test_any_interleaving_ends_in_the_recorded_answer(
    sides: tuple[list[Step], list[Step]], data: st.DataObject
) -> None:
    recorded, told = sides

    async def play() -> list[str]:
        async with talking() as (session, driver, rollout):
            record = LiveRollout(session.transcript, rollout._feed)
            for turn in dict.fromkeys(step.turn for step in recorded):
                record_steps = [step for step in recorded if step.turn == turn]
                link = [step for step in told if step.turn == turn]
                driver.emit(UserText(f"ask {turn[1:]}"))
                driver.phase(Phase.WORKING)
                driver.say("as on the screen")
                order = data.draw(st.permutations([True] * len(record_steps) + [False] * len(link)))
                steps, pieces = iter(record_steps), iter(link)
                for is_recorded in order:
                    if is_recorded:
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


async def test_an_update_does_not_search_all_items_without_a_record(
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
        items_after = session.transcript.items_after

        def search(item_id: int) -> list[TranscriptItem]:
            searched.append(item_id)
            return items_after(item_id)

        monkeypatch.setattr(session.transcript, "items_after", search)
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
            record.put(item, key)
        assert contents(session) == ["ask a", "recorded", *said[2:5], "say c and more"]


# -- the end of a turn ---------------------------------------------------------------------------


async def test_stable_follows_the_verbatim_text() -> None:
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        rollout.put(BEGUN, UserMessage("hi"))
        driver.say("bold\n\nand more")
        events = session.subscribe()
        await taken(events)
        driver.idle()
        assert not stable(session)
        with pytest.raises(Busy):
            await session.send("too early")
        rollout.put(AgentMessage("**bold**"))
        assert not stable(session)
        rollout.put(DONE)
        assert stable(session)
        *_, (text, message), (name, _) = await taken(events)
        assert (text, message["message"], name) == ("message_update", "**bold**", "status_change")


async def test_a_decided_question_does_not_wait_for_verbatim_text() -> None:
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        rollout.put(BEGUN, UserMessage("hi"), AgentMessage("May I?"))
        driver.phase(Phase.BLOCKED, "asks", Dialog("d1", "command", "Run it?", command="ls"))
        assert contents(session)[-1] == "May I?\n\nRun it?\n\n```\nls\n```"
        rollout.put(ToolCall("shell", command="ls", status="running"))
        assert contents(session)[-1] == "May I?\n\n- … ls\n\nRun it?\n\n```\nls\n```"
        driver.idle()
        assert (session.dialog, session.phase_state.phase) == (None, Phase.WORKING)
        assert contents(session)[-1] == "May I?\n\n- … ls"
        rollout.put(AgentMessage("Well."), Turn("aborted"))
        assert session.phase_state.phase is Phase.IDLE
        assert contents(session)[-1].endswith("Well.\n\n■ Conversation interrupted")


@pytest.mark.parametrize("recorded", [True, False])
async def test_stable_does_not_wait_forever(
    recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbatim, "WAIT", 0.01)
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        if recorded:
            rollout.put(BEGUN, UserMessage("hi"), ToolCall("shell", "ls", status="completed"))
        driver.turn("Ran ls\n\nwhole")
        await until_stable(session)
        assert contents(session) == ["hi", "Ran ls\n\nwhole"]
        rollout.put(*() if recorded else (BEGUN, UserMessage("hi")), AgentMessage("*whole*"), DONE)
        assert contents(session)[1].endswith("*whole*")


async def test_a_final_text_ends_the_wait_without_a_recorded_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verbatim, "WAIT", 0.0)
    async with talking() as (session, driver, rollout):
        await session.send("hi")
        rollout.put(BEGUN, UserMessage("hi"), AgentMessage("*whole*"))
        driver.turn("whole and what")
        await until_stable(session)
        assert contents(session) == ["hi", "*whole*"]


async def test_the_next_event_ends_the_wait() -> None:
    async with talking() as (session, driver, _):
        await session.send("hi")
        driver.turn("hello")
        events = session.subscribe()
        await taken(events)
        driver.emit(UserText("typed"))
        names = [(n, d.get("status") or d["message"]) for n, d in await taken(events)]
        assert names == [("status_change", "stable"), ("message_update", "typed")]
