"""The queue: order, bounds, at most once, across restarts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.model.conversation import Choice, Dialog, Message, Phase, Role
from agentapi.model.errors import Busy, DialogOpen, SendError
from agentapi.session import queue as module
from agentapi.session.outbox import AgentEnded, EmptyMessage
from agentapi.session.queue import UNKNOWN, BeingSent, MessageQueue, QueueFull, Step
from agentapi.session.session import AgentSession
from agentapi.storage.state import RestoredState, SavedState
from tests.support.fixed_driver import FixedDriver
from tests.support.live import settle

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DIALOG = Dialog("d1", "command", "Run this?", choices=(Choice("y", "Yes", "1"),))


def filled(*contents: str) -> MessageQueue:
    queue = MessageQueue()
    for content in contents:
        queue.add(content, NOW)
    return queue


def steps(queue: MessageQueue) -> list[tuple[str, str]]:
    return [(item.content, item.step.value) for item in queue.items]


def again(queue: MessageQueue, *messages: Message) -> tuple[MessageQueue, list[str]]:
    """Restore the queue through JSON, given the conversation so far."""
    restored = MessageQueue()
    return restored, restored.restore(json.loads(json.dumps(queue.state())), messages)


# -- the queue itself ----------------------------------------------------------------------------


def test_a_message_is_taken_and_gone_when_it_arrived() -> None:
    queue = filled("a", "b")
    queue.take(3)
    assert steps(queue) == [("a", "sending"), ("b", "waiting")]
    assert queue.due is None, "one at a time"
    queue.arrived("typed by somebody else")
    assert len(queue) == 2
    queue.arrived("a")
    assert steps(queue) == [("b", "waiting")]
    queue.arrived("b")
    assert len(queue) == 1, "somebody else said the same: ours was not sent yet"


def test_a_failed_message_holds_the_others_until_it_is_cancelled() -> None:
    queue = filled("a", "b")
    queue.fail(queue.take(0), "no echo")
    assert queue.due is None
    queue.cancel(1)
    assert queue.due is not None
    assert queue.due.content == "b"


def test_what_is_being_sent_cannot_be_cancelled_and_what_is_gone_neither() -> None:
    queue = filled("a")
    queue.take(0)
    with pytest.raises(BeingSent, match="1"):
        queue.cancel(1)
    queue.arrived("a")
    with pytest.raises(LookupError, match="1"):
        queue.cancel(1)


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COUNT_LIMIT", 3)
    monkeypatch.setattr(module, "BYTES_LIMIT", 10)
    queue = filled("ééé", "abcd")
    with pytest.raises(QueueFull, match=r"10 bytes.*DELETE /queue"):
        queue.add("x", NOW)
    queue.cancel(1)
    queue.add("ab", NOW)
    queue.add("cd", NOW)
    with pytest.raises(QueueFull, match=r"3 messages.*DELETE /queue"):
        queue.add("", NOW)


ACTIONS = st.lists(st.sampled_from(["add", "take", "arrive", "fail", "back", "cancel"]))


@given(ACTIONS)
def test_whatever_happens_is_kept_and_no_id_is_used_twice(actions: list[str]) -> None:
    queue, given_ids = MessageQueue(), []
    for number, action in enumerate(actions):
        first = queue.items[0] if queue.items else None
        match action:
            case "add":
                given_ids.append(queue.add(f"m{number}", NOW).id)
            case "take" if queue.due:
                queue.take(number)
            case "arrive" if first:
                queue.arrived(first.content)
            case "fail" if first and first.step is Step.SENDING:
                queue.fail(first, "why")
            case "back" if first and first.step is Step.SENDING:
                queue.put_back(first)
            case "cancel" if first and first.step is not Step.SENDING:
                queue.cancel(first.id)
        if queue.state():
            restored, _ = again(queue)
            assert [i.id for i in restored.items] == [i.id for i in queue.items]
            assert all(i.step is not Step.SENDING for i in restored.items)
            settled = [i for i in queue.items if i.step is not Step.SENDING]
            assert [i for i in restored.items if i in settled] == settled
            assert restored.add("next", NOW).id > max(given_ids)
    assert given_ids == sorted(set(given_ids))


# -- over a restart ------------------------------------------------------------------------------


def said(number: int, text: str, role: Role = Role.USER) -> Message:
    return Message(number, role, text, NOW)


@pytest.mark.parametrize(
    ("messages", "left"),
    [
        ((said(0, "a"),), [("a", "failed"), ("b", "waiting")]),  # said before, not now
        ((said(0, "x"), said(1, "a", Role.AGENT)), [("a", "failed"), ("b", "waiting")]),
        ((said(0, "x"), said(1, "a ")), [("b", "waiting")]),
        ((said(0, "x"), said(1, "y", Role.AGENT), said(2, "a")), [("b", "waiting")]),
    ],
)
def test_a_kill_while_sending_sends_nothing_twice(
    messages: tuple[Message, ...], left: list[tuple[str, str]]
) -> None:
    queue = filled("a", "b")
    queue.take(1)
    restored, warnings = again(queue, *messages)
    assert steps(restored) == left
    assert [UNKNOWN in warning for warning in warnings] == [True] * (len(left) - 1)


@pytest.mark.parametrize(
    "broken",
    [
        7,
        [],
        {"items": {}},
        {"items": [1]},
        {"items": [{"id": "1"}]},
        {"items": [{"id": 1, "content": 5, "time": "2026-01-01T00:00:00Z", "step": "waiting"}]},
        {"items": [{"id": 1, "content": "a", "time": "soon", "step": "waiting"}]},
        {"items": [{"id": 1, "content": "a", "time": "2026-01-01T00:00:00Z", "step": "lost"}]},
    ],
)
def test_what_cannot_be_read_is_told(broken: object) -> None:
    queue = MessageQueue()
    warnings = queue.restore(broken, ())
    assert len(warnings) == 1
    assert len(queue) == 0
    assert queue.add("a", NOW).id == 1


# -- in a session --------------------------------------------------------------------------------


class Disk:
    """A store that keeps every saved state, as a killed daemon could have left it."""

    def __init__(self) -> None:
        self.states: list[SavedState] = []

    def set_aside(self) -> Path | None:
        return None

    def save(self, state: SavedState) -> None:
        self.states.append(state)

    @property
    def queue(self) -> list[tuple[str, str]]:
        items = self.states[-1].extra["queue"]["items"] if self.states else []
        return [(item["content"], item["step"]) for item in items]


@asynccontextmanager
async def running(**arguments: Any) -> AsyncIterator[tuple[AgentSession, FixedDriver, Disk]]:
    driver, disk = FixedDriver(), Disk()
    session = AgentSession(driver, agent_type="codex", store=disk, **arguments)
    await session.start()
    yield session, driver, disk
    await session.stop()


async def test_messages_go_out_in_order_one_each_time_the_agent_is_idle() -> None:
    async with running() as (session, driver, disk):
        places = [session.enqueue(f" {text}\n")[1] for text in ("a", "b", "c")]
        assert places == [1, 2, 3]
        assert disk.queue == [("a", "waiting"), ("b", "waiting"), ("c", "waiting")]
        await settle()
        assert driver.sent == [], "the agent starts"
        for count, text in enumerate("abc", 1):
            driver.idle()
            await settle()
            assert driver.sent == list("abc"[:count])
            driver.say(f"answer to {text}")
        assert disk.queue == []
        driver.idle()
        await settle()
        assert driver.sent == ["a", "b", "c"]


async def test_an_idle_agent_gets_it_at_once_and_a_turn_that_ends_at_once_is_no_obstacle() -> None:
    async with running() as (session, driver, _):
        driver.idle()
        driver.hold.clear()
        session.enqueue("a")
        session.enqueue("b")
        await settle()
        assert driver.sending.is_set()
        driver.hold.set()
        await settle()
        driver.turn("done")
        await settle()
        assert driver.sent == ["a", "b"]


async def test_a_turn_that_nobody_saw_is_no_obstacle() -> None:
    async with running() as (session, driver, disk):
        driver.unseen_turns = True
        driver.idle()
        for text in ("a", "b", "c"):
            session.enqueue(text)
        await settle()
        await settle()
        assert driver.sent == ["a", "b", "c"]
        assert disk.queue == []


async def test_it_holds_during_a_dialog() -> None:
    async with running() as (session, driver, _):
        driver.phase(Phase.BLOCKED, "screen: dialog", DIALOG)
        session.enqueue("a")
        await settle()
        assert driver.sent == []
        driver.idle()
        await settle()
        assert driver.sent == ["a"]


async def test_the_initial_prompt_goes_first() -> None:
    prompt: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    async with running(initial_prompt=prompt) as (session, driver, _):
        session.enqueue("later")
        driver.idle()
        await settle()
        assert driver.sent == []
        prompt.set_result("first")
        await settle()
        assert driver.sent == ["first"]
        driver.idle()
        await settle()
        assert driver.sent == ["first", "later"]


async def test_a_prompt_that_failed_no_longer_holds_the_queue() -> None:
    async with running(initial_prompt="first") as (session, driver, _):
        session.enqueue("later")
        driver.fail_next = SendError("echo", "it never showed")
        driver.idle()
        await settle()
        assert driver.sent == ["later"]


async def test_what_is_kept_never_lets_a_message_be_sent_twice() -> None:
    """The daemon may be killed after each save: the next run must not send a message again."""
    async with running() as (session, driver, disk):
        session.enqueue("a")
        session.enqueue("b")
        driver.idle()
        await settle()
        driver.idle()
        await settle()
        for state in disk.states:
            restored = MessageQueue()
            restored.restore(state.extra["queue"], state.messages)
            waiting = [item.content for item in restored.items if item.step is Step.WAITING]
            known = [m.content for m in state.messages if m.role is Role.USER]
            assert not set(waiting) & set(known)
    first_sending = next(
        number
        for number, state in enumerate(disk.states)
        if any(item["step"] == "sending" for item in state.extra["queue"]["items"])
    )
    assert not [m for m in disk.states[first_sending].messages if m.role is Role.USER], (
        "it is marked before it can be in the conversation"
    )


async def test_a_message_and_its_leaving_the_queue_are_kept_together() -> None:
    async with running() as (session, driver, disk):
        session.enqueue("a")
        driver.idle()
        await settle()
        for state in disk.states:
            queued = [item["content"] for item in state.extra["queue"]["items"]]
            assert not ("a" in queued and any(m.content == "a" for m in state.messages))


@pytest.mark.parametrize("refusal", [Busy(), DialogOpen("Allow?")])
async def test_a_busy_agent_gets_it_when_it_is_next_idle(refusal: SendError) -> None:
    async with running() as (session, driver, disk):
        driver.fail_next = refusal
        driver.idle()
        session.enqueue("a")
        await settle()
        assert (driver.sent, disk.queue) == ([], [("a", "waiting")])
        driver.phase(Phase.WORKING)
        driver.idle()
        await settle()
        assert driver.sent == ["a"]
        assert not session.notices


async def test_a_failure_is_told_and_holds_what_stands_behind_it() -> None:
    async with running() as (session, driver, disk):
        driver.fail_next = SendError("echo", "it never showed")
        driver.idle()
        session.enqueue("a")
        session.enqueue("b")
        await settle()
        driver.phase(Phase.WORKING)
        driver.idle()
        await settle()
        assert driver.sent == []
        assert disk.queue == [("a", "failed"), ("b", "waiting")]
        assert "echo: it never showed" in session.notices[-1].message
        assert session.stats.send_failures == {"echo": 1}
        await session.send("by hand")
        assert driver.sent == ["by hand"], "a direct message does not stand in the queue"
        driver.idle()
        session.cancel_queued(1)
        await settle()
        assert driver.sent == ["by hand", "b"]


async def test_a_direct_message_keeps_its_meaning() -> None:
    async with running() as (session, driver, _):
        driver.idle()
        driver.hold.clear()
        session.enqueue("queued")
        await settle()
        direct = asyncio.create_task(session.send("direct"))
        await settle()
        driver.hold.set()
        with pytest.raises(Busy):
            await direct
        assert driver.sent == ["queued"]


async def test_a_session_goes_on_with_what_an_earlier_one_left() -> None:
    async with running() as (session, driver, disk):
        driver.hold.clear()
        session.enqueue("a")
        session.enqueue("b")
        driver.idle()
        await settle()
        assert disk.queue[0] == ("a", "sending")
        left = disk.states[-1]
        history = RestoredState(left.messages, extra={**left.extra, "other": 1})
        async with running(history=history) as (next_session, next_driver, next_disk):
            assert next_disk.queue == [("a", "failed"), ("b", "waiting")]
            assert next_disk.states[-1].extra["other"] == 1
            next_driver.idle()
            await settle()
            assert next_driver.sent == []
            assert UNKNOWN in next_session.notices[-1].message
            next_session.cancel_queued(1)
            await settle()
            assert next_driver.sent == ["b"]


async def test_nothing_empty_and_nothing_for_an_agent_that_ended() -> None:
    async with running() as (session, driver, disk):
        with pytest.raises(EmptyMessage):
            session.enqueue(" \n")
        driver.end(0)
        with pytest.raises(AgentEnded, match="status 0"):
            session.enqueue("a")
        assert len(session.queue) == 0
        assert "queue" not in disk.states[-1].extra
