"""OpenAI's Responses API, as Codex uses it.

The order of the events is what Codex 0.80 to 0.169 read without complaint; what they skip (sequence
numbers, reasoning deltas) is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from agentapi.scripted.reply import Call, Patch, Shell, Think
from agentapi.scripted.wires.base import (
    Json,
    Tool,
    dicts,
    event,
    new_id,
    shell_tool,
    text_of,
    tokens,
)

OUTPUT_TYPES = ("function_call_output", "custom_tool_call_output")


class Responses:
    """`POST /v1/responses`; it always streams: Codex requires it."""

    paths: Sequence[str] = ("/v1/responses",)

    def prompt(self, body: Json) -> str:
        """See `Wire.prompt`."""
        for item in reversed(_input(body)):
            if _is_prompt(item):
                return text_of(item.get("content", ""))
        return ""

    def tool_output(self, body: Json) -> str | None:
        """See `Wire.tool_output`."""
        items = _input(body)
        if not items or items[-1].get("type") not in OUTPUT_TYPES:
            return None
        output = items[-1].get("output", "")
        return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)

    def tools(self, body: Json) -> Sequence[Tool]:
        """See `Wire.tools`; includes those in namespaces."""
        return [
            Tool(str(tool.get("name", tool.get("type", ""))), tool.get("parameters") or {})
            for tool in _flat(body.get("tools"))
        ]

    def schema(self, body: Json) -> Json:
        """See `Wire.schema`."""
        return ((body.get("text") or {}).get("format") or {}).get("schema") or {}

    def streams(self, _path: str, _body: Json) -> bool:
        """See `Wire.streams`."""
        return True

    def encoder(self, body: Json) -> _Encoder:
        """See `Wire.encoder`."""
        return _Encoder(self, body)


class _Encoder:
    def __init__(self, wire: Responses, body: Json) -> None:
        self._wire = wire
        self._body = body
        self._id = new_id("resp_")
        self._output: list[Json] = []

    def begin(self) -> bytes:
        return _frame("response.created", response={"id": self._id, "status": "in_progress"})

    def text_begins(self) -> bytes:
        empty = {"type": "output_text", "text": "", "annotations": []}
        opened = self._opened(_message(self._item_id, None))
        return opened + self._content("response.content_part.added", part=empty)

    def delta(self, text: str) -> bytes:
        return self._content("response.output_text.delta", delta=text)

    def text_ends(self, text: str) -> bytes:
        return self._closed(_message(self._item_id, text))

    def item(self, step: Think | Shell | Patch | Call) -> bytes:
        item = (
            _reasoning(self._item_id, step.summary)
            if isinstance(step, Think)
            else tool_call(self._item_id, step, self._body)
        )
        return self._opened(item) + self._closed(item)

    def end(self) -> bytes:
        return _frame("response.completed", response=self.whole())

    def whole(self) -> Json:
        read, written = tokens(self._body), tokens(self._output)
        usage = {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": read + written,
        }
        return {"id": self._id, "status": "completed", "output": self._output, "usage": usage}

    @property
    def _item_id(self) -> str:
        return f"{self._id}_{len(self._output)}"

    def _opened(self, item: Json) -> bytes:
        return _frame("response.output_item.added", output_index=len(self._output), item=item)

    def _closed(self, item: Json) -> bytes:
        self._output.append(item)
        return _frame("response.output_item.done", output_index=len(self._output) - 1, item=item)

    def _content(self, kind: str, **fields: Any) -> bytes:
        index = len(self._output)
        return _frame(kind, item_id=self._item_id, output_index=index, content_index=0, **fields)


def namespaced(name: str, body: Json) -> tuple[str, str] | None:
    """Return the namespace and the short name of each tool in one, by full name; Codex 0.142 and
    later put an MCP server's tools into `mcp__SERVER`."""
    for tool in dicts(body.get("tools")):
        if tool.get("type") == "namespace":
            space = str(tool.get("name"))
            for inner in _flat(tool.get("tools")):
                if f"{space.rstrip('_')}__{inner.get('name')}" == name:
                    return space, str(inner["name"])
    return None


def tool_call(item_id: str, step: Shell | Patch | Call, body: Json) -> Json:
    """Return the call item of a step, for the tools that the request offers.

    Raises `LookupError` if none fits."""
    if isinstance(step, Patch) and _tool_type("apply_patch", body) == "custom":
        return {
            "id": item_id,
            "type": "custom_tool_call",
            "status": "completed",
            "call_id": f"call_{item_id}",
            "name": "apply_patch",
            "input": step.text,
        }
    name, arguments = _function(step, body)
    item = {
        "id": item_id,
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{item_id}",
        "name": name,
        "arguments": json.dumps(arguments, ensure_ascii=False),
    }
    if found := namespaced(name, body):
        item["namespace"], item["name"] = found
    return item


def _function(step: Shell | Patch | Call, body: Json) -> tuple[str, Json]:
    if isinstance(step, Call):
        return step.name, step.arguments
    if isinstance(step, Shell):
        return _shell(step, body)
    if _tool_type("apply_patch", body) == "function":
        return "apply_patch", {"input": step.text}
    return _shell(Shell(f"apply_patch <<'EOF_PATCH'\n{step.text}\nEOF_PATCH"), body)


def _shell(step: Shell, body: Json) -> tuple[str, Json]:
    offered = Responses().tools(body)
    found = shell_tool(offered)
    if found is None:
        names = ", ".join(tool.name for tool in offered)
        raise LookupError(f"the request offers no shell tool, only: {names}")
    tool = found.name
    escalation: Json = {}
    if step.permissions:
        escalation = {
            "sandbox_permissions": "with_additional_permissions",
            "additional_permissions": step.permissions,
            "justification": step.escalate,
        }
    elif step.escalate:
        escalation = {
            "sandbox_permissions": "require_escalated",
            "justification": step.escalate,
        }
    if tool == "exec_command":
        # Without a long yield the tool returns while the command still runs in the background.
        return tool, {"cmd": step.command, "yield_time_ms": 30_000, **escalation}
    if tool == "shell_command":
        return tool, {"command": step.command, "timeout_ms": 60_000, **escalation}
    return tool, {"command": ["bash", "-lc", step.command], "timeout_ms": 60_000, **escalation}


def _tool_type(name: str, body: Json) -> str | None:
    return next(
        (str(t.get("type")) for t in _flat(body.get("tools")) if t.get("name") == name), None
    )


def _frame(kind: str, **fields: Any) -> bytes:
    return event({"type": kind, **fields}, kind)


def _input(body: Json) -> list[Json]:
    value = body.get("input", [])
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    return dicts(value)


def _flat(tools: Any) -> Iterator[Json]:
    for tool in dicts(tools):
        yield tool
        yield from _flat(tool.get("tools"))


def _is_prompt(item: Json) -> bool:
    if item.get("role") != "user":
        return False
    text = text_of(item.get("content", "")).lstrip()
    # Codex injects its context as user messages of their own, wrapped in a tag or a heading.
    return not text.startswith(("<environment_context>", "<user_instructions>", "# AGENTS.md"))


def _message(item_id: str, text: str | None) -> Json:
    content = [] if text is None else [{"type": "output_text", "text": text, "annotations": []}]
    status = "in_progress" if text is None else "completed"
    return {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def _reasoning(item_id: str, summary: str) -> Json:
    return {
        "id": item_id,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": summary}],
        "encrypted_content": None,
    }
