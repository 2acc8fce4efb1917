"""The hub, its subscribers' queues, and the frames."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import example, given
from hypothesis import strategies as st

from agentapi.model.conversation import Level, Message, Notice, Role, Status
from agentapi.model.encoding import encode, rfc3339
from agentapi.session.events import (
    BACKLOG,
    FRAME_LIMIT,
    SCREEN_LIMIT,
    Event,
    EventHub,
    message_event,
    notice_event,
    screen_event,
    shorten,
    status_event,
)

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


def update(number: int, text: str) -> Event:
    return message_event(Message(number, Role.AGENT, text, NOON))


def number(value: int) -> Event:
    return Event("number", {"value": value})


def names(data: bytes) -> list[bytes]:
    return [frame.split(b"\n")[1] for frame in data.split(b"\n\n") if frame]


def test_frames_are_these_bytes() -> None:
    assert update(3, "hé\n“x”").frame == (
        b'event: message_update\ndata: {"id":3,"role":"agent","message":"h\xc3\xa9\\n'
        b'\xe2\x80\x9cx\xe2\x80\x9d","time":"2026-01-02T12:00:00Z"}\n\n'
    )
    assert status_event(Status.STABLE, "codex").frame == (
        b'event: status_change\ndata: {"status":"stable","agent_type":"codex"}\n\n'
    )
    assert notice_event(Notice(Level.WARNING, "disk full", NOON)).frame == (
        b'event: agent_error\ndata: {"message":"disk full","level":"warning",'
        b'"time":"2026-01-02T12:00:00Z"}\n\n'
    )
    assert screen_event("a\nb").frame == b'event: screen\ndata: {"screen":"a\\nb"}\n\n'


def test_times_are_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert rfc3339(datetime(2026, 1, 2, 14, 0, 0, 5, tzinfo=east)) == "2026-01-02T12:00:00.000005Z"


def test_an_event_becomes_bytes_once() -> None:
    event = update(0, "x")
    assert event.frame is event.frame


def test_lone_surrogates_do_not_break_a_frame() -> None:
    assert json.loads(encode("a\ud800b")) == "a?b"


@given(st.text(), st.integers(200, 2000), st.integers(1, 400))
@example("\\" * 3000, 300, 1)
@example("\x00" * 3000, 301, 1)
@example("a\\\x01é😀" * 900, 555, 1)
def test_a_shortened_text_fits_and_keeps_both_ends(text: str, room: int, times: int) -> None:
    text = (text * times).replace("\ud800", "")
    short = shorten(text, room)
    assert len(encode(short)) - 2 <= room
    if short != text:
        assert len(encode(text)) - 2 > room
        head, _, tail = short.partition("\n\n[… cut here")
        tail = tail.partition("…]\n\n")[2]
        assert text.startswith(head)
        assert text.endswith(tail)


def test_no_frame_exceeds_what_clients_take() -> None:
    for char in ("a", "é", "😀", "\\", "\x00", '"', "\n"):
        event = update(7, char * 1_000_000)
        assert FRAME_LIMIT - 32 < len(event.frame) <= FRAME_LIMIT < 128 * 1024
        assert "cut here" in json.loads(event.frame.split(b"data: ")[1])["message"]
    assert len(screen_event("x" * 1_000_000).frame) <= SCREEN_LIMIT


async def test_the_snapshot_comes_first_then_what_is_published() -> None:
    hub = EventHub()
    subscription = hub.subscribe([number(1), number(2)])
    hub.publish(number(3))
    assert names(await subscription.take()) == [b'data: {"value":%d}' % n for n in (1, 2, 3)]


async def test_a_batch_is_bounded_but_never_empty() -> None:
    hub = EventHub()
    subscription = hub.subscribe([number(1), number(2)])
    assert len(names(await subscription.take(at_most=1))) == 1
    assert len(names(await subscription.take(at_most=1))) == 1


async def test_taking_waits_for_the_next_event() -> None:
    hub = EventHub()
    subscription = hub.subscribe()
    waiting = asyncio.ensure_future(subscription.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    hub.publish(number(1))
    assert await waiting == number(1).frame


async def test_a_cancelled_take_loses_nothing() -> None:
    hub = EventHub()
    subscription = hub.subscribe()
    waiting = asyncio.ensure_future(subscription.take())
    await asyncio.sleep(0)
    hub.publish(number(1))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await subscription.take() == number(1).frame


async def test_unsent_updates_of_a_message_are_replaced_in_their_place() -> None:
    hub = EventHub()
    subscription = hub.subscribe()
    hub.publish(update(1, "a"))
    hub.publish(status_event(Status.STABLE, "codex"))
    hub.publish(update(2, "question"))
    hub.publish(update(1, "ab"))
    frames = await subscription.take()
    assert [line[:40] for line in names(frames)] == [
        b'data: {"id":1,"role":"agent","message":"',
        b'data: {"status":"stable","agent_type":"c',
        b'data: {"id":2,"role":"agent","message":"',
    ]
    assert b'"ab"' in frames
    assert hub.replaced == 1


async def test_statuses_are_never_merged() -> None:
    hub = EventHub()
    subscription = hub.subscribe()
    for status in (Status.STABLE, Status.RUNNING, Status.STABLE):
        hub.publish(status_event(status, "codex"))
    assert len(names(await subscription.take())) == 3


async def test_a_subscriber_that_falls_too_far_behind_is_closed() -> None:
    hub = EventHub()
    slow, fast = hub.subscribe(), hub.subscribe()
    cut: list[bool] = []
    slow.on_overflow = lambda: cut.append(True)
    for value in range(BACKLOG):
        hub.publish(number(value))
    await fast.take(at_most=10**9)
    assert not slow.closed
    hub.publish(number(BACKLOG))
    assert slow.closed
    assert cut == [True]
    assert await slow.take() == b""
    assert await fast.take() == number(BACKLOG).frame
    assert (len(hub), hub.overflowed) == (1, 1)


async def test_a_growing_message_never_overflows_a_queue() -> None:
    hub = EventHub()
    subscription = hub.subscribe()
    for length in range(BACKLOG * 2):
        hub.publish(update(1, "x" * length))
    assert len(names(await subscription.take())) == 1


async def test_closing_the_hub_ends_streams_after_what_they_were_told() -> None:
    hub = EventHub()
    subscription = hub.subscribe([number(1)])
    hub.publish(number(2))
    hub.close()
    assert len(names(await subscription.take())) == 2
    assert await subscription.take() == b""
    late = hub.subscribe([number(3)])
    assert await late.take() == number(3).frame
    assert await late.take() == b""


async def test_closing_wakes_who_waits() -> None:
    subscription = EventHub().subscribe()
    waiting = asyncio.ensure_future(subscription.take())
    await asyncio.sleep(0)
    subscription.close()
    assert await waiting == b""
