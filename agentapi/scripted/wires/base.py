"""The interface of the wires, and shared functions."""

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
        """Return the first bytes of the stream."""

    def text_begins(self) -> bytes:
        """Begin a text."""

    def delta(self, text: str) -> bytes:
        """Encode a part of the text."""

    def text_ends(self, text: str) -> bytes:
        """End the text, which is passed again as a whole."""

    def item(self, step: Think | Shell | Patch | Call) -> bytes:
        """Encode a step that is sent at once.

        Raises `LookupError` if the request offers no tool for it."""

    def end(self) -> bytes:
        """Return the last bytes of the stream."""

    def whole(self) -> Json:
        """Return the reply as one JSON object, for clients without streaming, after `end`."""


class Wire(Protocol):
    """Reads requests and encodes replies of one API."""

    paths: Sequence[str]
    """The routes of model requests."""

    def prompt(self, body: Json) -> str:
        """Return the user's last message, without additions of the client."""

    def tool_output(self, body: Json) -> str | None:
        """Return the output of the tool call in this request; None if it has none."""

    def tools(self, body: Json) -> Sequence[Tool]:
        """Return the tools that the client offers."""

    def schema(self, body: Json) -> Json:
        """Return the JSON schema of the reply's text; empty if any text is valid."""

    def streams(self, path: str, body: Json) -> bool:
        """Whether the client wants a stream."""

    def encoder(self, body: Json) -> Encoder:
        """Create the encoder of one reply."""


_serial = itertools.count(1)


def new_id(prefix: str) -> str:
    """Return an id that is unique in this process."""
    return f"{prefix}{next(_serial)}"


def event(data: Json, name: str | None = None) -> bytes:
    """Encode a server-sent event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def call_of(step: Shell | Patch | Call, tools: Iterable[Tool]) -> tuple[str, Json]:
    """Return the name and arguments of a function call for the step.

    Raises `LookupError` if the request offers no tool for it."""
    if isinstance(step, Call):
        return step.name, step.arguments
    shell = shell_tool(tools)
    if isinstance(step, Patch) or shell is None:
        raise LookupError(f"no offered tool can do this: {type(step).__name__}")
    arguments = fill(shell.schema, "a command of the scripted model")
    return shell.name, {**arguments, "command": step.command}


def shell_tool(tools: Iterable[Tool]) -> Tool | None:
    """Return the offered tool that runs commands."""
    offered = {tool.name: tool for tool in tools}
    return next((offered[name] for name in SHELL_TOOLS if name in offered), None)


def text_of(content: Any) -> str:
    """Return the text of a message: a string, or a list of parts that may have a `text`."""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in dicts(content))


def dicts(values: Any) -> list[Json]:
    """Return the objects in an untrusted list."""
    return [value for value in values or [] if isinstance(value, dict)]


def tokens(value: Any) -> int:
    """Estimate the tokens of JSON at four characters a token."""
    return len(json.dumps(value)) // 4
