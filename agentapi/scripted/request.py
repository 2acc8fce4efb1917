"""A client's request: its decoded body, and accessors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentapi.scripted.wires.base import Wire, shell_tool
from agentapi.scripted.wires.responses import Responses


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a client. `received_at` is `time.monotonic()` when its body was complete."""

    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    received_at: float = 0.0
    wire: Wire = field(default_factory=Responses)
    """The API that the body belongs to."""

    @property
    def prompt(self) -> str:
        """The text of the user's last message, without additions of the client."""
        return self.wire.prompt(self.body)

    @property
    def tool_output(self) -> str | None:
        """The output of the tool call in this request; None if it has none."""
        return self.wire.tool_output(self.body)

    @property
    def tools(self) -> list[str]:
        """The names of the tools that the client offers, those in namespaces included."""
        return [tool.name for tool in self.wire.tools(self.body)]

    @property
    def shell_tool(self) -> str | None:
        """The offered tool that runs a command."""
        tool = shell_tool(self.wire.tools(self.body))
        return tool.name if tool else None

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the answer's text; empty if any text is valid."""
        return self.wire.schema(self.body)

    @property
    def is_side_request(self) -> bool:
        """Whether this is not a turn of the conversation: programs request a title, or which model
        to use, without offering a tool that runs anything."""
        return self.shell_tool is None
