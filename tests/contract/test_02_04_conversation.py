"""Contract points 2, 3 and 4: the status, the messages, and sending one."""

from __future__ import annotations

import asyncio
import logging

import pytest

from agentapi.model.conversation import Choice, Dialog, Phase
from agentapi.model.errors import SendError
from tests.support.live import serving, settle

BUSY = "failed to send message: message can only be sent when the agent is waiting for user input"
EMPTY = "failed to send message: message must not be empty"


# -- 2: the status -------------------------------------------------------------------------------


async def test_contract_point_2_the_status_answers_before_the_agent_is_started() -> None:
    async with serving(start=False) as live:
        answer = (await live.get("/status")).json
        del answer["$schema"]
        assert answer == {"status": "running", "agent_type": "codex", "transport": "pty"}


@pytest.mark.parametrize("transport", ["pty", "acp"])
async def test_contract_point_2_the_status_names_agent_and_transport(transport: str) -> None:
    async with serving(transport=transport) as live:
        live.driver.idle()
        answer = (await live.get("/status")).json
        assert (answer["status"], answer["transport"]) == ("stable", transport)


# -- 3: the messages -----------------------------------------------------------------------------


async def test_contract_point_3_messages_are_a_list_from_the_first_moment() -> None:
    async with serving(start=False) as live:
        (first,) = (await live.get("/messages")).json["messages"]
        assert (first["id"], first["role"], first["content"]) == (0, "agent", "")
    async with serving(start=False, transport="acp") as live:
        assert (await live.get("/messages")).json["messages"] == []


async def test_contract_point_3_one_exchange_makes_three_messages() -> None:
    async with serving() as live:
        live.driver.say("banner")
        live.driver.idle()
        await live.say("hi")
        live.driver.turn("hello")
        messages = (await live.get("/messages")).json["messages"]
        assert [(one["id"], one["role"], one["content"]) for one in messages] == [
            (0, "agent", "banner"),
            (1, "user", "hi"),
            (2, "agent", "hello"),
        ]
        assert all(one["time"].endswith("Z") for one in messages)


async def test_contract_point_3_over_acp_one_exchange_makes_two_messages() -> None:
    async with serving(transport="acp") as live:
        live.driver.idle()
        await live.say("hi")
        live.driver.turn("hello")
        messages = (await live.get("/messages")).json["messages"]
        assert [(one["id"], one["role"]) for one in messages] == [(0, "user"), (1, "agent")]


# -- 4: sending ----------------------------------------------------------------------------------


async def test_contract_point_4_a_sent_message_is_ok_and_the_status_runs_at_once() -> None:
    async with serving() as live:
        live.driver.idle()
        answer = await live.say("  hi\n")
        assert (answer.status, answer.json["ok"]) == (200, True)
        assert (await live.get("/status")).json["status"] == "running"
        assert live.driver.sent == ["hi"]


async def test_contract_point_4_a_message_while_the_agent_works_is_500_with_the_known_text() -> (
    None
):
    async with serving() as live:
        live.driver.phase(Phase.WORKING)
        answer = await live.say("hi")
        assert (answer.status, answer.json["detail"]) == (500, "unexpected error occurred")
        assert answer.json["errors"] == [{"message": BUSY}]


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.WORKING, Phase.STARTING])
async def test_contract_point_4_a_blank_message_is_500_also_while_busy(phase: Phase) -> None:
    async with serving() as live:
        live.driver.phase(phase)
        for blank in ("", " \n\t"):
            answer = await live.say(blank)
            assert answer.status == 500
            assert answer.json["errors"] == [{"message": EMPTY}]


async def test_contract_point_4_a_failed_send_names_its_step() -> None:
    async with serving() as live:
        live.driver.idle()
        live.driver.fail_next = SendError("echo", "the text never showed in the composer")
        answer = await live.say("hi")
        assert answer.status == 500
        assert answer.json["errors"] == [
            {"message": "failed to send message: echo: the text never showed in the composer"}
        ]


async def test_contract_point_4_a_message_during_a_dialog_is_refused_and_never_typed() -> None:
    async with serving() as live:
        dialog = Dialog("1", "command", "Run rm -rf?", choices=(Choice("y", "Yes", "1"),))
        live.driver.phase(Phase.BLOCKED, "approval", dialog)
        answer = await live.say("1")
        assert answer.status == 500
        assert "Run rm -rf?" in answer.json["errors"][0]["message"]
        assert (live.driver.sent, live.driver.typed) == ([], [])


@pytest.mark.parametrize("phase", list(Phase)[:-1])
async def test_contract_point_4_raw_is_typed_as_it_is_in_any_phase(phase: Phase) -> None:
    async with serving() as live:
        live.driver.phase(phase)
        for keys in ("\x1b[A", " ", "", "\r"):
            assert (await live.say(keys, "raw")).status == 200
        assert live.driver.typed == ["\x1b[A", " ", "", "\r"]
        assert len(live.session.messages) == 1


async def test_contract_point_4_raw_keeps_its_order() -> None:
    async with serving() as live:
        for key in "abcdefgh":
            await live.say(key, "raw")
        assert "".join(live.driver.typed) == "abcdefgh"


async def test_contract_point_4_raw_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with serving() as live:
            await live.say("hunter2-secret", "raw")
    assert "hunter2-secret" not in caplog.text


async def test_contract_point_4_nothing_waits_for_a_send_under_way() -> None:
    async with serving() as live:
        live.driver.idle()
        live.driver.hold.clear()
        sending = asyncio.ensure_future(live.say("hi"))
        await live.driver.sending.wait()
        assert (await live.get("/status")).status == 200
        assert (await live.get("/messages")).status == 200
        assert (await live.say("\x1b", "raw")).status == 200
        assert not sending.done()
        live.driver.hold.set()
        assert (await sending).status == 200


async def test_contract_point_4_of_two_messages_at_once_the_second_finds_a_busy_agent() -> None:
    async with serving() as live:
        live.driver.idle()
        live.driver.hold.clear()
        first = asyncio.ensure_future(live.say("first"))
        await live.driver.sending.wait()
        second = asyncio.ensure_future(live.say("second"))
        await settle()
        live.driver.hold.set()
        assert (await first).status == 200
        assert (await second).json["errors"] == [{"message": BUSY}]
        assert live.driver.sent == ["first"]


async def test_contract_point_4_a_client_that_gives_up_leaves_no_half_typed_message() -> None:
    async with serving() as live:
        live.driver.idle()
        live.driver.hold.clear()
        giving_up = asyncio.ensure_future(live.say("hi"))
        await live.driver.sending.wait()
        giving_up.cancel()
        await asyncio.gather(giving_up, return_exceptions=True)
        async with live.stream() as stream:
            live.driver.hold.set()
            assert (await stream.until("message_update", role="user"))["message"] == "hi"
