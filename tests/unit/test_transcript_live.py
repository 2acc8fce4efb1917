"""What the link streams, in the transcript: under the id that the exact item gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.transcript import Feed, Transcript
from agentapi.transcript_items import (
    AgentMessage,
    Entry,
    Item,
    Source,
    ToolCall,
    Turn,
    UserMessage,
)
from agentapi.transcript_live import Live
from tests.unit.test_transcript import NOW, conversation


@pytest.fixture
async def transcript() -> Transcript:
    """One within a turn, told by a rollout."""
    made = Transcript(opening=True)
    put(made.open(Source.ROLLOUT), 0, Turn("started"), UserMessage("hi"))
    return made


def put(feed: Feed, first: int, *items: Item) -> None:
    """Tell items from an index on."""
    feed.put([Entry(first + n, 1, NOW, item) for n, item in enumerate(items)])


def rest(transcript: Transcript) -> list[tuple[int, str, bool, str]]:
    """(id, text, partial, source) of the agent's messages."""
    return [
        (item.id, item.item.text, item.partial, item.source.value)
        for item in transcript.items
        if isinstance(item.item, AgentMessage)
    ]


async def test_live_text_is_partial_and_becomes_the_exact_item(transcript: Transcript) -> None:
    feed = transcript._feed
    assert feed is not None
    transcript.live("t", "m", "**bo")
    transcript.page()
    assert rest(transcript) == [(3, "**bo", True, "link")]
    put(feed, 2, AgentMessage("**bold**"))
    assert rest(transcript) == [(3, "**bold**", False, "rollout")]
    transcript.live("t", "m", "**bold**")  # the link's own end of it, late
    transcript.page()
    assert rest(transcript) == [(3, "**bold**", False, "rollout")]


async def test_it_takes_the_place_of_the_screen_s_text(transcript: Transcript) -> None:
    transcript.screen(conversation("hi", "• bo"), working=True, now=True)
    assert rest(transcript) == [(3, "• bo", True, "screen")]
    transcript.live("t", "m", "**bo")
    transcript.page()
    assert rest(transcript) == [(3, "**bo", True, "link")]


async def test_it_moves_behind_an_item_that_is_no_message(transcript: Transcript) -> None:
    feed = transcript._feed
    assert feed is not None
    transcript.live("t", "m", "one")
    put(feed, 2, ToolCall("shell", "ls"))
    assert rest(transcript) == [(4, "one", True, "link")]


async def test_nothing_is_left_of_it_when_the_turn_is_over(transcript: Transcript) -> None:
    feed = transcript._feed
    assert feed is not None
    transcript.live("t", "m", "half")
    put(feed, 2, Turn("aborted"))
    assert rest(transcript) == []
    transcript.live("t", "m", "half of it")
    transcript.page()
    assert rest(transcript) == []


async def test_without_the_link_the_screen_counts_again(transcript: Transcript) -> None:
    transcript.live("t", "m", "one")
    transcript.unlink()
    transcript.screen(conversation("hi", "• two"), working=True, now=True)
    assert rest(transcript) == [(3, "• two", True, "screen")]


async def test_a_listener_is_told_of_all_changes_at_once(transcript: Transcript) -> None:
    told: list[list[int]] = []
    transcript.watch(told.append)
    feed = transcript._feed
    assert feed is not None
    put(feed, 2, ToolCall("shell", "ls"), AgentMessage("done"))
    assert told[-1] == [3, 4]
    count = len(told)
    put(feed, 3, AgentMessage("done"))
    assert len(told) == count


@given(st.lists(st.text(min_size=1), max_size=5), st.data())
def test_the_exact_messages_and_the_rest_are_all_messages(
    texts: list[str], data: st.DataObject
) -> None:
    live = Live()
    for number, text in enumerate(texts):
        live.tell("t", str(number), text)
    covered = data.draw(st.integers(0, len(texts)))
    for text in texts[:covered]:
        live.covered(text)
    assert len(live.rest()) == len(texts) - covered
    live.tell("t2", "other", "new")
    assert live.rest() == ["new"]
