"""What Codex asked: the decoded body of one `POST /responses`, and the few things to know of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# The tools that run a command, by Codex version: 0.169, 0.107 to 0.142, 0.80.
SHELL_TOOLS = ("exec_command", "shell_command", "shell")
OUTPUT_TYPES = ("function_call_output", "custom_tool_call_output")


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a client. `received_at` is `time.monotonic()` when its body was complete."""

    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    received_at: float = 0.0

    @property
    def prompt(self) -> str:
        """The text of the user's last message, as the model receives it."""
        for item in reversed(self._input()):
            if _is_prompt(item):
                return _text(item)
        return ""

    @property
    def tool_output(self) -> str | None:
        """The output of the tool call that this request reports; None when it reports none."""
        items = self._input()
        if not items or items[-1].get("type") not in OUTPUT_TYPES:
            return None
        output = items[-1].get("output", "")
        return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)

    @property
    def tools(self) -> list[str]:
        """The names of the tools that the client offers, those in namespaces included."""
        return [
            str(tool.get("name", tool.get("type", ""))) for tool in _flat(self.body.get("tools"))
        ]

    @property
    def shell_tool(self) -> str | None:
        """The offered tool that runs a command."""
        return next((name for name in SHELL_TOOLS if name in self.tools), None)

    @property
    def is_side_request(self) -> bool:
        """Whether this is not a turn of the conversation: newer versions ask for a thread title
        with a request of its own, which offers no tool that could run anything."""
        return self.shell_tool is None

    def tool_type(self, name: str) -> str | None:
        """`function` or `custom` for an offered tool, None when it is not offered."""
        for tool in _flat(self.body.get("tools")):
            if tool.get("name") == name:
                return str(tool.get("type"))
        return None

    def namespaced(self, name: str) -> tuple[str, str] | None:
        """The namespace and the short name of a tool that stands in one, by its whole name; Codex
        0.142 and later put an MCP server's tools into `mcp__SERVER`."""
        for tool in self.body.get("tools") or []:
            if isinstance(tool, dict) and tool.get("type") == "namespace":
                space = str(tool.get("name"))
                for inner in _flat(tool.get("tools")):
                    if f"{space.rstrip('_')}__{inner.get('name')}" == name:
                        return space, str(inner["name"])
        return None

    def _input(self) -> list[dict[str, Any]]:
        value = self.body.get("input", [])
        if isinstance(value, str):
            return [{"type": "message", "role": "user", "content": value}]
        return [item for item in value if isinstance(item, dict)]


def _flat(tools: Any) -> Iterator[dict[str, Any]]:
    for tool in tools or []:
        if isinstance(tool, dict):
            yield tool
            yield from _flat(tool.get("tools"))


def _is_prompt(item: dict[str, Any]) -> bool:
    if item.get("role") != "user":
        return False
    text = _text(item).lstrip()
    # Codex injects its context as user messages of their own, wrapped in a tag or a heading.
    return not text.startswith(("<environment_context>", "<user_instructions>", "# AGENTS.md"))


def _text(item: dict[str, Any]) -> str:
    content = item.get("content", "")
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
