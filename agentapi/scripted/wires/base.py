"""What every wire offers, and what they share."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agentapi.scripted.reply import Call, Patch, Shell, Think
from agentapi.scripted.schema import fill

Json = dict[str, Any]

# The tools that run a command: Codex 0.169, 0.107 to 0.142, 0.80; Claude Code; Gemini CLI;
# opencode and Copilot CLI.
SHELL_TOOLS = ("exec_command", "shell_command", "shell", "Bash", "run_shell_command", "bash")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a request offers, and the JSON schema of its arguments."""

    name: str
    schema: Json


class Encoder(Protocol):
    """One reply, as bytes of the stream in the order of the calls, or whole at the end."""

    def begin(self) -> bytes:
        """The stream's first bytes."""

    def text_begins(self) -> bytes:
        """A text begins."""

    def delta(self, text: str) -> bytes:
        """A piece of the text."""

    def text_ends(self, text: str) -> bytes:
        """The text, here once more, is complete."""

    def item(self, step: Think | Shell | Patch | Call) -> bytes:
        """A step that is sent in one piece.

        Raises `LookupError` when the request offers no tool that could do it."""

    def end(self) -> bytes:
        """The stream's last bytes."""

    def whole(self) -> Json:
        """The reply as one JSON object, for a client that wants no stream; after `end`."""


class Wire(Protocol):
    """How one API puts a request and its reply."""

    paths: Sequence[str]
    """The routes of its requests for a reply."""

    def prompt(self, body: Json) -> str:
        """The text of the user's last message, without what the client put around it."""

    def tool_output(self, body: Json) -> str | None:
        """The output of the tool call that this request reports; None when it reports none."""

    def tools(self, body: Json) -> Sequence[Tool]:
        """The tools that the client offers."""

    def schema(self, body: Json) -> Json:
        """The JSON schema that the reply's text must have; empty when any text will do."""

    def streams(self, path: str, body: Json) -> bool:
        """Whether the client wants a stream."""

    def encoder(self, body: Json) -> Encoder:
        """The encoder of one reply."""


_serial = itertools.count(1)


def new_id(prefix: str) -> str:
    """An id that no other reply of this process has."""
    return f"{prefix}{next(_serial)}"


def event(data: Json, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def call_of(step: Shell | Patch | Call, tools: Iterable[Tool]) -> tuple[str, Json]:
    """The name and the arguments of a function call that does the step.

    Raises `LookupError` when the request offers no tool that could do it."""
    if isinstance(step, Call):
        return step.name, step.arguments
    shell = shell_tool(tools)
    if isinstance(step, Patch) or shell is None:
        raise LookupError(f"no offered tool can do this: {type(step).__name__}")
    arguments = fill(shell.schema, "a command of the scripted model")
    return shell.name, {**arguments, "command": step.command}


def shell_tool(tools: Iterable[Tool]) -> Tool | None:
    """The offered tool that runs a command."""
    offered = {tool.name: tool for tool in tools}
    return next((offered[name] for name in SHELL_TOOLS if name in offered), None)


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or a list of parts that may have a `text`."""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in dicts(content))


def dicts(values: Any) -> list[Json]:
    """The objects of a list that came from outside."""
    return [value for value in values or [] if isinstance(value, dict)]


def tokens(value: Any) -> int:
    """How many tokens JSON has, guessed at four characters a token."""
    return len(json.dumps(value)) // 4
