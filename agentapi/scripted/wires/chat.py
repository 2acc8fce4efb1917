"""OpenAI's chat completions, as opencode and Copilot CLI use them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence

from agentapi.scripted.reply import Call, Patch, Shell, Think
from agentapi.scripted.wires.base import Json, Tool, call_of, dicts, event, new_id, text_of, tokens

# What Copilot CLI puts before and after the user's words.
_AROUND = re.compile(r"\s*<(current_datetime|reminder|system_reminder)>.*?</\1>\s*", re.DOTALL)


class Chat:
    """`POST /v1/chat/completions`."""

    paths: Sequence[str] = ("/v1/chat/completions",)

    def prompt(self, body: Json) -> str:
        """See `Wire.prompt`."""
        for message in reversed(dicts(body.get("messages"))):
            if message.get("role") == "user":
                return _AROUND.sub("", text_of(message.get("content")))
        return ""

    def tool_output(self, body: Json) -> str | None:
        """See `Wire.tool_output`."""
        messages = dicts(body.get("messages"))
        if not messages or messages[-1].get("role") != "tool":
            return None
        return text_of(messages[-1].get("content"))

    def tools(self, body: Json) -> Sequence[Tool]:
        """See `Wire.tools`."""
        functions = [tool.get("function") or {} for tool in dicts(body.get("tools"))]
        return [Tool(str(one.get("name")), one.get("parameters") or {}) for one in functions]

    def schema(self, body: Json) -> Json:
        """See `Wire.schema`."""
        wanted = (body.get("response_format") or {}).get("json_schema") or {}
        return wanted.get("schema") or {}

    def streams(self, _: str, body: Json) -> bool:
        """See `Wire.streams`."""
        return bool(body.get("stream"))

    def encoder(self, body: Json) -> _Encoder:
        """See `Wire.encoder`."""
        return _Encoder(self, body)


class _Encoder:
    def __init__(self, wire: Chat, body: Json) -> None:
        self._wire = wire
        self._body = body
        self._id = new_id("chatcmpl-")
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._calls: list[Json] = []

    def begin(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def text_begins(self) -> bytes:
        return b""

    def delta(self, text: str) -> bytes:
        return self._chunk({"content": text})

    def text_ends(self, text: str) -> bytes:
        self._texts.append(text)
        return b""

    def item(self, step: Think | Shell | Patch | Call) -> bytes:
        if isinstance(step, Think):
            self._thoughts.append(step.summary)
            return self._chunk({"reasoning_content": step.summary})
        name, arguments = call_of(step, self._wire.tools(self._body))
        call = {
            "id": new_id("call_"),
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        self._calls.append(call)
        return self._chunk({"tool_calls": [{"index": len(self._calls) - 1, **call}]})

    def end(self) -> bytes:
        last = self._chunk({}, self._finish())
        usage = event(
            {**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage()}
        )
        return last + usage + b"data: [DONE]\n\n"

    def whole(self) -> Json:
        message: Json = {"role": "assistant", "content": "".join(self._texts)}
        if self._thoughts:
            message["reasoning_content"] = "".join(self._thoughts)
        if self._calls:
            message["tool_calls"] = self._calls
        choice = {"index": 0, "message": message, "finish_reason": self._finish()}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()}

    def _finish(self) -> str:
        return "tool_calls" if self._calls else "stop"

    def _chunk(self, delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _head(self, kind: str) -> Json:
        model = str(self._body.get("model", ""))
        return {"id": self._id, "object": kind, "created": int(time.time()), "model": model}

    def _usage(self) -> Json:
        read, written = tokens(self._body), tokens([*self._texts, *self._calls])
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }
