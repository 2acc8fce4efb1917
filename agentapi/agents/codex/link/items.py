"""Convert the app-server's thread items to transcript items. Pure.

An item is sent when it starts, then as deltas, and in full when it completes. Unknown items of a
newer Codex become `Other`, unchanged.
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
DELTA_ITEMS = {
    "item/agentMessage/delta": AgentMessage,
    "item/plan/delta": Plan,
    "item/reasoning/summaryTextDelta": Reasoning,
    "item/commandExecution/outputDelta": ToolCall,
}
"""Notifications with a `delta`, and the type of item that it extends."""
MAX_OUTPUT = 64 * 1024
"""Characters of a running command's output that are emitted: the last ones."""


def thread_item(raw: Json) -> Item:
    """Convert an item, complete or not."""
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
    """Return the text of a user's message, without images and mentions."""
    parts = raw.get("content")
    texts = [part.get("text") for part in as_objects(parts) if part.get("type") == "text"]
    return "\n".join(as_texts(texts))


def plan_update(params: Json) -> Plan:
    """Convert the agent's list of steps (`turn/plan/updated`)."""
    words = {"inProgress": "in_progress"}
    steps = [
        {"step": as_text(step.get("step")), "status": words.get(status, status)}
        for step in as_objects(params.get("plan"))
        if (status := as_text(step.get("status")) or "pending")
    ]
    return Plan(as_text(params.get("explanation")), steps)


def changes_text(changes: object) -> str:
    """Format a patch as text: the kind of change and name of each file, then its diff."""
    parts = []
    for change in as_objects(changes):
        kind = as_object(change.get("kind")).get("type") or "change"
        diff = as_text(change.get("diff"))
        if kind in ("add", "delete"):  # the file's lines, without a marker
            mark = "+" if kind == "add" else "-"
            diff = "\n".join(mark + line for line in diff.splitlines())
        parts.append(f"{kind} {as_text(change.get('path'))}\n{diff}".rstrip("\n"))
    return "\n".join(parts)


@dataclass(slots=True)
class PartialItem:
    """A streaming item and its deltas. Texts are kept whole, of a command's output the last
    `MAX_OUTPUT` characters."""

    turn: str
    item: Item
    size: int = 0
    """Characters received."""
    _deltas: list[str] = field(default_factory=list)
    _pending: int = 0  # characters in the deltas

    def append(self, delta: str) -> None:
        """Append the next piece of its text."""
        self._deltas.append(delta)
        self.size += len(delta)
        self._pending += len(delta)
        if self._pending > MAX_OUTPUT:  # bounds the memory between two updates
            self.current()

    def current(self) -> Item:
        """Return the item with all its deltas."""
        if self._deltas:
            more = "".join(self._deltas)
            self._deltas.clear()
            self._pending = 0
            if isinstance(self.item, ToolCall):
                self.item = replace(self.item, output=(self.item.output + more)[-MAX_OUTPUT:])
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
