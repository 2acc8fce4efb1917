"""The protocol's schema turned into values of our own."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from acp import schema
from hypothesis import given
from hypothesis import strategies as st

from agentapi.agents.acp.client import (
    AgentLink,
    AuthMethod,
    to_operation,
    to_question,
    unattended_method,
)
from agentapi.agents.acp.permission import PermissionOption, PermissionRequest
from agentapi.conversation.turn_text import Chunk, Operation, PlanPart, Remark, ToolPart

WARNING = "Warning: Model metadata is missing.\n\n"


def chunk(content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"sessionUpdate": "agent_message_chunk", "content": content, **more}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        (chunk(text("hi"), messageId="m"), Chunk("hi", "m")),
        (chunk(text(WARNING)), Remark(WARNING.strip())),
        (chunk(text(WARNING), messageId="m"), Chunk(WARNING, "m")),
        (chunk(text("Warning: ")), Chunk("Warning: ")),
        (chunk({"type": "image", "data": "", "mimeType": "image/png"}), Chunk("[image]")),
        (
            chunk({"type": "resource_link", "name": "a.py", "uri": "file:///a.py"}),
            Chunk("[a.py](file:///a.py)"),
        ),
        (
            {"sessionUpdate": "tool_call", "toolCallId": "t", "title": "ls"},
            ToolPart("t", "ls", None),
        ),
        (
            {"sessionUpdate": "tool_call_update", "toolCallId": "t", "status": "failed"},
            ToolPart("t", None, "failed"),
        ),
        (
            {
                "sessionUpdate": "plan",
                "entries": [{"content": "act", "priority": "low", "status": "pending"}],
            },
            PlanPart(entries=(("pending", "act"),)),
        ),
        (
            {
                "sessionUpdate": "plan_update",
                "plan": {"type": "markdown", "planId": "p", "content": "1. act"},
            },
            PlanPart("p", markdown="1. act"),
        ),
        ({"sessionUpdate": "plan_removed", "planId": "p"}, PlanPart("p")),
        ({"sessionUpdate": "agent_thought_chunk", "content": text("hm")}, None),
        ({"sessionUpdate": "user_message_chunk", "content": text("hi")}, None),
        ({"sessionUpdate": "usage_update", "used": 1, "size": 2}, None),
    ],
)
def test_updates(update: dict[str, Any], expected: Operation | None) -> None:
    note = schema.SessionNotification.model_validate({"sessionId": "s", "update": update})
    assert to_operation(note.update) == expected


def question(**tool: Any) -> PermissionRequest:
    return to_question(
        schema.RequestPermissionRequest.model_validate(
            {
                "sessionId": "s",
                "toolCall": {"toolCallId": "t", **tool},
                "options": [{"optionId": "o", "name": "Yes", "kind": "allow_once"}],
            }
        )
    )


def test_a_command_is_shown_with_its_reason() -> None:
    asked = question(
        title="Run rm",
        kind="execute",
        rawInput={"command": ["rm", "-r", "x"], "description": "it is old"},
    )
    assert asked == PermissionRequest(
        kind="command",
        title="Run rm",
        reason="it is old",
        command="rm -r x",
        options=(PermissionOption("o", "Yes", "allow_once"),),
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["/bin/bash", "-lc", "ls | wc"], "ls | wc"),
        (["ls", "a b"], "ls 'a b'"),
        ("ls *", "ls *"),
        ([], ""),
        ([1], ""),
    ],
)
def test_a_command_is_shown_as_one_types_it(words: object, line: str) -> None:
    assert question(rawInput={"command": words}).command == line


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, None),
        ({"B_KEY": ""}, None),
        ({"B_KEY": "b"}, "b"),
        ({"OTHER_API_KEY": "x", "B_KEY": "b"}, "agent"),
    ],
)
def test_authentication_without_a_human(env: dict[str, str], expected: str | None) -> None:
    methods: list[AuthMethod] = [
        schema.AuthMethodAgent(id="web", name="Web"),
        schema.AuthMethodAgent.model_validate(
            {"id": "agent", "name": "Key", "_meta": {"api-key": {"provider": "p"}}}
        ),
        schema.EnvVarAuthMethod(
            type="env_var",
            id="b",
            name="B",
            vars=[
                schema.AuthEnvVar(name="B_KEY"),
                schema.AuthEnvVar(name="B_URL", optional=True),
            ],
        ),
    ]
    assert unattended_method(methods, env) == expected


def test_the_words_in_a_tool_call_are_its_reason() -> None:
    asked = question(content=[{"type": "content", "content": text("I need it")}])
    assert (asked.reason, asked.title, asked.kind) == ("I need it", "", "permission")


def test_a_change_is_shown_as_a_diff() -> None:
    change = {"type": "diff", "path": "/w/a", "oldText": "one\ntwo", "newText": "one\n2"}
    new = {"type": "diff", "path": "/w/b", "newText": "b"}
    asked = question(kind="edit", content=[change, new])
    assert asked.kind == "patch"
    assert asked.diff.splitlines() == [
        "--- /w/a",
        "+++ /w/a",
        "@@ -1,2 +1,2 @@",
        " one",
        "-two",
        "+2",
        "--- /dev/null",
        "+++ /w/b",
        "@@ -0,0 +1 @@",
        "+b",
    ]


async def test_a_permission_is_about_what_was_told_of_its_tool_call() -> None:
    """codex-acp 2.6 tells the changes with the call, and asks for leave without them."""
    change = {"type": "diff", "path": "/w/a", "newText": "one"}
    told = {"toolCallId": "t", "title": "Editing", "kind": "edit", "content": [change]}
    more = {"toolCallId": "t", "rawInput": {"command": "apply"}, "status": "in_progress"}
    options = [{"optionId": "o", "name": "Yes", "kind": "allow_once"}]
    calls: list[dict[str, Any]] = [
        {"toolCallId": "t", "title": "Edit?", "kind": "edit", "content": None},
        {"toolCallId": "t", "content": [{"type": "content", "content": text("instead")}]},
        {"toolCallId": "other"},
    ]
    asked: list[PermissionRequest] = []

    async def ask(tool_id: str, question: PermissionRequest) -> str | None:
        asked.append(question)
        return None

    async def read() -> bytes:
        return b""

    async def write(data: bytes) -> None:
        pass

    link = AgentLink(
        read,
        write,
        unparsed=lambda line: None,
        update=lambda operation: None,
        request_permission=ask,
        env={},
    )
    for kind, call in (("tool_call", told), ("tool_call_update", more)):
        params = {"sessionId": "s", "update": {"sessionUpdate": kind, **call}}
        await link._handle("session/update", params, True)
    for call in calls:
        asking = {"sessionId": "s", "toolCall": call, "options": options}
        await link._handle("session/request_permission", asking, False)
    await link.close()
    diff = "--- /dev/null\n+++ /w/a\n@@ -0,0 +1 @@\n+one"
    assert [(one.title, one.reason, one.command, one.diff) for one in asked] == [
        ("Edit?", "", "apply", diff),
        ("", "instead", "apply", ""),
        ("", "", "", ""),
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
KINDS = ["agent_message_chunk", "tool_call", "tool_call_update", "plan", "plan_update", "future"]
UPDATE = st.fixed_dictionaries(
    {"sessionUpdate": st.sampled_from(KINDS)},
    optional={
        name: JSON | st.fixed_dictionaries({"type": st.just("text"), "text": JSON})
        for name in ("content", "toolCallId", "title", "status", "entries", "plan", "messageId")
    },
)
PARAMS = JSON | st.fixed_dictionaries({"sessionId": JSON, "update": UPDATE | JSON})
MESSAGE = JSON | st.fixed_dictionaries(
    {},
    optional={
        "id": JSON,
        "method": st.sampled_from(["session/update", "session/request_permission", "x/y"]) | JSON,
        "params": PARAMS,
        "result": JSON,
        "error": JSON,
    },
)


@given(st.lists(MESSAGE, max_size=6))
def test_whatever_an_agent_sends_the_next_chunk_is_heard(messages: list[object]) -> None:
    update = chunk(text("still here"), messageId="last")
    last = {"method": "session/update", "params": {"sessionId": "s", "update": update}}
    heard = asyncio.run(_hear([*messages, last]))
    assert heard[-1] == Chunk("still here", "last")


async def _hear(messages: list[object]) -> list[Operation]:
    """What a link reports of `messages`."""
    stream = [json.dumps(message).encode() + b"\n" for message in messages]
    heard: list[Operation] = []
    done = asyncio.Event()

    async def read() -> bytes:
        if not stream:
            await done.wait()
            return b""
        return stream.pop(0)

    async def write(data: bytes) -> None:
        pass

    async def ask(tool_id: str, question: PermissionRequest) -> str | None:
        return None

    def update(operation: Operation) -> None:
        heard.append(operation)
        if operation == Chunk("still here", "last"):
            done.set()

    link = AgentLink(
        read, write, unparsed=lambda line: None, update=update, request_permission=ask, env={}
    )
    async with asyncio.timeout(10):
        await done.wait()
    await link.close()
    return heard
