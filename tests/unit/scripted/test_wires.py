"""The wires of the other agents: what is read out of a request, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from agentapi.scripted import Break, Call, Fail, Patch, Request, Say, ScriptedModel, Shell
from agentapi.scripted.wires import Wire
from agentapi.scripted.wires.base import call_of
from agentapi.scripted.wires.chat import Chat
from agentapi.scripted.wires.gemini import Gemini
from agentapi.scripted.wires.messages import Messages

Json = dict[str, Any]

ARGUMENTS = {
    "type": "object",
    "properties": {
        "command": {"type": "string"},
        "why": {"type": "string"},
        "mode": {"type": "string", "enum": ["sync", "async"]},
        "timeout": {"type": "integer"},
    },
    "required": ["command", "why", "mode"],
}
RAN = {"command": "ls -l", "why": "a command of the scripted model", "mode": "sync"}


@dataclass
class Got:
    """What a client makes of a reply."""

    text: str = ""
    thoughts: str = ""
    calls: tuple[tuple[str, Json], ...] = ()
    stopped: str = ""


@dataclass
class Client:
    """A client of one wire: it builds bodies and reads replies."""

    wire: Wire
    path: str
    whole_path: str
    shell: str
    """The name of the tool that runs a command."""
    turns: str
    """The name of the list of what was said."""
    body: Callable[[str, Json | None], Json]
    answered: Callable[[str, str], list[Json]]
    read: Callable[[str], Got]
    read_whole: Callable[[Json], Got]
    stops: tuple[str, str]
    """The reasons why a text and a tool call end."""

    async def ask(self, model: ScriptedModel, prompt: str, **more: Any) -> Got:
        body = {**self.body(prompt, ARGUMENTS), "stream": True, **more}
        async with (
            aiohttp.ClientSession() as http,
            http.post(model.origin + self.path, json=body) as response,
        ):
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            return self.read(await response.text())


def _messages_body(prompt: str, schema: Json | None) -> Json:
    blocks = [{"type": "text", "text": "<system-reminder>\nBe kind.\n</system-reminder>\n"}]
    blocks.append({"type": "text", "text": prompt})
    tools = [{"name": "Bash", "input_schema": schema}] if schema else []
    return {"model": "m", "messages": [{"role": "user", "content": blocks}], "tools": tools}


def _messages_answered(prompt: str, output: str) -> list[Json]:
    return [
        {"role": "user", "content": prompt},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash"}]},
        {"role": "user", "content": [{"type": "tool_result", "content": output}]},
    ]


def _messages_read(stream: str) -> Got:
    got, partial = Got(), ""
    for data in _events(stream):
        delta = data.get("delta", {})
        got.text += delta.get("text", "")
        got.thoughts += delta.get("thinking", "")
        partial += delta.get("partial_json", "")
        if data.get("content_block", {}).get("type") == "tool_use":
            got.calls += ((data["content_block"]["name"], {}),)
        got.stopped = delta.get("stop_reason") or got.stopped
    if partial:
        got.calls = ((got.calls[0][0], json.loads(partial)),)
    return got


def _messages_whole(data: Json) -> Got:
    texts = [block["text"] for block in data["content"] if block["type"] == "text"]
    calls = [(b["name"], b["input"]) for b in data["content"] if b["type"] == "tool_use"]
    return Got("".join(texts), "", tuple(calls), data["stop_reason"])


def _chat_body(prompt: str, schema: Json | None) -> Json:
    prompt = f"<current_datetime>now</current_datetime>\n\n{prompt}\n\n<reminder>\nx\n</reminder>"
    function = {"name": "bash", "parameters": schema}
    tools = [{"type": "function", "function": function}] if schema else []
    return {"model": "m", "messages": [{"role": "user", "content": prompt}], "tools": tools}


def _chat_answered(prompt: str, output: str) -> list[Json]:
    return [{"role": "user", "content": prompt}, {"role": "tool", "content": output}]


def _chat_read(stream: str) -> Got:
    assert stream.endswith("data: [DONE]\n\n")
    got = Got()
    for data in _events(stream.removesuffix("data: [DONE]\n\n")):
        for choice in data["choices"]:
            got.text += choice["delta"].get("content", "")
            got.thoughts += choice["delta"].get("reasoning_content", "")
            got.calls += _chat_calls(choice["delta"])
            got.stopped = choice["finish_reason"] or got.stopped
    return got


def _chat_whole(data: Json) -> Got:
    [choice] = data["choices"]
    message = choice["message"]
    return Got(message["content"], "", _chat_calls(message), choice["finish_reason"])


def _chat_calls(message: Json) -> tuple[tuple[str, Json], ...]:
    functions = [call["function"] for call in message.get("tool_calls", [])]
    return tuple((one["name"], json.loads(one["arguments"])) for one in functions)


def _gemini_body(prompt: str, schema: Json | None) -> Json:
    texts = ["<session_context>\nnow\n</session_context>", prompt]
    declared = {"name": "run_shell_command", "parametersJsonSchema": schema}
    return {
        "contents": [{"role": "user", "parts": [{"text": text}]} for text in texts],
        "tools": [{"functionDeclarations": [declared]}] if schema else [],
    }


def _gemini_answered(prompt: str, output: str) -> list[Json]:
    answered = {"name": "run_shell_command", "response": {"output": output}}
    return [
        {"role": "user", "parts": [{"text": prompt}]},
        {"role": "user", "parts": [{"functionResponse": answered}]},
    ]


def _gemini_read(stream: str) -> Got:
    got = Got()
    for data in _events(stream):
        more = _gemini_whole(data)
        got = Got(
            got.text + more.text,
            got.thoughts + more.thoughts,
            got.calls + more.calls,
            more.stopped or got.stopped,
        )
    return got


def _gemini_whole(data: Json) -> Got:
    got = Got(stopped=data["candidates"][0].get("finishReason", ""))
    for part in data["candidates"][0]["content"]["parts"]:
        if call := part.get("functionCall"):
            got.calls += ((call["name"], call["args"]),)
        elif part.get("thought"):
            got.thoughts += part["text"]
        else:
            got.text += part["text"]
    return got


def _events(stream: str) -> list[Json]:
    return [
        json.loads(line[6:])
        for frame in stream.split("\n\n")
        for line in frame.splitlines()
        if line.startswith("data: ")
    ]


GEMINI = "/v1beta/models/gemini-9"
CLIENTS = {
    "messages": Client(
        wire=Messages(),
        path="/v1/messages?beta=true",
        whole_path="/v1/messages",
        shell="Bash",
        turns="messages",
        body=_messages_body,
        answered=_messages_answered,
        read=_messages_read,
        read_whole=_messages_whole,
        stops=("end_turn", "tool_use"),
    ),
    "chat": Client(
        wire=Chat(),
        path="/v1/chat/completions",
        whole_path="/v1/chat/completions",
        shell="bash",
        turns="messages",
        body=_chat_body,
        answered=_chat_answered,
        read=_chat_read,
        read_whole=_chat_whole,
        stops=("stop", "tool_calls"),
    ),
    "gemini": Client(
        wire=Gemini(),
        path=f"{GEMINI}:streamGenerateContent?alt=sse",
        whole_path=f"{GEMINI}:generateContent",
        shell="run_shell_command",
        turns="contents",
        body=_gemini_body,
        answered=_gemini_answered,
        read=_gemini_read,
        read_whole=_gemini_whole,
        stops=("STOP", "STOP"),
    ),
}


@pytest.fixture(params=list(CLIENTS))
def client(request: pytest.FixtureRequest) -> Client:
    return CLIENTS[request.param]


async def test_a_text_is_streamed_in_its_pieces(model: ScriptedModel, client: Client) -> None:
    model.answer = lambda _: [Say("one two\nthree", chunk=4)]
    assert await client.ask(model, "x") == Got("one two\nthree", stopped=client.stops[0])
    assert (len(model.requests), model.finished) == (1, 1)


async def test_the_words_of_a_prompt_choose_the_answer(
    model: ScriptedModel, client: Client
) -> None:
    assert (await client.ask(model, "echo  a\n b")).text == "echo  a\n b"
    assert model.requests[-1].prompt == "echo  a\n b"
    assert (await client.ask(model, "lines 3")).text == "line 1 of 3\nline 2 of 3\nline 3 of 3"


async def test_a_command_uses_the_tool_that_is_offered(
    model: ScriptedModel, client: Client
) -> None:
    for prompt in ("run ls -l", "approve ls -l"):
        got = await client.ask(model, prompt)
        assert got == Got(calls=((client.shell, RAN),), stopped=client.stops[1])


async def test_a_thought_is_apart_from_the_answer(model: ScriptedModel, client: Client) -> None:
    got = await client.ask(model, "think")
    assert (got.text, got.thoughts) == ("Four.", "**Considering**\n\nTwo and two.")


async def test_any_other_tool_is_called_by_its_name(model: ScriptedModel, client: Client) -> None:
    model.answer = lambda _: [Say("Let me see."), Call("look", {"at": "it"})]
    got = await client.ask(model, "x")
    assert (got.text, got.calls) == ("Let me see.", (("look", {"at": "it"}),))


async def test_the_reply_may_be_one_object(model: ScriptedModel, client: Client) -> None:
    model.answer = lambda _: [Say("Let me see.", chunk=2), Shell("ls -l")]
    body = {**client.body("x", ARGUMENTS), "stream": False}
    async with (
        aiohttp.ClientSession() as http,
        http.post(model.origin + client.whole_path, json=body) as response,
    ):
        assert response.content_type == "application/json"
        got = client.read_whole(await response.json())
    assert got == Got("Let me see.", "", ((client.shell, RAN),), client.stops[1])


def test_a_tools_output_is_read(client: Client) -> None:
    said = client.answered("run date", "a\nlast")
    request = Request({client.turns: said}, wire=client.wire)
    assert (request.prompt, request.tool_output) == ("run date", "a\nlast")
    before = Request({client.turns: said[:1]}, wire=client.wire)
    assert before.tool_output is None


def test_an_empty_body_asks_nothing(client: Client) -> None:
    request = Request({}, wire=client.wire)
    assert (request.prompt, request.tool_output, request.tools) == ("", None, [])


async def test_a_request_without_a_shell_is_no_turn(model: ScriptedModel, client: Client) -> None:
    assert (await client.ask(model, "fix the bug", tools=[])).text == "fix the bug"
    assert (len(model.requests), len(model.side_requests)) == (0, 1)


SCHEMA = {
    "type": "OBJECT",
    "properties": {"reason": {"type": "STRING"}, "score": {"type": "INTEGER"}},
    "required": ["reason", "score"],
}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("messages", {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
        ("chat", {"response_format": {"json_schema": {"schema": SCHEMA}}}),
        ("gemini", {"generationConfig": {"responseSchema": SCHEMA}}),
    ],
)
async def test_a_form_that_is_wanted_is_filled(
    model: ScriptedModel, name: str, wanted: Json
) -> None:
    got = await CLIENTS[name].ask(model, "which model?", tools=[], **wanted)
    assert json.loads(got.text) == {"reason": "which model?", "score": 0}


async def test_failures_are_what_was_asked_for(model: ScriptedModel, client: Client) -> None:
    model.answer = lambda _: [Fail(529, "overloaded")]
    async with (
        aiohttp.ClientSession() as http,
        http.post(model.origin + client.path, json=client.body("x", ARGUMENTS)) as response,
    ):
        assert response.status == 529
        assert (await response.json())["error"]["message"] == "overloaded"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reply_may_break_off(model: ScriptedModel, client: Client, stream: bool) -> None:
    model.answer = lambda _: [Say("half"), Break()]
    path = client.path if stream else client.whole_path
    body = {**client.body("x", ARGUMENTS), "stream": stream}
    with pytest.raises(aiohttp.ClientError):
        async with (
            aiohttp.ClientSession() as http,
            http.post(model.origin + path, json=body) as response,
        ):
            await response.text()


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", f"{GEMINI}:countTokens"])
async def test_tokens_are_counted(model: ScriptedModel, path: str) -> None:
    body = {"messages": [{"role": "user", "content": "a" * 400}]}
    async with (
        aiohttp.ClientSession() as http,
        http.post(model.origin + path, json=body) as response,
    ):
        counted = await response.json()
    assert counted["input_tokens"] == counted["totalTokens"] > 100


def test_a_long_paste_of_claude_is_the_prompt() -> None:
    text = 'and \n\n<pasted_content id="68b8">\none\ntwo\nthree\n</pasted_content id="68b8">\n'
    body = {"messages": [{"role": "user", "content": text}]}
    assert Messages().prompt(body) == "and one\ntwo\nthree"


def test_a_patch_needs_codex(client: Client) -> None:
    with pytest.raises(LookupError, match="Patch"):
        call_of(Patch("*** Begin Patch"), client.wire.tools(client.body("x", ARGUMENTS)))


def test_a_prompt_after_a_refusal_stands_beside_the_refused_call() -> None:
    said = _messages_answered("run date", "The tool use was rejected")
    said[-1]["content"] += [
        {"type": "text", "text": "[Request interrupted by user for tool use]"},
        {"type": "text", "text": "hello"},
    ]
    request = Request({"messages": said}, wire=Messages())
    assert (request.prompt, request.tool_output) == ("hello", None)


def test_geminis_prompt_after_a_refusal_stands_beside_the_one_before() -> None:
    parts = [{"text": text} for text in ("<session_context>\n", "approve date", "hello")]
    assert Gemini().prompt({"contents": [{"role": "user", "parts": parts}]}) == "hello"
