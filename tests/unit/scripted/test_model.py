"""The server, asked over a real socket."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.scripted import (
    Break,
    Call,
    Fail,
    Hold,
    Patch,
    Reply,
    Say,
    ScriptedModel,
    Think,
)

SHELL = {"type": "function", "name": "exec_command"}
Event = tuple[str, dict[str, Any]]


def body(prompt: str, *tools: dict[str, Any]) -> dict[str, Any]:
    item = {"type": "message", "role": "user", "content": prompt}
    return {"model": "m", "input": [item], "tools": list(tools) or [SHELL], "stream": True}


def parse(stream: str) -> list[Event]:
    frames = [frame.splitlines() for frame in stream.split("\n\n") if frame]
    return [(name[7:], json.loads(data[6:])) for name, data in frames]


async def ask(model: ScriptedModel, asked: dict[str, Any]) -> list[Event]:
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{model.url}/responses", json=asked) as response,
    ):
        assert response.status == 200
        return parse(await response.text())


def text_of(events: list[Event]) -> str:
    return "".join(data["delta"] for name, data in events if name == "response.output_text.delta")


def items_of(events: list[Event]) -> list[dict[str, Any]]:
    return [data["item"] for name, data in events if name == "response.output_item.done"]


async def test_a_text_arrives_in_the_order_that_codex_reads(model: ScriptedModel) -> None:
    model.answer = lambda _: [Say("one two", chunk=4)]
    events = await ask(model, body("x"))
    assert [name for name, _ in events] == [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_item.done",
        "response.completed",
    ]
    assert text_of(events) == "one two"
    assert items_of(events)[0]["content"][0]["text"] == "one two"
    assert events[-1][1]["response"]["usage"]["total_tokens"] > 0
    assert model.last_byte_at > model.requests[0].received_at > 0


@given(text=st.text(), chunk=st.integers(min_value=0, max_value=5))
def test_deltas_join_to_the_text(text: str, chunk: int) -> None:
    assert "".join(Say(text, chunk).deltas()) == text


async def test_an_unknown_prompt_is_quoted(model: ScriptedModel) -> None:
    assert "> what now?" in text_of(await ask(model, body("what now?")))
    assert model.requests[0].prompt == "what now?"


@pytest.mark.parametrize("tool", ["exec_command", "shell_command", "shell"])
async def test_a_command_uses_the_tool_that_is_offered(model: ScriptedModel, tool: str) -> None:
    [item] = items_of(await ask(model, body("run ls -l", {"type": "function", "name": tool})))
    assert (item["type"], item["name"]) == ("function_call", tool)
    assert "ls -l" in item["arguments"]


async def test_an_approval_asks_to_leave_the_sandbox(model: ScriptedModel) -> None:
    [item] = items_of(await ask(model, body("approve date")))
    arguments = json.loads(item["arguments"])
    assert arguments["sandbox_permissions"] == "require_escalated"
    assert arguments["justification"]


@pytest.mark.parametrize(
    ("tool", "wanted"),
    [
        ({"type": "custom", "name": "apply_patch"}, "custom_tool_call"),
        ({"type": "function", "name": "apply_patch"}, "apply_patch"),
        ({"type": "web_search"}, "exec_command"),
    ],
)
async def test_a_patch_takes_the_form_that_is_offered(
    model: ScriptedModel, tool: dict[str, Any], wanted: str
) -> None:
    model.answer = lambda _: [Patch("*** Begin Patch\n*** End Patch")]
    [item] = items_of(await ask(model, body("x", SHELL, tool)))
    assert wanted in (item["type"], item["name"])
    assert "*** Begin Patch" in json.dumps(item)


async def test_every_kind_of_step_becomes_its_item(model: ScriptedModel) -> None:
    model.answer = lambda _: [Say("fine"), Call("update_plan", {"plan": []}), Think("hm")]
    kinds = [item["type"] for item in items_of(await ask(model, body("x")))]
    assert kinds == ["message", "function_call", "reasoning"]


async def test_a_tool_output_is_answered(model: ScriptedModel) -> None:
    asked = body("run date")
    asked["input"].append({"type": "function_call_output", "call_id": "c", "output": "a\nlast\n"})
    assert "`last`" in text_of(await ask(model, asked))


async def test_a_title_is_json_where_the_schema_says_so(model: ScriptedModel) -> None:
    asked = body("Make a title. User prompt: fix the bug")
    asked["tools"] = []
    asked["text"] = {"format": {"schema": {"properties": {"title": {"type": "string"}}}}}
    assert json.loads(text_of(await ask(model, asked))) == {"title": "fix the bug"}
    assert (len(model.requests), len(model.side_requests)) == (0, 1)


async def test_a_compressed_body_is_read(model: ScriptedModel) -> None:
    data = gzip.compress(json.dumps(body("squeezed")).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{model.url}/responses", data=data, headers=headers) as response,
    ):
        assert response.status == 200
    assert model.requests[0].prompt == "squeezed"


@pytest.mark.parametrize("wrong", [b"{", b"[]"])
async def test_a_body_that_is_no_object_is_a_client_error(
    model: ScriptedModel, wrong: bytes
) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{model.url}/responses", data=wrong) as response,
    ):
        assert response.status == 400
        assert "JSON" in await response.text()


async def test_failures_are_what_was_asked_for(model: ScriptedModel) -> None:
    model.answer = lambda _: [Fail(503, "busy")]
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{model.url}/responses", json=body("x")) as response,
    ):
        assert response.status == 503
        assert (await response.json())["error"]["message"] == "busy"


async def test_a_broken_stream_ends_without_its_last_event(model: ScriptedModel) -> None:
    model.answer = lambda _: [Say("half"), Break()]
    with pytest.raises(aiohttp.ClientError):
        await ask(model, body("x"))
    assert model.finished == 1


@pytest.mark.parametrize("by_step", [True, False])
async def test_nothing_goes_out_before_the_release(model: ScriptedModel, by_step: bool) -> None:
    reply: Reply = [Say("a"), Hold(), Say("b")] if by_step else [Say("a"), Say("b")]
    model.answer = lambda _: reply
    if not by_step:
        model.hold()
    asking = asyncio.create_task(ask(model, body("x")))
    await model.wait_until_held()
    assert (model.finished, len(model.requests)) == (0, 1)
    model.release()
    assert text_of(await asking) == "ab"
    assert model.finished == 1


async def test_the_next_request_can_be_waited_for(model: ScriptedModel) -> None:
    waiting = asyncio.create_task(model.wait_for_request(2))
    await ask(model, body("one"))
    await ask(model, body("two"))
    assert (await waiting).prompt == "two"


async def test_a_client_that_leaves_does_not_hold_the_server(model: ScriptedModel) -> None:
    model.hold()
    asking = asyncio.create_task(ask(model, body("x")))
    await model.wait_until_held()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    model.release()
    assert text_of(await ask(model, body("hello")))
