"""`GET /transcript` and `GET /transcript/events`, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from agentapi.http.app import HttpOptions
from agentapi.model.conversation import Choice, Dialog, Phase
from agentapi.model.events import ItemChanged, SessionKnown, TurnChanged, UserText
from agentapi.model.items import (
    AgentMessage,
    Approval,
    Entry,
    Item,
    ItemSource,
    Plan,
    ToolCall,
    Turn,
    UserMessage,
)
from agentapi.transcript.feed import Feed
from tests.support.live import PATIENCE, Live, serving

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
ITEMS: list[Item] = [
    Turn("started"),
    UserMessage("hi ✔"),
    Plan("Two", ({"step": "Look", "status": "completed"},)),
    Approval("ls", "may I?", "approved"),
    ToolCall("shell", "ls", "", "a\n", 0, 12, "completed"),
    AgentMessage("**done**\n"),
]


def told(*items: Item, first: int = 0, partial: bool = False) -> list[Entry]:
    """What a source tells, from an index on."""
    return [Entry(first + n, 1, NOW, item, partial) for n, item in enumerate(items)]


@asynccontextmanager
async def exact(*items: Item, **options: Any) -> AsyncIterator[tuple[Live, Feed]]:
    """A server whose transcript comes from an exact source."""
    async with serving(HttpOptions(**options)) as live:
        feed = live.session.transcript.open(ItemSource.ROLLOUT)
        feed.put(told(*items))
        yield live, feed


class Events:
    """Reads frames of the stream."""

    def __init__(self, content: Any) -> None:
        self._content = content

    async def frame(self) -> bytes:
        """The next frame."""
        async with asyncio.timeout(PATIENCE):
            return bytes(await self._content.readuntil(b"\n\n"))

    async def event(self) -> tuple[int, str, Any]:
        """The next event's number, name and data."""
        number, name, data = (await self.frame()).decode().strip().split("\n")
        return int(number[4:]), name.removeprefix("event: "), json.loads(data[6:])

    async def until(self, **members: object) -> None:
        """Read up to an event with these members in its data."""
        while not (await self.event())[2].items() >= members.items():
            pass


@asynccontextmanager
async def events(live: Live, last: int | None = None) -> AsyncIterator[Events]:
    """The stream, from an event on."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    url = live.url + "/transcript/events"
    async with live.client.get(url, headers=headers) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        yield Events(response.content)


async def test_items_as_the_design_has_them() -> None:
    async with exact(*ITEMS) as (live, _):
        body = (await live.get("/transcript")).json
        assert body["next"] == 6
        common = {"turn": 1, "time": "2026-01-02T03:04:05.678000Z", "partial": False}
        for number, item in enumerate(body["items"], 1):
            assert item.items() >= {**common, "id": number, "source": "rollout"}.items()
        assert [item["kind"] for item in body["items"]] == [
            "turn",
            "user_message",
            "plan",
            "approval",
            "tool_call",
            "agent_message",
        ]
        assert body["items"][1]["text"] == "hi ✔"
        call = body["items"][4]
        wanted = {"tool": "shell", "command": "ls", "output": "a\n", "exit_code": 0}
        assert call.items() >= {**wanted, "duration_ms": 12, "status": "completed"}.items()
        assert body["items"][5]["text"] == "**done**\n"


async def test_pages() -> None:
    async with exact(*ITEMS) as (live, _):
        body = (await live.get("/transcript?after=2&limit=3")).json
        assert ([item["id"] for item in body["items"]], body["next"]) == ([3, 4, 5], 5)
        body = (await live.get("/transcript?after=6")).json
        assert (body["items"], body["next"]) == ([], 6)


@pytest.mark.parametrize("query", ["after=x", "after=-1", "limit=0", "limit=10001", "limit="])
async def test_a_wrong_number_is_refused_and_named(query: str) -> None:
    async with serving() as live:
        answer = await live.get("/transcript?" + query)
        assert answer.status == 422
        [error] = answer.json["errors"]
        assert error["location"] == "query." + query.partition("=")[0]
        assert "a whole number from" in error["message"]


async def test_an_agent_without_a_transcript_is_served_from_the_screen() -> None:
    async with serving() as live:
        live.driver.say("the start-up screen")
        live.driver.emit(UserText("hi"))
        live.driver.phase(Phase.WORKING)
        live.driver.say("half")
        items = (await live.get("/transcript")).json["items"]
        assert [(i["kind"], i["text"], i["partial"]) for i in items] == [
            ("user_message", "hi", False),
            ("agent_message", "half", True),
        ]
        live.driver.turn("whole")
        items = (await live.get("/transcript")).json["items"]
        assert (items[1]["text"], items[1]["partial"]) == ("whole", False)
        assert {item["source"] for item in items} == {"screen"}


async def test_events_tell_everything_then_each_change() -> None:
    async with exact(*ITEMS[:2]) as (live, feed), events(live) as stream:
        first, second = await stream.event(), await stream.event()
        assert (first[1], first[2]["kind"], second[2]["text"]) == ("item", "turn", "hi ✔")
        assert first[0] < second[0]
        feed.put(told(AgentMessage("new"), first=2))
        number, name, data = await stream.event()
        assert (name, data["id"], data["text"]) == ("item", 3, "new")
        assert number > second[0]
        assert data == (await live.get("/transcript?after=2")).json["items"][0]


async def test_a_replay_tells_what_changed_while_nobody_listened() -> None:
    async with exact(*ITEMS[:2]) as (live, feed):
        live.driver.emit(UserText("hi"))
        live.driver.phase(Phase.WORKING)
        live.driver.say("• hal")
        async with events(live) as stream:
            seen = [await stream.event() for _ in range(3)]
        assert (seen[2][2]["partial"], seen[2][2]["source"]) == (True, "screen")
        feed.put(told(AgentMessage("*half*"), first=2))
        async with events(live, seen[2][0]) as stream:
            _, name, data = await stream.event()
            assert (name, data["id"], data["text"]) == ("item", seen[2][2]["id"], "*half*")
            assert (data["partial"], data["source"]) == (False, "rollout")
            feed.put(told(AgentMessage("end"), first=3))
            assert (await stream.event())[2]["text"] == "end"


@pytest.mark.parametrize("last", ["", "abc", "5", "9" * 30])
async def test_a_last_event_id_of_another_run_gets_everything(last: str) -> None:
    async with exact(*ITEMS) as (live, _):
        url, headers = live.url + "/transcript/events", {"Last-Event-ID": last}
        async with live.client.get(url, headers=headers) as response:
            stream = Events(response.content)
            assert [(await stream.event())[2]["id"] for _ in ITEMS] == [1, 2, 3, 4, 5, 6]


async def test_a_silent_stream_is_kept_alive_by_comments() -> None:
    async with exact(ping_interval=0.01) as (live, _), events(live) as stream:
        assert await stream.frame() == b": ping\n\n"


CALL = ToolCall("shell", "seq 2")
DIALOG = Dialog("d1", "command", "May I?", "it asks", "seq 2", choices=(Choice("1", "Yes", "y"),))


async def test_what_the_link_tells_goes_out_as_it_happens() -> None:
    async with exact() as (live, feed), events(live) as stream:
        emit = live.driver.emit
        emit(SessionKnown("s"))
        emit(TurnChanged("t", "started"))
        await stream.until(id=1, kind="turn", turn=1, source="link")
        emit(ItemChanged("t", "u", UserMessage("hi"), False))
        await stream.until(id=2, kind="user_message", text="hi", source="link")
        emit(ItemChanged("t", "c", CALL, True))
        await stream.until(id=3, partial=True, source="link", status="running", output="")
        feed.put([Entry(0, 1, NOW, Turn("started"), key="t"), *told(UserMessage("hi"), first=1)])
        await stream.until(id=2, kind="user_message", text="hi", source="rollout")
        emit(ItemChanged("t", "c", replace(CALL, output="1\n"), True))
        feed.put([Entry(2, 1, NOW, CALL, True, "c")])
        await stream.until(id=3, partial=True, source="link", status="running", output="1\n")
        done = replace(CALL, output="1\n2\n", exit_code=0, duration_ms=5, status="completed")
        emit(ItemChanged("t", "c", done, False))
        await stream.until(id=3, partial=False, source="link", exit_code=0, duration_ms=5)
        feed.put([Entry(2, 1, NOW, done, False, "c")])
        await stream.until(id=3, partial=False, source="rollout", output="1\n2\n")


async def test_a_replay_has_what_became_exact() -> None:
    async with exact(*ITEMS[:2]) as (live, feed):
        live.driver.emit(SessionKnown("s"))
        live.driver.emit(ItemChanged("t", "m", AgentMessage("so"), True))
        async with events(live) as stream:
            seen = [await stream.event() for _ in range(4)]
        assert (seen[3][2]["text"], seen[3][2]["source"]) == ("so", "link")
        feed.put([Entry(2, 2, NOW, Turn("started"), key="t")])
        feed.put([Entry(3, 2, NOW, AgentMessage("so far"))])
        async with events(live, seen[3][0]) as stream:
            changed = [(await stream.event())[2] for _ in range(2)]
            assert [(i["id"], i["kind"], i["source"]) for i in changed] == [
                (3, "turn", "rollout"),
                (4, "agent_message", "rollout"),
            ]


@pytest.mark.parametrize("linked", [True, False])
async def test_a_dialog_is_announced_and_its_end(linked: bool) -> None:
    async with exact(*ITEMS[:2]) as (live, feed):
        if linked:
            live.driver.emit(SessionKnown("s"))
        live.driver.phase(Phase.WORKING)
        async with events(live) as stream:
            for _ in ITEMS[:2]:
                await stream.event()
            live.driver.phase(Phase.BLOCKED, dialog=DIALOG)
            asked = (await stream.event())[2]
            assert (asked["kind"], asked["id"], asked["partial"]) == ("approval", 3, True)
            assert asked["source"] == ("link" if linked else "screen")
            wanted = {"command": "seq 2", "reason": "it asks", "decision": "pending"}
            assert asked.items() >= {**wanted, "title": "May I?", "dialog": "d1"}.items()
            body = {"id": asked["dialog"], "choice": "1"}
            assert (await live.post("/approval", body)).status == 200
            answered = (await stream.event())[2]
            assert answered == {**asked, "partial": False, "decision": "answered"}
            feed.put(told(Turn("completed"), first=2))
            assert (await stream.event())[2]["kind"] == "turn"
        assert len((await live.get("/transcript")).json["items"]) == 3


async def test_partial_text_that_comes_to_nothing_is_withdrawn() -> None:
    async with exact(*ITEMS[:2]) as (live, _), events(live) as stream:
        live.driver.emit(UserText("hi"))
        live.driver.phase(Phase.WORKING)
        live.driver.say("half")
        while (await stream.event())[2].get("text") != "half":
            pass
        live.driver.idle()
        assert (await stream.event())[1:] == ("withdrawn", {"id": 3})


async def test_the_stream_ends_with_the_server() -> None:
    async with exact(*ITEMS[:1]) as (live, _), events(live) as stream:
        await stream.event()
        live.session.close_streams()
        assert await stream.frame() == b""


async def test_usage_of_the_source_is_in_the_session() -> None:
    async with exact(*ITEMS) as (live, feed):
        assert (await live.get("/session")).json["usage"] is None
        feed.set_usage({"model": "m", "total": {"total_tokens": 5}})
        usage = (await live.get("/session")).json["usage"]
        assert usage == {"model": "m", "total": {"total_tokens": 5}}
