"""A plain program that greets, prompts with `> ` and paints its screen anew: its messages are
exactly what it said, whatever it does in between."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import acp_agent, echo_agent
from tests.support.daemon import Daemon, daemon

GREETING = {"say": "Good day. What shall it be?"}
Step = Mapping[str, Any]


def agent(*script: Step, after: float = 0) -> list[str]:
    """The command line of an agent that plays the script."""
    return [sys.executable, echo_agent.__file__, json.dumps(script), str(after)]


def answer(text: str, **more: Any) -> Step:
    """A step: the agent answers a text."""
    return {"expect": text, "say": f"You said: {text}", **more}


@asynccontextmanager
async def statuses(one: Daemon) -> AsyncIterator[list[str]]:
    """Every status from here on, as they come."""
    found: list[str] = []

    async def follow() -> None:
        async with one.events() as events:
            async for name, data in events:
                if name == "status_change":
                    found.append(data["status"])

    task = asyncio.create_task(follow())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def turn(one: Daemon, text: str) -> None:
    """A message, to the end of its answer."""
    assert await one.say(text) == 200
    await one.stable()


@pytest.mark.parametrize("after", [0, 2])
async def test_messages_are_what_was_said(after: float) -> None:
    """Also of a program that paints nothing for a while: it is not ready before it has."""
    script = (GREETING, answer("hello there"))
    async with daemon("--", *agent(*script, after=after)) as one, statuses(one) as seen:
        await one.stable()
        await turn(one, "hello there")
        assert await one.messages() == [
            ("agent", "Good day. What shall it be?"),
            ("user", "hello there"),
            ("agent", "You said: hello there"),
        ]
    assert seen == ["running", "stable", "running", "stable"]


async def test_what_is_painted_while_it_thinks_is_no_message() -> None:
    script = (
        {**GREETING, "think": 1},
        answer("what is it?", think=1),
        {"say": "And one thing more.", "think": 0.6},
    )
    async with daemon("--", *agent(*script)) as one:
        await one.stable()
        assert await one.say("what is it?") == 200
        assert (await one.get("/status"))["status"] == "running"
        await one.stable()
        assert await one.messages() == [
            ("agent", "Good day. What shall it be?"),
            ("user", "what is it?"),
            ("agent", "You said: what is it?\nAnd one thing more."),
        ]


async def test_an_answer_may_repeat_the_question() -> None:
    script = (GREETING, {"expect": "the same", "say": "the same"}, answer("the same"))
    async with daemon("--", *agent(*script)) as one:
        await one.stable()
        await turn(one, "the same")
        await turn(one, "the same")
        assert await one.messages() == [
            ("agent", "Good day. What shall it be?"),
            ("user", "the same"),
            ("agent", "the same"),
            ("user", "the same"),
            ("agent", "You said: the same"),
        ]


async def test_an_answer_may_look_like_the_prompt() -> None:
    said = "> a quotation\n\nwhere it ends: >"
    async with daemon("--", *agent(GREETING, {"expect": "quote", "say": said})) as one:
        await one.stable()
        await turn(one, "quote")
        assert (await one.messages())[-1] == ("agent", said)


async def test_the_first_message_may_come_from_a_pipe() -> None:
    command = agent(answer("hello agent"))
    async with daemon("--", *command, stdin=asyncio.subprocess.PIPE) as one:
        assert one.process.stdin is not None
        one.process.stdin.write(b"hello agent\n")
        one.process.stdin.close()
        await one.until(lambda found: len(found) == 3 and found[2][1] != "")
        await one.stable()
        assert (await one.messages())[1:] == [
            ("user", "hello agent"),
            ("agent", "You said: hello agent"),
        ]


async def test_a_conversation_is_there_after_a_restart(tmp_path: Path) -> None:
    """The greeting that every start paints is not said twice, the last words are not kept."""
    kept = ["-s", str(tmp_path / "state.json")]
    told = [
        ("agent", "Good day. What shall it be?"),
        ("user", "before"),
        ("agent", "You said: before"),
    ]
    async with daemon(*kept, "--", *agent(GREETING, answer("before"))) as one:
        await one.stable()
        await turn(one, "before")
        await one.end()
    async with daemon(*kept, "--", *agent(GREETING, answer("after"))) as one:
        assert await one.messages() == told
        await one.stable()
        assert await one.messages() == told
        await turn(one, "after")
        assert await one.messages() == [
            *told,
            ("user", "after"),
            ("agent", "You said: after"),
        ]


async def test_a_first_prompt_is_sent_once(tmp_path: Path) -> None:
    """Nobody sees `stable` between the greeting and the answer to it."""
    kept = ["-s", str(tmp_path / "state.json")]
    told = [
        ("agent", "Good day. What shall it be?"),
        ("user", "first things first"),
        ("agent", "You said: first things first"),
    ]
    command = agent(GREETING, answer("first things first"))
    first = ["-I", "first things first"]
    async with daemon(*kept, *first, "--", *command) as one:
        await one.stable()
        assert await one.messages() == told
        await one.end()
    for again in ([], first):
        async with daemon(*kept, *again, "--", *command) as one:
            await one.stable()
            assert await one.messages() == told
            await one.end()
    command = agent(GREETING, answer("something else"))
    async with daemon(*kept, "-I", "something else", "--", *command) as one:
        await one.stable()
        assert await one.messages() == [
            *told,
            ("user", "something else"),
            ("agent", "You said: something else"),
        ]


async def test_an_agent_without_a_terminal_has_no_greeting() -> None:
    async with daemon("--experimental-acp", "--", sys.executable, acp_agent.__file__) as one:
        await one.stable()
        await turn(one, "say good day")
        assert await one.messages() == [("user", "say good day"), ("agent", "good day ")]


@pytest.mark.parametrize("number", [2, 15], ids=["SIGINT", "SIGTERM"])
async def test_last_words_are_not_kept(tmp_path: Path, number: int) -> None:
    file = tmp_path / "state.json"
    async with daemon("-s", str(file), "--", *agent(GREETING)) as one:
        await one.stable()
        await one.end(number)
    saved = json.loads(file.read_text())
    assert [found["message"] for found in saved["messages"]] == [GREETING["say"]]
