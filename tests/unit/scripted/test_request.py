"""What is read out of a request's body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentapi.scripted import Call, Request, Shell
from agentapi.scripted.wires.responses import namespaced, tool_call


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def test_the_prompt_is_the_last_user_message() -> None:
    request = Request({"input": [user("first"), user("second"), {"type": "reasoning"}]})
    assert request.prompt == "second"


@pytest.mark.parametrize(
    "context", ["<environment_context>\n</environment_context>", "# AGENTS.md instructions for /x"]
)
def test_injected_context_is_not_a_prompt(context: str) -> None:
    assert Request({"input": [user("mine"), user(context)]}).prompt == "mine"


def test_a_plain_string_is_a_prompt() -> None:
    assert Request({"input": "hello"}).prompt == "hello"


def test_no_input_is_no_prompt() -> None:
    assert Request({}).prompt == ""


@pytest.mark.parametrize("kind", ["function_call_output", "custom_tool_call_output"])
def test_tool_output_counts_only_as_the_last_item(kind: str) -> None:
    output = {"type": kind, "call_id": "c", "output": "done"}
    assert Request({"input": [user("x"), output]}).tool_output == "done"
    assert Request({"input": [output, user("x")]}).tool_output is None


@pytest.mark.parametrize("name", ["exec_command", "shell_command", "shell"])
def test_the_shell_tool_goes_by_its_name(name: str) -> None:
    request = Request({"tools": [{"type": "web_search"}, {"type": "function", "name": name}]})
    assert request.shell_tool == name
    assert not request.is_side_request


def test_tools_in_a_namespace_are_found() -> None:
    tools = [{"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "shell"}]}]
    assert Request({"tools": tools}).shell_tool == "shell"


@pytest.mark.parametrize("space", ["mcp__demo", "mcp__demo__"])
def test_a_tool_is_found_in_its_namespace_by_its_whole_name(space: str) -> None:
    tools = [{"type": "namespace", "name": space, "tools": [{"type": "function", "name": "add"}]}]
    assert namespaced("mcp__demo__add", {"tools": tools}) == (space, "add")
    assert namespaced("add", {"tools": tools}) is None


def test_a_request_without_a_shell_is_a_side_request() -> None:
    assert Request({"input": "a title, please", "tools": []}).is_side_request


def test_a_call_takes_the_form_of_the_offered_tools() -> None:
    shell = {"type": "function", "name": "exec_command"}
    tools = [{"type": "namespace", "name": "mcp__demo", "tools": [{"name": "add"}]}, shell]
    request = {"tools": tools}
    call = tool_call("i1", Call("mcp__demo__add", {"a": 1}), request)
    assert (call["namespace"], call["name"], call["arguments"]) == ("mcp__demo", "add", '{"a": 1}')
    wide = tool_call("i2", Shell("date", "May I?", {"network": {"enabled": True}}), request)
    assert json.loads(wide["arguments"]) == {
        "cmd": "date",
        "yield_time_ms": 30_000,
        "sandbox_permissions": "with_additional_permissions",
        "additional_permissions": {"network": {"enabled": True}},
        "justification": "May I?",
    }
