"""The wire: steps of a reply as server-sent events of the Responses API.

The order of the events is what Codex 0.80 to 0.169 read without complaint; what they skip (sequence
numbers, reasoning deltas) is left out.
"""

from __future__ import annotations

import json
from typing import Any

from agentapi.scripted.reply import Call, Patch, Shell
from agentapi.scripted.request import Request

Item = dict[str, Any]


def frame(kind: str, **fields: Any) -> bytes:
    """One server-sent event."""
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def created(response_id: str) -> bytes:
    """The stream's first event."""
    return frame("response.created", response={"id": response_id, "status": "in_progress"})


def opened(index: int, item: Item) -> bytes:
    """An output item begins."""
    return frame("response.output_item.added", output_index=index, item=item)


def closed(index: int, item: Item) -> bytes:
    """An output item is complete."""
    return frame("response.output_item.done", output_index=index, item=item)


def part(index: int, item_id: str) -> bytes:
    """A message's only part begins."""
    empty = {"type": "output_text", "text": "", "annotations": []}
    return frame(
        "response.content_part.added",
        item_id=item_id,
        output_index=index,
        content_index=0,
        part=empty,
    )


def delta(index: int, item_id: str, text: str) -> bytes:
    """A piece of a message's text."""
    return frame(
        "response.output_text.delta",
        item_id=item_id,
        output_index=index,
        content_index=0,
        delta=text,
    )


def completed(response_id: str, output: list[Item], prompt_size: int) -> bytes:
    """The stream's last event; token counts are guessed at four characters a token."""
    read = prompt_size // 4
    written = len(json.dumps(output)) // 4
    usage = {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }
    response = {"id": response_id, "status": "completed", "output": output, "usage": usage}
    return frame("response.completed", response=response)


def message(item_id: str, text: str | None) -> Item:
    """A message item; `text` None while it is still to come."""
    content = [] if text is None else [{"type": "output_text", "text": text, "annotations": []}]
    status = "in_progress" if text is None else "completed"
    return {
        "id": item_id,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def reasoning(item_id: str, summary: str) -> Item:
    """A reasoning item with its summary."""
    return {
        "id": item_id,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": summary}],
        "encrypted_content": None,
    }


def tool_call(item_id: str, step: Shell | Patch | Call, request: Request) -> Item:
    """The call item for a step, in the form of the tools that the request offers.

    Raises `LookupError` when it offers none that could do it."""
    if isinstance(step, Patch) and request.tool_type("apply_patch") == "custom":
        return {
            "id": item_id,
            "type": "custom_tool_call",
            "status": "completed",
            "call_id": f"call_{item_id}",
            "name": "apply_patch",
            "input": step.text,
        }
    name, arguments = _function(step, request)
    item = {
        "id": item_id,
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{item_id}",
        "name": name,
        "arguments": json.dumps(arguments, ensure_ascii=False),
    }
    if found := request.namespaced(name):
        item["namespace"], item["name"] = found
    return item


def _function(step: Shell | Patch | Call, request: Request) -> tuple[str, dict[str, Any]]:
    if isinstance(step, Call):
        return step.name, step.arguments
    if isinstance(step, Shell):
        return _shell(step, request)
    if request.tool_type("apply_patch") == "function":
        return "apply_patch", {"input": step.text}
    return _shell(Shell(f"apply_patch <<'EOF_PATCH'\n{step.text}\nEOF_PATCH"), request)


def _shell(step: Shell, request: Request) -> tuple[str, dict[str, Any]]:
    tool = request.shell_tool
    if tool is None:
        raise LookupError(f"the request offers no shell tool, only: {', '.join(request.tools)}")
    escalation: dict[str, Any] = {}
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
