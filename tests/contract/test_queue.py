"""`/queue` on the wire, and with a daemon that is killed."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from agentapi.model.conversation import Choice, Dialog, Phase
from agentapi.model.errors import SendError
from agentapi.session import queue
from tests.support.daemon import PATIENCE, Daemon, daemon
from tests.support.live import Live, serving, settle

DIALOG = Dialog("d1", "command", "Run this?", choices=(Choice("y", "Yes", "1"),))


async def waiting(live: Live) -> list[tuple[int, int, str, str]]:
    items = (await live.get("/queue")).json["items"]
    return [(item["id"], item["position"], item["content"], item["state"]) for item in items]


async def test_messages_are_queued_listed_and_cancelled() -> None:
    async with serving() as live:
        body = (await live.get("/queue")).json
        assert (body["items"], body["held_by"]) == ([], None)
        for number, text in enumerate(("one", "two", "three"), 1):
            answer = await live.post("/queue", {"content": text})
            assert (answer.status, answer.json["id"], answer.json["position"]) == (
                200,
                number,
                number,
            )
        assert (await live.call("DELETE", "/queue/2")).json["ok"] is True
        assert await waiting(live) == [(1, 1, "one", "waiting"), (3, 2, "three", "waiting")]
        assert (await live.get("/queue")).json["held_by"] == "starting: started"
        live.driver.idle()
        await settle()
        assert live.driver.sent == ["one"]
        assert await waiting(live) == [(3, 1, "three", "waiting")]
        live.driver.turn("answered")
        await settle()
        assert live.driver.sent == ["one", "three"]
        users = [m for m in (await live.get("/messages")).json["messages"] if m["role"] == "user"]
        assert [m["content"] for m in users] == ["one", "three"]


async def test_a_failed_message_says_why_and_what_to_do() -> None:
    async with serving() as live:
        live.driver.fail_next = SendError("echo", "it never showed")
        await live.post("/queue", {"content": "one"})
        live.driver.idle()
        await settle()
        body = (await live.get("/queue")).json
        assert body["items"][0]["state"] == "failed"
        assert body["items"][0]["error"] == "echo: it never showed"
        assert body["held_by"] == "message 1 failed; cancel it to let the queue go on"


async def test_it_holds_during_a_dialog_and_says_so() -> None:
    async with serving() as live:
        live.driver.phase(Phase.BLOCKED, "screen: command dialog", DIALOG)
        await live.post("/queue", {"content": "yes"})
        await settle()
        assert live.driver.sent == []
        assert (await live.get("/queue")).json["held_by"] == "blocked: screen: command dialog"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"content": " \n"}, 422, "must not be empty"),
        ({"content": 5}, 422, "string"),
        ({}, 422, "required property content"),
        ({"content": "a", "type": "user"}, 422, "unexpected property"),
        ([], 422, "object"),
    ],
)
async def test_what_is_no_message_is_refused(body: object, status: int, words: str) -> None:
    async with serving() as live:
        answer = await live.post("/queue", body)
        assert answer.status == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert words in str(answer.json["errors"])
        assert await waiting(live) == []


@pytest.mark.parametrize("id", ["7", "0", "-1", "x", "1e3", "9" * 30, "%00", "٣"])
async def test_what_is_not_queued_cannot_be_cancelled(id: str) -> None:
    async with serving() as live:
        await live.post("/queue", {"content": "one"})
        answer = await live.call("DELETE", f"/queue/{id}")
        assert answer.status == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert len(await waiting(live)) == 1


async def test_what_is_being_sent_cannot_be_cancelled() -> None:
    async with serving() as live:
        live.driver.hold.clear()
        live.driver.idle()
        await live.post("/queue", {"content": "one"})
        await settle()
        assert await waiting(live) == [(1, 1, "one", "sending")]
        assert (await live.call("DELETE", "/queue/1")).status == 409
        live.driver.hold.set()


async def test_a_full_queue_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "COUNT_LIMIT", 1)
    async with serving() as live:
        await live.post("/queue", {"content": "one"})
        answer = await live.post("/queue", {"content": "two"})
        assert answer.status == 429
        assert "DELETE /queue" in answer.json["detail"]


async def test_nothing_is_queued_for_an_agent_that_ended() -> None:
    async with serving() as live:
        live.driver.phase(Phase.EXITED, "status 1")
        answer = await live.post("/queue", {"content": "one"})
        assert (answer.status, "status 1" in answer.json["detail"]) == (409, True)


# -- the real server -----------------------------------------------------------------------------

AGENT = (
    *("sh", "-c"),
    'printf "> "; while read -r line; do echo "$line" >>"$0"; echo "thanks for $line";'
    ' while [ "$line" = slow ]; do echo .; sleep 0.05; done; printf "> "; done',
)
"""Notes each line in its file; `slow` keeps it at work until it is ended."""


async def post(server: Daemon, content: str) -> int:
    """Queue a message; its id."""
    url = await server.url() + "/queue"
    async with server.client.post(url, json={"content": content}) as response:
        assert response.status == 200, await response.text()
        return int((await response.json())["id"])


async def cancel(server: Daemon, id: int) -> int:
    async with server.client.delete(f"{await server.url()}/queue/{id}") as response:
        return response.status


async def emptied(server: Daemon) -> list[str]:
    """Wait until nothing is queued; what failed was cancelled, and is returned."""
    failed: list[str] = []
    async with server.events() as events, asyncio.timeout(PATIENCE):
        async for _ in events:
            items = (await server.get("/queue"))["items"]
            if items and items[0]["state"] == "failed":
                failed.append(items[0]["content"])
                assert await cancel(server, items[0]["id"]) == 200
                items = items[1:]
            if not items:
                return failed
    raise AssertionError("the stream ended")


async def test_the_queue_survives_kill_9(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    words = ("-s", str(tmp_path / "state.json"), "--", *AGENT, str(heard))
    async with daemon(*words) as server:
        await server.stable()
        assert await server.say("slow") == 200
        ids = [await post(server, text) for text in ("one", "two", "three")]
        assert ids == [1, 2, 3]
        assert await cancel(server, 2) == 200
        assert await server.end(signal.SIGKILL) != 0
    async with daemon(*words) as server:
        assert await emptied(server) == []
        assert await post(server, "four") == 4, "ids are never used again"
        assert await emptied(server) == []
        await server.until(lambda messages: ("user", "four") in messages)
        said = [text for role, text in await server.messages() if role == "user"]
    assert said == ["slow", "one", "three", "four"]
    assert heard.read_text().split() == said


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.1, 0.3])
async def test_whenever_it_is_killed_nothing_is_sent_twice(tmp_path: Path, moment: float) -> None:
    heard = tmp_path / "heard"
    words = ("-s", str(tmp_path / "state.json"), "--", *AGENT, str(heard))
    async with daemon(*words) as server:
        await server.stable()
        for text in ("one", "two", "three"):
            await post(server, text)
        await asyncio.sleep(moment)  # to be killed at different steps: none may matter
        await server.end(signal.SIGKILL)
    async with daemon(*words) as server:
        failed = await emptied(server)
        await server.stable()
        said = [text for role, text in await server.messages() if role == "user"]
    assert len(failed) <= 1
    assert sorted({*said, *failed}) == ["one", "three", "two"], "nothing is lost without a word"
    got = heard.read_text().split()
    assert len(got) == len(set(got))
    assert [text for text in got if text not in failed] == said
