"""`--message-format markdown` on the wire: same shape, same ids, exact words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agentapi.model.conversation import Choice, Dialog, Phase
from agentapi.model.items import AgentMessage, Entry, Item, ItemSource, Turn, UserMessage
from tests.support.live import serving

NOW = datetime(2026, 1, 2, tzinfo=UTC)


async def test_one_exchange_is_three_messages_with_the_exact_words() -> None:
    async with serving(verbatim=True, clock=lambda: NOW) as live:
        live.driver.say("banner")
        live.driver.idle()
        assert (await live.post("/message", {"content": "hi", "type": "user"})).status == 200
        live.driver.say("a bold word")
        feed = live.session.transcript.open(ItemSource.ROLLOUT)
        told: list[Item] = [Turn("started"), UserMessage("hi"), AgentMessage("a **bold** word  \n")]
        feed.put(Entry(n, 1, NOW, item) for n, item in enumerate([*told, Turn("completed")]))
        live.driver.idle()
        assert (await live.get("/status")).json["status"] == "stable"
        messages = (await live.get("/messages")).json["messages"]
        assert [(m["id"], m["role"], m["content"]) for m in messages] == [
            (0, "agent", "banner"),
            (1, "user", "hi"),
            (2, "agent", "a **bold** word  \n"),
        ]
        async with live.stream() as stream:
            data = await stream.until("message_update", id=2)
            assert data["message"] == "a **bold** word  \n"


DIALOG = Dialog("d1", "command", "Run this?", "to look", "ls", choices=(Choice("1", "Yes", "y"),))


@pytest.mark.parametrize("exact", [False, True], ids=["terminal", "markdown"])
@pytest.mark.parametrize("transport", ["pty", "acp"])
async def test_who_knows_the_contract_alone_sees_the_open_question(
    exact: bool, transport: str
) -> None:
    question = "Run this?\n\nto look\n\n```\nls\n```\n\n1. Yes (`y`)"
    async with serving(verbatim=exact, transport=transport) as live, live.stream() as stream:
        live.driver.idle()
        await stream.until("status_change", status="stable")
        await live.say("hi")
        await stream.until("status_change", status="running")
        live.driver.phase(Phase.BLOCKED, dialog=DIALOG)
        asked = await stream.until("message_update", role="agent", message=question)
        await stream.until("status_change", status="stable")
        last = (await live.get("/messages")).json["messages"][-1]
        assert (last["id"], last["content"]) == (asked["id"], question)
        assert (await live.post("/approval", {"id": "d1", "choice": "1"})).status == 200
        await stream.until("message_update", id=asked["id"], message="")
        await stream.until("status_change", status="running")
        live.driver.turn("done")
        await stream.until("message_update", id=asked["id"], message="done")
