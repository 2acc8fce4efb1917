"""Steering a real Codex without keys: interrupt it, queue for it, ask why it seems to work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.e2e.conftest import V80, V125, V142_LINKED, Kind, Talk
from tests.support.server import Sent, Server

pytestmark = [pytest.mark.codex, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(
    scope="module",
    params=[
        Kind(approvals=True),
        Kind(approvals=True, link=True),
        Kind(V142_LINKED.version, approvals=True, link=True),
        Kind(V125.version, approvals=True),
        Kind(V80.version, approvals=True),
    ],
    ids=str,
)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Codexes that ask before they run anything."""
    found: Kind = request.param
    return found


@contextlib.contextmanager
def held(talk: Talk) -> Iterator[None]:
    """The model does not answer."""
    talk.model.hold()
    try:
        yield
    finally:
        talk.model.release()


async def interrupt(server: Server) -> str:
    answer = await server.post("/interrupt")
    assert answer["ok"] is True
    return str(answer["phase"])


async def test_an_interrupt_ends_the_turn_and_codex_lives_on(talk: Talk) -> None:
    server, count = talk.server, len(talk.server.statuses)
    with held(talk):
        assert await server.send("hello") == Sent(200)
        await talk.model.wait_until_held()
        assert await interrupt(server) == "idle"
    await server.wait_status("running", "stable", since=count)
    assert "■ Conversation interrupted" in (await server.messages())[-1][1]
    for _ in range(3):  # between turns the same key would leave, or edit what was said
        assert await interrupt(server) == "idle"
    assert await talk.turn("echo still here") == "• echo still here"


async def test_an_interrupt_refuses_what_the_turn_asks(talk: Talk) -> None:
    server = talk.server
    assert await server.send("approve touch interrupted") == Sent(200)
    await server.until(lambda: server.status_now == "stable", "the dialog")
    assert await server.phase() == "blocked"
    assert await interrupt(server) == "idle"
    assert (await server.get("/approval"))["open"] is None
    assert not (talk.home.workdir / "interrupted").exists()
    assert await talk.turn("echo and here") == "• echo and here"


async def test_two_interrupts_at_once_right_after_a_message_end_one_turn(talk: Talk) -> None:
    server, count = talk.server, len(talk.server.statuses)
    with held(talk):
        assert await server.send("echo too early") == Sent(200)
        both = await asyncio.gather(interrupt(server), interrupt(server))
        assert list(both) == ["idle", "idle"]
    await server.wait_status("running", "stable", since=count)
    assert await talk.turn("echo once more") == "• echo once more"


async def test_the_queue_waits_for_an_answer(talk: Talk) -> None:
    server = talk.server
    assert await server.send("approve touch queued") == Sent(200)
    await server.until(lambda: server.status_now == "stable", "the dialog")
    await server.post("/queue", {"content": "echo behind it"})
    assert (await server.get("/queue"))["held_by"].startswith("blocked: ")
    question = (await server.get("/approval"))["open"]
    await server.post("/approval", {"id": question["id"], "choice": question["choices"][0]["id"]})
    await server.until(
        lambda: server.status_now == "stable" and server.told[-1][1] == "• echo behind it",
        "both answers",
    )
    assert (talk.home.workdir / "queued").exists()
    assert [text for role, text in server.told if role == "user"][-2:] == talk.prompts[-2:]


async def typed_by_raw(server: Server, keys: str) -> None:
    for key in keys:
        await server.raw(key)


async def typed_in_a_terminal(server: Server, keys: str) -> None:
    async with server.client.ws_connect(server.url + "/terminal") as terminal:
        for key in keys:
            await terminal.send_bytes(key.encode())


@pytest.mark.parametrize("typed", [typed_by_raw, typed_in_a_terminal])
async def test_what_somebody_types_is_a_turn(
    talk: Talk, typed: Callable[[Server, str], Awaitable[None]]
) -> None:
    server, count = talk.server, len(talk.server.statuses)
    words = f"echo {typed.__name__}"
    await typed(server, words)
    await server.wait_for_screen(f"› {words}")
    await asyncio.sleep(0.3)  # Codex takes keys that come at once, with Enter, for a paste
    await server.raw("\r")
    await server.wait_status("running", "stable", since=count)
    assert (await server.messages())[-2:] == [("user", words), ("agent", f"• {words}")]
    said = [item async for item in server.items() if "text" in item and item["text"] == words]
    assert [item["kind"] for item in said] == ["user_message", "agent_message"]


async def test_queued_messages_follow_one_another(talk: Talk) -> None:
    server, count = talk.server, len(await talk.server.messages())
    with held(talk):
        assert await server.send("echo first") == Sent(200)
        await talk.model.wait_until_held()
        for text in ("echo second", "echo third\nof two lines"):
            await server.post("/queue", {"content": text})
        assert (await server.get("/queue"))["held_by"].startswith("working: ")
    await server.until(
        lambda: server.status_now == "stable" and len(server.told) == count + 6, "three answers"
    )
    said = [text for role, text in (await server.messages())[count:] if role == "user"]
    assert said == ["echo first", "echo second", "echo third\nof two lines"]
    assert talk.prompts[-3:] == said
    assert (await server.get("/queue"))["items"] == []


async def test_the_evidence_says_why(talk: Talk) -> None:
    server = talk.server
    with held(talk):
        assert await server.send("hello") == Sent(200)
        await talk.model.wait_until_held()
        session = await server.get("/session")
    await server.until(lambda: server.status_now == "stable", "the answer")
    first = next(said for said in session["evidence"] if said["counts"])
    assert (session["phase"], first["phase"]) == ("working", "working")
    assert session["phase_reason"] == f"{first['source']}: {first['detail']}"
    assert all(said["age_seconds"] >= 0 for said in session["evidence"])
    assert "sources disagree" not in server.log
