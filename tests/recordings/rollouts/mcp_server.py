"""A tiny MCP server on standard input and output, for recordings and tests.

`add` adds, `wipe` only says that it would destroy something, and `ask` asks the user to fill in the
form that it is told to (one of `FORMS`, or `page`: a page to open) and gives back the answer.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any

TOOLS = [
    {
        "name": "add",
        "description": "Adds two numbers.",
        "inputSchema": {
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            "required": ["a", "b"],
        },
        "annotations": {"readOnlyHint": True},
    },
    {
        "name": "wipe",
        "description": "Wipes a folder.",
        "inputSchema": {
            "type": "object",
            "properties": {"path": {"type": "string"}},
            "required": ["path"],
        },
        "annotations": {"readOnlyHint": False, "destructiveHint": True},
    },
    {
        "name": "ask",
        "description": "Asks the user.",
        "inputSchema": {
            "type": "object",
            "properties": {"form": {"type": "string"}},
            "required": ["form"],
        },
        "annotations": {"readOnlyHint": True},
    },
]
COLOUR = {"type": "string", "title": "Colour", "enum": ["red", "blue"]}
SURE = {"type": "boolean", "title": "Sure", "description": "Are you sure?"}
NAME = {"type": "string", "title": "Name", "description": "Your name"}
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "choices": {"colour": COLOUR, "sure": SURE},
    "words": {"name": NAME},
}
IDS = itertools.count(1)


def answer(method: str, params: dict[str, Any], lines: Iterator[str]) -> dict[str, Any]:
    """The result of one request; `lines` bring what the client says meanwhile."""
    if method == "initialize":
        return {
            "protocolVersion": params.get("protocolVersion", "2025-06-18"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "demo", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": call(params, lines)}], "isError": False}
    return {}


def call(params: dict[str, Any], lines: Iterator[str]) -> str:
    """What a tool says."""
    arguments = params["arguments"]
    if params["name"] == "add":
        return str(sum(arguments.values()))
    if params["name"] == "wipe":
        return f"would wipe {arguments['path']}"
    return json.dumps(ask(arguments["form"], lines))


def ask(form: str, lines: Iterator[str]) -> Any:
    """Ask the user, and wait for the answer."""
    number = f"ask-{next(IDS)}"
    about: dict[str, Any] = {"message": "The server wants to know."}
    if form == "page":
        page = {"mode": "url", "elicitationId": number, "url": "https://example.com/sign-in"}
        about = {"message": "Please sign in."} | page
    else:
        fields = FORMS[form]
        about["requestedSchema"] = {
            "type": "object",
            "properties": fields,
            "required": list(fields),
        }
    send({"id": number, "method": "elicitation/create", "params": about})
    for line in lines:
        message = json.loads(line)
        if message.get("id") == number:
            return message.get("result") or message.get("error")
    return None


def send(message: dict[str, Any]) -> None:
    """Write one message."""
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def main() -> None:
    """Answer requests until standard input ends; notifications need no answer."""
    lines = iter(sys.stdin)
    for line in lines:
        request = json.loads(line)
        if "id" in request:
            result = answer(request["method"], request.get("params") or {}, lines)
            send({"id": request["id"], "result": result})


if __name__ == "__main__":
    main()
