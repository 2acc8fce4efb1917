"""Anthropic's Messages API, as Claude Code uses it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from agentapi.scripted.reply import Call, Patch, Shell, Think
from agentapi.scripted.wires.base import Json, Tool, call_of, dicts, event, new_id, text_of, tokens

# Claude Code puts a paste of more than three lines into this.
_PASTED = re.compile(r"\n*<pasted_content [^>]*>\n(.*?)\n</pasted_content[^>]*>\n?", re.DOTALL)

# What it says in the user's place.
_NOT_TYPED = ("<system-reminder>", "[Request interrupted by user")


class Messages:
    """`POST /v1/messages`."""

    paths: Sequence[str] = ("/v1/messages",)

    def prompt(self, body: Json) -> str:
        """See `Wire.prompt`; without the reminders that Claude Code adds as separate blocks."""
        for message in reversed(dicts(body.get("messages"))):
            if message.get("role") == "user" and (text := _prompt(message.get("content"))):
                return text
        return ""

    def tool_output(self, body: Json) -> str | None:
        """See `Wire.tool_output`."""
        said = [m for m in dicts(body.get("messages")) if m.get("role") in ("user", "assistant")]
        if not said or said[-1]["role"] != "user":
            return None
        content = said[-1].get("content")
        if _prompt(content):
            return None  # the next prompt, in one message with what became of the last call
        for block in _blocks(content):
            if block.get("type") == "tool_result":
                return text_of(block.get("content"))
        return None

    def tools(self, body: Json) -> Sequence[Tool]:
        """See `Wire.tools`."""
        return [
            Tool(str(tool.get("name")), tool.get("input_schema") or {})
            for tool in dicts(body.get("tools"))
        ]

    def schema(self, body: Json) -> Json:
        """See `Wire.schema`."""
        wanted = body.get("output_format") or (body.get("output_config") or {}).get("format") or {}
        return wanted.get("schema") or {}

    def streams(self, _: str, body: Json) -> bool:
        """See `Wire.streams`."""
        return bool(body.get("stream"))

    def encoder(self, body: Json) -> _Encoder:
        """See `Wire.encoder`."""
        return _Encoder(self, body)


class _Encoder:
    def __init__(self, wire: Messages, body: Json) -> None:
        self._wire = wire
        self._body = body
        self._blocks: list[Json] = []
        self._id = new_id("msg_")

    def begin(self) -> bytes:
        return _event("message_start", message={**self.whole(), "content": [], "stop_reason": None})

    def text_begins(self) -> bytes:
        return self._start({"type": "text", "text": ""})

    def delta(self, text: str) -> bytes:
        return self._delta({"type": "text_delta", "text": text})

    def text_ends(self, text: str) -> bytes:
        return self._stop({"type": "text", "text": text})

    def item(self, step: Think | Shell | Patch | Call) -> bytes:
        if isinstance(step, Think):
            block: Json = {"type": "thinking", "thinking": "", "signature": ""}
            deltas: list[Json] = [
                {"type": "thinking_delta", "thinking": step.summary},
                {"type": "signature_delta", "signature": "scripted"},
            ]
            done: Json = {**block, "thinking": step.summary, "signature": "scripted"}
        else:
            name, arguments = call_of(step, self._wire.tools(self._body))
            call_id = new_id("toolu_")
            block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": json.dumps(arguments)}]
            done = {**block, "input": arguments}
        return b"".join(
            (self._start(block), *(self._delta(delta) for delta in deltas), self._stop(done))
        )

    def end(self) -> bytes:
        delta = {"stop_reason": self._stop_reason(), "stop_sequence": None}
        usage = {"output_tokens": tokens(self._blocks)}
        return _event("message_delta", delta=delta, usage=usage) + _event("message_stop")

    def whole(self) -> Json:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": str(self._body.get("model", "")),
            "content": self._blocks,
            "stop_reason": self._stop_reason(),
            "stop_sequence": None,
            "usage": {"input_tokens": tokens(self._body), "output_tokens": tokens(self._blocks)},
        }

    def _stop_reason(self) -> str:
        calls = any(block["type"] == "tool_use" for block in self._blocks)
        return "tool_use" if calls else "end_turn"

    def _start(self, block: Json) -> bytes:
        return _event("content_block_start", index=len(self._blocks), content_block=block)

    def _delta(self, delta: Json) -> bytes:
        return _event("content_block_delta", index=len(self._blocks), delta=delta)

    def _stop(self, block: Json) -> bytes:
        self._blocks.append(block)
        return _event("content_block_stop", index=len(self._blocks) - 1)


def _event(kind: str, **fields: Any) -> bytes:
    return event({"type": kind, **fields}, kind)


def _blocks(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else dicts(content)


def _prompt(content: Any) -> str:
    texts = [str(block["text"]) for block in _blocks(content) if block.get("type") == "text"]
    mine = [text for text in texts if not text.lstrip().startswith(_NOT_TYPED)]
    return _PASTED.sub(r"\1", "".join(mine))
