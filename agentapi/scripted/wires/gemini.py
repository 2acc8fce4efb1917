"""Google's Gemini API, as Gemini CLI uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentapi.scripted.reply import Call, Patch, Shell, Think
from agentapi.scripted.wires.base import Json, Tool, call_of, dicts, event, new_id, tokens


class Gemini:
    """`POST /v1beta/models/MODEL:streamGenerateContent` and `:generateContent`."""

    paths: Sequence[str] = (
        "/v1beta/models/{model}:streamGenerateContent",
        "/v1beta/models/{model}:generateContent",
    )

    def prompt(self, body: Json) -> str:
        """See `Wire.prompt`; messages that Gemini CLI adds as the user are left out."""
        for content in reversed(dicts(body.get("contents"))):
            if content.get("role") == "user" and (text := _prompt(content)):
                return text
        return ""

    def tool_output(self, body: Json) -> str | None:
        """See `Wire.tool_output`."""
        contents = dicts(body.get("contents"))
        for part in dicts(contents[-1].get("parts")) if contents else []:
            if answered := part.get("functionResponse"):
                return _output(answered.get("response") or {})
        return None

    def tools(self, body: Json) -> Sequence[Tool]:
        """See `Wire.tools`."""
        return [
            Tool(
                str(one.get("name")), one.get("parametersJsonSchema") or one.get("parameters") or {}
            )
            for group in dicts(body.get("tools"))
            for one in dicts(group.get("functionDeclarations"))
        ]

    def schema(self, body: Json) -> Json:
        """See `Wire.schema`."""
        wanted = body.get("generationConfig") or {}
        return wanted.get("responseJsonSchema") or wanted.get("responseSchema") or {}

    def streams(self, path: str, _: Json) -> bool:
        """See `Wire.streams`."""
        return path.endswith(":streamGenerateContent")

    def encoder(self, body: Json) -> _Encoder:
        """See `Wire.encoder`."""
        return _Encoder(self, body)


class _Encoder:
    def __init__(self, wire: Gemini, body: Json) -> None:
        self._wire = wire
        self._body = body
        self._id = new_id("resp_")
        self._parts: list[Json] = []

    def begin(self) -> bytes:
        return b""

    def text_begins(self) -> bytes:
        return b""

    def delta(self, text: str) -> bytes:
        return event(self._response([{"text": text}]))

    def text_ends(self, text: str) -> bytes:
        self._parts.append({"text": text})
        return b""

    def item(self, step: Think | Shell | Patch | Call) -> bytes:
        if isinstance(step, Think):
            part: Json = {"text": step.summary, "thought": True}
        else:
            name, arguments = call_of(step, self._wire.tools(self._body))
            part = {"functionCall": {"name": name, "args": arguments}}
        self._parts.append(part)
        return event(self._response([part]))

    def end(self) -> bytes:
        return event(self._response([{"text": ""}], "STOP"))

    def whole(self) -> Json:
        return self._response(self._parts, "STOP")

    def _response(self, parts: list[Json], finish: str | None = None) -> Json:
        read, written = tokens(self._body), tokens(self._parts)
        candidate: Json = {"index": 0, "content": {"role": "model", "parts": parts}}
        if finish:
            candidate["finishReason"] = finish
        return {
            "candidates": [candidate],
            "usageMetadata": {
                "promptTokenCount": read,
                "candidatesTokenCount": written,
                "totalTokenCount": read + written,
            },
            "modelVersion": "scripted",
            "responseId": self._id,
        }


def _prompt(content: Json) -> str:
    """Return the user's last text: after a refusal it has the prompt before it."""
    texts = [str(part.get("text", "")) for part in dicts(content.get("parts"))]
    mine = [text for text in texts if text and not text.lstrip().startswith("<session_context>")]
    return mine[-1] if mine else ""


def _output(response: Json) -> str:
    value: Any = response.get("output", response.get("error", response))
    return value if isinstance(value, str) else str(value)
