"""Stable ids, numbered changes, and the screen's text after the recorded items."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.model.conversation import Message, Role
from agentapi.model.items import (
    AgentMessage,
    Entry,
    Item,
    ItemSource,
    ToolCall,
    Turn,
    UserMessage,
)
from agentapi.transcript import changes as transcript_changes
from agentapi.transcript.changes import FRAMES_KEPT, Changes, EncodedChanges, TranscriptSubscription
from agentapi.transcript.tail import ScreenTail
from agentapi.transcript.transcript import Transcript

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def conversation(*texts: str) -> list[Message]:
    """The start-up screen, then the user and the agent in turns."""
    roles = [Role.AGENT, Role.USER]
    return [Message(n, roles[n % 2], text, NOW) for n, text in enumerate(["start-up", *texts])]


def entries(*items: Item, first: int = 0, partial: bool = False) -> list[Entry]:
    """Return entries from an index on, all of turn 1."""
    return [Entry(first + n, 1, NOW, item, partial) for n, item in enumerate(items)]


def shown(transcript: Transcript) -> list[tuple[int, str, str, bool, str]]:
    """Return (id, kind, text, partial, source) of each item."""
    return [
        (i.id, i.item.kind.value, getattr(i.item, "text", ""), i.partial, i.source.value)
        for i in transcript.items_after(0)
    ]


def changed(data: bytes) -> list[tuple[int, str, Any]]:
    """Return (number, name, data) of each frame."""
    found = []
    for frame in data.decode().split("\n\n")[:-1]:
        number, name, body = frame.split("\n")
        found.append(
            (
                int(number.removeprefix("id: ")),
                name.removeprefix("event: "),
                json.loads(body.removeprefix("data: ")),
            )
        )
    return found


@pytest.fixture
async def transcript() -> Transcript:
    """A transcript of an agent on a terminal."""
    return Transcript(opening=True)


# -- the screen alone ----------------------------------------------------------------------------


async def test_the_screen_gives_an_item_for_each_message_but_the_start(
    transcript: Transcript,
) -> None:
    transcript.update_screen(conversation("hi", "hel"), working=True, now=True)
    assert shown(transcript) == [
        (1, "user_message", "hi", False, "screen"),
        (2, "agent_message", "hel", True, "screen"),
    ]
    transcript.update_screen(conversation("hi", "hello"), working=False)
    assert shown(transcript)[1] == (2, "agent_message", "hello", False, "screen")
    assert [item.turn for item in transcript.items_after(0)] == [1, 1]


async def test_without_a_startup_screen_the_first_message_counts() -> None:
    transcript = Transcript()
    transcript.restore(conversation("hi")[:1])
    assert shown(transcript) == [(1, "agent_message", "start-up", False, "screen")]


async def test_a_restored_conversation_keeps_its_ids(transcript: Transcript) -> None:
    messages = conversation("hi", "hello", "more", "sure")
    transcript.update_screen(messages, working=False, now=True)
    again = Transcript(opening=True)
    again.restore(messages)
    assert again.items_after(0) == transcript.items_after(0)


# -- recorded items ------------------------------------------------------------------------------


async def test_recorded_items_replace_those_of_the_screen(transcript: Transcript) -> None:
    transcript.update_screen(conversation("hi", "• hello"), working=True, now=True)
    feed = transcript.open(ItemSource.ROLLOUT)
    feed.put(entries(Turn("started"), UserMessage("hi"), AgentMessage("**hello**")))
    assert shown(transcript) == [
        (1, "turn", "", False, "rollout"),
        (2, "user_message", "hi", False, "rollout"),
        (3, "agent_message", "**hello**", False, "rollout"),
    ]


async def test_screen_text_beyond_the_record_is_partial_and_keeps_its_id(
    transcript: Transcript,
) -> None:
    feed = transcript.open(ItemSource.ROLLOUT)
    feed.put(entries(Turn("started"), UserMessage("hi")))
    transcript.update_screen(conversation("hi", "• one"), working=True, now=True)
    assert shown(transcript)[-1] == (3, "agent_message", "• one", True, "screen")
    transcript.update_screen(conversation("hi", "• one and two"), working=True, now=True)
    feed.put(entries(AgentMessage("one *and* two"), first=2))
    assert shown(transcript)[2:] == [(3, "agent_message", "one *and* two", False, "rollout")]


async def test_partial_text_moves_after_an_item_that_is_no_message(
    transcript: Transcript,
) -> None:
    feed = transcript.open(ItemSource.ROLLOUT)
    feed.put(entries(Turn("started"), UserMessage("hi")))
    text = "• Ran ls\n  └ file.txt\n\n• Here is"
    transcript.update_screen(conversation("hi", text), working=True, now=True)
    feed.put(entries(ToolCall("shell", "ls", output="file.txt\n"), first=2))
    assert shown(transcript)[2:] == [
        (3, "tool_call", "", False, "rollout"),
        (4, "agent_message", "• Here is", True, "screen"),
    ]


async def test_partial_text_is_withdrawn_when_the_turn_ends(transcript: Transcript) -> None:
    feed = transcript.open(ItemSource.ROLLOUT)
    feed.put(entries(UserMessage("hi")))
    transcript.update_screen(conversation("hi", "half"), working=True, now=True)
    since = transcript.subscribe()
    await since.take()
    transcript.update_screen(conversation("hi", "half"), working=False)
    [(_, name, data)] = changed(await since.take())
    assert (name, data) == ("withdrawn", {"id": 2})
    assert len(transcript.items_after(0)) == 1


async def test_identical_entries_are_no_change(transcript: Transcript) -> None:
    found = entries(UserMessage("hi"), AgentMessage("hello"))
    feed = transcript.open(ItemSource.ROLLOUT)
    feed.put(found)
    subscription = transcript.subscribe()
    assert len(changed(await subscription.take())) == 2
    feed.put(found)
    feed.put(entries(AgentMessage("news"), first=1))
    assert [data["text"] for _, _, data in changed(await subscription.take())] == ["news"]


async def test_a_second_session_continues_ids_and_turns(transcript: Transcript) -> None:
    transcript.open(ItemSource.ROLLOUT).put(entries(UserMessage("one"), AgentMessage("1")))
    transcript.open(ItemSource.ROLLOUT).put(entries(UserMessage("two")))
    assert [(item.id, item.turn) for item in transcript.items_after(0)] == [(1, 1), (2, 1), (3, 2)]


async def test_back_in_a_session_only_new_entries_become_items(transcript: Transcript) -> None:
    first = entries(UserMessage("one"), AgentMessage("1"))
    feed = transcript.open(ItemSource.ROLLOUT)
    feed.put(first)
    transcript.open(ItemSource.ROLLOUT).put(entries(UserMessage("two")))
    for number in (3, 4):  # there and back, twice
        feed = transcript.open(ItemSource.ROLLOUT, feed)
        first.append(Entry(len(first), number - 1, NOW, UserMessage(f"more {number}")))
        feed.put(first[:1])
        feed.put(first[1:])
    found = [
        (item.id, item.turn, getattr(item.item, "text", "")) for item in transcript.items_after(0)
    ]
    assert found == [(1, 1, "one"), (2, 1, "1"), (3, 2, "two"), (4, 3, "more 3"), (5, 4, "more 4")]
    feed.replace(())
    assert len(transcript.items_after(0)) == 4


async def test_partial_items_of_a_session_that_was_left_are_complete(
    transcript: Transcript,
) -> None:
    running = ToolCall("shell", "make")
    ended = ToolCall("shell", "make", output="done", exit_code=0, status="completed")
    begun = [
        *entries(UserMessage("one")),
        *entries(running, running, first=1, partial=True),
    ]
    feed = transcript.open(ItemSource.ROLLOUT)
    feed.put(begun)
    transcript.open(ItemSource.ROLLOUT).put(entries(UserMessage("two")))
    assert [(i.item, i.partial) for i in transcript.items_after(0)[1:3]] == [(running, False)] * 2
    assert not transcript._partial
    feed = transcript.open(ItemSource.ROLLOUT, feed)  # back, and its record is read again
    feed.put([*begun, *entries(ended, first=1)])
    assert [(i.item, i.partial) for i in transcript.items_after(0)[1:3]] == [
        (ended, False),
        (running, True),
    ]
    assert [i.turn for i in transcript.items_after(0)] == [1, 1, 1, 2]
    transcript.open(ItemSource.ROLLOUT).put(entries(UserMessage("three")))
    feed = transcript.open(ItemSource.ROLLOUT, feed)
    feed.put([*begun, *entries(ended, ended, UserMessage("four"), first=1)])
    assert [(i.item, i.partial) for i in transcript.items_after(0)[1:3]] == [(ended, False)] * 2
    assert [i[2] for i in shown(transcript)] == ["one", "", "", "two", "three", "four"]
    assert not transcript._partial
    feed.put(entries(running, first=1, partial=True))  # complete items stay complete
    assert transcript.items_after(0)[1].item == ended


async def test_a_source_that_starts_over(transcript: Transcript) -> None:
    feed = transcript.open(ItemSource.ROLLOUT)
    feed.put(entries(UserMessage("one"), AgentMessage("1"), UserMessage("two")))
    feed.replace(())
    feed.put(entries(UserMessage("other")))
    assert shown(transcript) == [(1, "user_message", "other", False, "rollout")]


# -- reading -------------------------------------------------------------------------------------


async def test_pages(transcript: Transcript) -> None:
    transcript.open(ItemSource.ROLLOUT).put(entries(*(AgentMessage(str(n)) for n in range(5))))
    page, following = transcript.page(1, 2)
    assert ([item.id for item in page], following) == ([2, 3], 3)
    assert transcript.page(5, 2) == ([], 5)
    assert [item.id for item in transcript.page()[0]] == [1, 2, 3, 4, 5]


async def test_a_replay_has_all_later_changes_and_recorded_items(
    transcript: Transcript,
) -> None:
    feed = transcript.open(ItemSource.ROLLOUT)
    feed.put(entries(UserMessage("hi")))
    transcript.update_screen(conversation("hi", "hel"), working=True, now=True)
    feed.put(entries(ToolCall("shell", "ls"), first=1, partial=True))
    seen = changed(await transcript.subscribe().take())
    last = seen[-1][0]
    feed.put(entries(ToolCall("shell", "ls", status="completed"), first=1))
    feed.put(entries(AgentMessage("hello"), first=2))
    replay = changed(await transcript.subscribe(last).take())
    assert [(data["id"], data["partial"]) for _, _, data in replay] == [(2, False), (3, False)]
    assert [number for number, _, _ in replay] == sorted(number for number, _, _ in replay)
    assert replay[0][0] > last


@pytest.mark.parametrize("number", [0, 1, 10**18])
async def test_a_number_of_another_run_gets_everything(transcript: Transcript, number: int) -> None:
    transcript.open(ItemSource.ROLLOUT).put(entries(UserMessage("hi"), AgentMessage("hello")))
    assert len(changed(await transcript.subscribe(number).take())) == 2


async def test_a_slow_subscriber_gets_the_newest_state_only(transcript: Transcript) -> None:
    feed = transcript.open(ItemSource.ROLLOUT)
    subscription = transcript.subscribe()
    for number in range(10_000):
        feed.put(entries(AgentMessage(f"text {number}"), partial=number < 9_999))
    frames = changed(await subscription.take())
    assert [data["text"] for _, _, data in frames] == ["text 9999"]


async def test_a_long_transcript_comes_in_parts(transcript: Transcript) -> None:
    transcript.open(ItemSource.ROLLOUT).put(
        entries(*(AgentMessage("x" * 1000) for _ in range(100)))
    )
    subscription = transcript.subscribe()
    ids: list[int] = []
    while len(ids) < 100:
        part = await subscription.take(4096)
        assert len(part) < 8192
        ids += [data["id"] for _, _, data in changed(part)]
    assert ids == list(range(1, 101))


async def test_a_subscriber_waits_and_ends(transcript: Transcript) -> None:
    subscription = transcript.subscribe()
    waiting = asyncio.create_task(subscription.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    transcript.open(ItemSource.ROLLOUT).put(entries(UserMessage("hi")))
    assert len(changed(await waiting)) == 1
    last = asyncio.create_task(subscription.take())
    await asyncio.sleep(0)
    transcript.close()
    assert await last == b""


async def test_a_change_is_encoded_once_for_all_subscribers(
    transcript: Transcript, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[object] = []

    def encode(value: object) -> bytes:
        encoded.append(value)
        return json.dumps(value).encode()

    monkeypatch.setattr(transcript_changes, "encode", encode)
    readers = [transcript.subscribe() for _ in range(3)]
    feed = transcript.open(ItemSource.ROLLOUT)
    for text in ("hel", "hello"):
        feed.put(entries(UserMessage("hi"), AgentMessage(text), partial=True))
        taken = {await reader.take() for reader in readers}
        assert len(taken) == 1
        assert changed(taken.pop())[-1][2]["text"] == text
    assert len(encoded) == 3
    feed.replace(())
    assert len({await reader.take() for reader in readers}) == 1
    assert encoded[3:] == [{"id": 2}, {"id": 1}]


async def test_the_latest_encoded_changes_are_cached(transcript: Transcript) -> None:
    feed = transcript.open(ItemSource.ROLLOUT)
    reader = transcript.subscribe()
    for number in range(40):
        feed.put(entries(AgentMessage("x" * (FRAMES_KEPT // 10)), first=number))
        await reader.take()
        assert transcript._frames._size <= FRAMES_KEPT
    kept = transcript._frames._kept
    assert list(kept) == list(range(32, 41))
    assert transcript._frames._size == sum(len(frame) for _, frame in kept.values())


@given(st.lists(st.integers(1, 6), max_size=200), st.lists(st.integers(0, 200), max_size=4))
def test_the_last_change_of_each_item_after_any_number(
    ids: Sequence[int], starts: Sequence[int]
) -> None:
    changes = Changes()
    numbers = {}
    for item_id in ids:
        changes.add(item_id)
        numbers[item_id] = changes.latest
    for start in starts:
        after = changes.first + start
        wanted = sorted((number, i) for i, number in numbers.items() if number > after)
        assert list(changes.since(after)) == wanted


def test_the_log_of_changes_stays_small() -> None:
    changes = Changes()
    for number in range(100_000):
        changes.add(1 + number % 3)
    assert len(changes._numbers) < 3000
    assert [item_id for _, item_id in changes.since(0)] == [2, 3, 1]


def test_a_subscription_needs_no_loop_until_it_waits() -> None:
    subscription = TranscriptSubscription(Changes(), EncodedChanges(lambda _: None), None)
    subscription.close()
    assert asyncio.run(subscription.take()) == b""


# -- the tail ------------------------------------------------------------------------------------


def test_markdown_and_wrapped_lines_are_covered() -> None:
    tail = ScreenTail()
    tail.add(AgentMessage("# A *long* heading with `code`\n\n| a | b |\n|---|---|\n| c1x | d2y |"))
    assert tail.uncovered("• A long heading\n  with code\n\n  ┌─────┬─────┐\n  │ c1x │ d2y │") == ""


def test_lines_that_no_item_covers_are_returned() -> None:
    tail = ScreenTail()
    tail.add(AgentMessage("one"))
    tail.add(ToolCall("shell", "date -u", output="Friday\n"))
    text = "• one\n\n✔ You approved codex\n\n• Ran date -u\n  └ Friday\n\n• and then"
    assert tail.uncovered(text) == "• and then"
    assert tail.uncovered(text + "\n  more") == "• and then\n  more"
    tail.begin()
    assert tail.uncovered("• fresh") == "• fresh"
