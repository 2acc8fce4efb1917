"""From the app-server's thread items to transcript items. Pure.

An item comes when it starts, grows by deltas, and comes whole when it is completed. What a newer
Codex sends and this file does not know becomes `Other`, as it was.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from agentapi.agents.codex.json_values import Json, as_object, as_objects, as_text, as_texts
from agentapi.agents.codex.rollout import tools
from agentapi.agents.generic.shell import unwrapped
from agentapi.model.items import (
    AgentMessage,
    Item,
    NoticeItem,
    Other,
    Plan,
    Reasoning,
    ToolCall,
    UserMessage,
)

_STATUS = {
    "inProgress": "running",
    "completed": "completed",
    "failed": "failed",
    "declined": "declined",
}
GROWING = {
    "item/agentMessage/delta": AgentMessage,
    "item/plan/delta": Plan,
    "item/reasoning/summaryTextDelta": Reasoning,
    "item/commandExecution/outputDelta": ToolCall,
}
"""The notifications that carry a `delta`, and the item that it belongs to."""
OUTPUT_KEPT = 64 * 1024
"""Characters of a running command's output that are told, the last ones."""


def thread_item(raw: Json) -> Item:
    """The item as far as it has come."""
    match raw.get("type"):
        case "userMessage":
            return UserMessage(user_text(raw))
        case "agentMessage":
            return AgentMessage(as_text(raw.get("text")))
        case "reasoning":
            return Reasoning("\n\n".join(as_texts(raw.get("summary"))))
        case "plan":
            return Plan(as_text(raw.get("text")))
        case "commandExecution":
            return _command(raw)
        case "fileChange":
            patch = changes_text(raw.get("changes"))
            return ToolCall(tools.PATCH, command=patch, status=_status(raw))
        case "mcpToolCall":
            return _mcp_call(raw)
        case "contextCompaction":
            return NoticeItem("compaction", "")
    return Other(as_text(raw.get("type")), dict(raw))


def user_text(raw: Json) -> str:
    """The words of a user's message; pictures and mentions that came beside them are left out."""
    parts = raw.get("content")
    texts = [part.get("text") for part in as_objects(parts) if part.get("type") == "text"]
    return "\n".join(as_texts(texts))


def plan_update(params: Json) -> Plan:
    """The agent's list of steps (`turn/plan/updated`)."""
    words = {"inProgress": "in_progress"}
    steps = [
        {"step": as_text(step.get("step")), "status": words.get(status, status)}
        for step in as_objects(params.get("plan"))
        if (status := as_text(step.get("status")) or "pending")
    ]
    return Plan(as_text(params.get("explanation")), steps)


def changes_text(changes: object) -> str:
    """A patch as text: each file's name with what becomes of it, then its lines."""
    parts = []
    for change in as_objects(changes):
        kind = as_object(change.get("kind")).get("type") or "change"
        diff = as_text(change.get("diff"))
        if kind in ("add", "delete"):  # the file's own lines, unmarked
            mark = "+" if kind == "add" else "-"
            diff = "\n".join(mark + line for line in diff.splitlines())
        parts.append(f"{kind} {as_text(change.get('path'))}\n{diff}".rstrip("\n"))
    return "\n".join(parts)


@dataclass(slots=True)
class GrowingItem:
    """An item that is under way, and the pieces that came for it. A text is told whole, of a
    command's output the last `OUTPUT_KEPT` characters."""

    turn: str
    item: Item
    size: int = 0
    """Characters that came."""
    _pieces: list[str] = field(default_factory=list)
    _waiting: int = 0  # characters in the pieces

    def grow(self, delta: str) -> None:
        """Take the next piece of its text."""
        self._pieces.append(delta)
        self.size += len(delta)
        self._waiting += len(delta)
        if self._waiting > OUTPUT_KEPT:  # nobody may ask for a while
            self.current()

    def current(self) -> Item:
        """The item with all its pieces."""
        if self._pieces:
            more = "".join(self._pieces)
            self._pieces.clear()
            self._waiting = 0
            if isinstance(self.item, ToolCall):
                self.item = replace(self.item, output=(self.item.output + more)[-OUTPUT_KEPT:])
                self.size = len(self.item.output)
            elif isinstance(self.item, AgentMessage | Reasoning | Plan):
                self.item = replace(self.item, text=self.item.text + more)
        return self.item


def _command(raw: Json) -> ToolCall:
    code, duration = raw.get("exitCode"), raw.get("durationMs")
    return ToolCall(
        tools.SHELL,
        command=unwrapped(as_text(raw.get("command"))),
        output=as_text(raw.get("aggregatedOutput")),
        exit_code=code if isinstance(code, int) else None,
        duration_ms=duration if isinstance(duration, int) else None,
        status=_status(raw),
    )


def _mcp_call(raw: Json) -> ToolCall:
    result, error = as_object(raw.get("result")), as_object(raw.get("error"))
    texts = [as_text(part.get("text")) for part in as_objects(result.get("content"))]
    duration = raw.get("durationMs")
    return ToolCall(
        f"mcp__{as_text(raw.get('server'))}__{as_text(raw.get('tool'))}",
        arguments=json.dumps(raw.get("arguments"), ensure_ascii=False),
        output="\n".join(text for text in texts if text) or as_text(error.get("message")),
        duration_ms=duration if isinstance(duration, int) else None,
        status=_status(raw),
    )


def _status(raw: Json) -> str:
    return _STATUS.get(as_text(raw.get("status")), "running")
