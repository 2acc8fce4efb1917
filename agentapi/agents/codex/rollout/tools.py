"""Combine a tool's call and its results in a rollout into one `ToolCall`.

A rollout has up to three lines for one call: the model's call (`function_call`, with its arguments
as JSON text), the end of the command (`exec_command_end`, in newer versions `item_completed` with
a `CommandExecution` or `FileChange`; some versions omit it) and the output returned to the model
(`function_call_output`), with a header that Codex adds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agentapi.agents.codex.rollout.quick_json import loads
from agentapi.agents.generic import shell
from agentapi.model.items import ToolCall

SHELLS = ("exec_command", "shell_command", "shell", "local_shell", "container.exec")
SHELL = "shell"
PATCH = "apply_patch"

# Codex's header before a command's output for the model; each line is optional.
_HEADER = re.compile(
    r"(?:Chunk ID: \S*\n)?"
    r"(?:Exit code: (?P<exit>-?\d+)\n)?"
    r"Wall time: (?P<seconds>[\d.]+) seconds\n"
    r"(?:Process exited with code (?P<code>-?\d+)\n)?"
    r"(?P<running>Process running with session ID [^\n]*\n)?"
    r"(?:Original token count: \d+\n)?"
    r"(?:Total output lines: \d+\n)?"
    r"(?:Output:\n)?"
)
# A patch applied through the shell, which Codex accepts too.
_PATCH_COMMAND = re.compile(r"\s*apply_patch <<\s*(['\"]?\w+['\"]?)\n(.*)\n\w+\s*", re.DOTALL)
_DECLINED = re.compile(r"(?:\w+ )*rejected by user|\w+ denied by user", re.IGNORECASE)
_ABORTED = re.compile(r"aborted(?: by user)?\b|interrupted\b", re.IGNORECASE)


def parse_call(name: str, arguments: str) -> ToolCall:
    """Parse a call from a tool's name and its arguments (JSON text, or a custom tool's input)."""
    if name == PATCH:
        return ToolCall(PATCH, command=str(_object(arguments).get("input", arguments)))
    if name not in SHELLS:
        return ToolCall(name, arguments=arguments)
    values = _object(arguments)
    command = command_line(values.get("cmd", values.get("command", arguments)))
    if patch := _PATCH_COMMAND.fullmatch(command):
        return ToolCall(PATCH, command=patch[2])
    return ToolCall(SHELL, command=command)


def escalation(arguments: str) -> str | None:
    """Return the justification for running a command outside the sandbox; None inside it."""
    if "escalat" not in arguments:
        return None
    values = _object(arguments)
    escalates = values.get("sandbox_permissions") == "require_escalated"
    if not escalates and values.get("with_escalated_permissions") is not True:
        return None
    return str(values.get("justification") or "")


def command_line(command: object) -> str:
    """Format a command (a string or a list of arguments) as it would be typed in a shell."""
    if not isinstance(command, list):
        return str(command)
    return shell.command_line([str(word) for word in command])


def with_output(call: ToolCall, output: object) -> ToolCall:
    """Add the output that was returned to the model."""
    text = _text(output)
    if call.tool in (SHELL, PATCH):
        return _with_shell_output(call, text)
    failed = text.startswith(("unsupported call", "tool call error"))
    return replace(call, output=text, status="failed" if failed else "completed")


def fill_missing(call: ToolCall, answer: ToolCall) -> ToolCall:
    """Add the exit code and duration from the model's output where they are missing."""
    return replace(
        call,
        exit_code=answer.exit_code if call.exit_code is None else call.exit_code,
        duration_ms=answer.duration_ms if call.duration_ms is None else call.duration_ms,
    )


def with_command_end(call: ToolCall, end: Mapping[str, Any]) -> ToolCall:
    """Add the end of a command (`exec_command_end` and the like)."""
    output = end.get("aggregated_output")
    if not isinstance(output, str):
        output = f"{end.get('stdout') or ''}{end.get('stderr') or ''}"
    code = end.get("exit_code")
    duration = _milliseconds(end.get("duration"))
    return replace(
        call,
        output=output,
        exit_code=code if isinstance(code, int) else call.exit_code,
        duration_ms=call.duration_ms if duration is None else duration,
        status=_status(end, code),
    )


def with_patch_end(call: ToolCall, end: Mapping[str, Any]) -> ToolCall:
    """Add the end of a patch (`patch_apply_end`, `FileChange`)."""
    failed = end.get("success") is False or end.get("status") not in (None, "completed")
    done = replace(with_command_end(call, end), tool=PATCH)
    return replace(done, status="failed") if failed and done.status == "completed" else done


def parse_mcp_call(item: Mapping[str, Any]) -> ToolCall:
    """Parse a call of an MCP server's tool (`mcp_tool_call_end`, `McpToolCall`)."""
    invocation = item.get("invocation")
    invocation = invocation if isinstance(invocation, dict) else item
    arguments = invocation.get("arguments")
    failure, result = item.get("error"), item.get("result")
    if isinstance(result, dict) and ("Ok" in result or "Err" in result):
        failure, result = result.get("Err"), result.get("Ok")
    return ToolCall(
        f"mcp__{invocation.get('server')}__{invocation.get('tool')}",
        arguments="" if arguments is None else json.dumps(arguments, ensure_ascii=False),
        output=_text(failure if failure else result),
        duration_ms=_milliseconds(item.get("duration")),
        status="failed" if failure or _is_error(result) else "completed",
    )


def _with_shell_output(call: ToolCall, text: str) -> ToolCall:
    wrapped = _object(text)
    if isinstance(metadata := wrapped.get("metadata"), dict):  # 0.80
        duration = metadata.get("duration_seconds")
        call = replace(call, output=str(wrapped.get("output", "")))
        return _ended(call, metadata.get("exit_code"), duration)
    headers = 2 if call.tool == PATCH else 1
    code: int | None = None
    seconds: float | None = None
    running = False
    for _ in range(headers):  # a patch through the shell has two nested headers
        if not (header := _HEADER.match(text)):
            break
        number = header["exit"] or header["code"]
        code = int(number) if number else code
        seconds = float(header["seconds"]) if seconds is None else seconds
        running = running or header["running"] is not None
        text = text[header.end() :]
    call = replace(call, output=text)
    if code is None and (refusal := _refusal(text)):
        return replace(call, status=refusal)
    return replace(call, status="running") if running else _ended(call, code, seconds)


def _refusal(text: str) -> str:
    if _DECLINED.match(text):
        return "declined"
    return "aborted" if _ABORTED.match(text) else ""


def _ended(call: ToolCall, code: object, seconds: object) -> ToolCall:
    return replace(
        call,
        exit_code=code if isinstance(code, int) else None,
        duration_ms=round(seconds * 1000) if isinstance(seconds, int | float) else None,
        status="failed" if code else "completed",
    )


def _status(end: Mapping[str, Any], code: object) -> str:
    status = str(end.get("status") or "").lower().replace("_", "")
    if status in ("declined", "failed", "completed"):
        return status
    return "running" if status == "inprogress" else "failed" if code else "completed"


def _milliseconds(duration: object) -> int | None:
    if not isinstance(duration, dict):
        return None
    secs, nanos = duration.get("secs"), duration.get("nanos")
    if not isinstance(secs, int) or not isinstance(nanos, int):
        return None
    return secs * 1000 + round(nanos / 1e6)


def _is_error(result: object) -> bool:
    return isinstance(result, dict) and bool(result.get("isError", result.get("is_error")))


def _text(value: object) -> str:
    """Return a tool's output as text: a string, its content items, or else its JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and "content" in value:
        return _text(value["content"])
    if isinstance(value, list) and value:
        texts = [part.get("text") for part in value if isinstance(part, dict)]
        if len(texts) == len(value) and all(isinstance(text, str) for text in texts):
            return "\n".join(str(text) for text in texts)
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _object(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return {}
    try:
        value = loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
