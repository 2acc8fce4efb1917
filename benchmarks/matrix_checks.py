"""What must hold of every Codex version: each check is one part of a scripted conversation.

A check talks to a running server and raises `AssertionError` with what was wrong. The checks of a
part run in their order on one server, as a user's conversation would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from agentapi.scripted import ScriptedModel
from agentapi.scripted.answers import MARKDOWN, numbered
from benchmarks.words import judge
from tests.support.codex import CodexHome
from tests.support.server import PATIENCE, Sent, Server


@dataclass
class Talk:
    """A server with a Codex and what is behind it."""

    server: Server
    model: ScriptedModel
    home: CodexHome
    version: str
    notes: dict[str, str] = field(default_factory=dict)
    """What is not a matter of holding or not: told in the table as it is."""

    async def items(self, kind: str) -> list[dict[str, Any]]:
        """The transcript's items of a kind."""
        found = (await self.server.get("/transcript?limit=1000"))["items"]
        return [item for item in found if item["kind"] == kind]

    async def exact_answer(self) -> str:
        """The text of the last agent message, once it is exact."""
        async with asyncio.timeout(PATIENCE):
            while True:
                last = (await self.items("agent_message"))[-1]
                if last["source"] != "screen" and not last["partial"]:
                    return str(last["text"])
                await asyncio.sleep(0.05)

    async def asked(self, prompt: str) -> dict[str, Any]:
        """Send what ends in a dialog; the dialog."""
        count = len(self.server.statuses)
        assert await self.server.send(prompt) == Sent(200)
        await self.server.wait_status("running", "stable", since=count)
        dialog = (await self.server.get("/approval"))["open"]
        assert dialog is not None, f"no dialog; the phase is {await self.server.phase()}"
        return dict(dialog)

    async def until_idle(self) -> None:
        """Wait for the end of a turn that is under way."""
        async with asyncio.timeout(PATIENCE):
            while await self.server.phase() != "idle":  # noqa: ASYNC110
                await asyncio.sleep(0.05)


Check = Callable[[Talk], Awaitable[None]]


def equal(found: object, wanted: object) -> None:
    """Raise with both when they differ."""
    assert found == wanted, f"{found!r} instead of {wanted!r}"


def shows(message: str, sent: str) -> None:
    """Raise with the words that a message lacks or has too many."""
    verdict = judge(sent, message)
    assert verdict.exact, f"missing {verdict.missing}, too much {verdict.added + verdict.moved}"


async def start(talk: Talk) -> None:
    """running, then stable; the start-up screen is message 0; nothing asked the model."""
    equal(talk.server.statuses, ["running", "stable"])
    ((role, text),) = await talk.server.messages()
    equal(role, "agent")
    assert "OpenAI Codex" in text, f"no banner in {text!r}"
    equal(talk.model.requests, [])


async def one_line(talk: Talk) -> None:
    """One prompt of one line, one answer, the prompt as it was sent."""
    equal(await talk.server.turn("echo one line"), "• echo one line")
    equal(talk.model.requests[-1].prompt, "echo one line")
    evidence = (await talk.server.get("/session"))["evidence"] or []
    talk.notes["phase told by"] = str(evidence[0]["source"]) if evidence else "quiet time"


async def many_lines(talk: Talk) -> None:
    """A prompt of many lines and scripts reaches the model as it was sent."""
    prompt = "echo first\n\n  indented › 你好 👍🏽\n\ttabbed\nlast"
    await talk.server.turn(prompt)
    equal(talk.model.requests[-1].prompt, prompt)


async def markdown(talk: Talk) -> None:
    """Headings, lists, a table, code: every word and nothing else."""
    shows(await talk.server.turn("markdown"), MARKDOWN)


async def exact_text(talk: Talk) -> None:
    """GET /transcript has that answer byte by byte."""
    equal(await talk.exact_answer(), MARKDOWN)


async def tool(talk: Talk) -> None:
    """A shell command: its line, its output, the answer after it."""
    answer = await talk.server.turn("run echo from-the-tool")
    assert "Ran echo from-the-tool" in answer, answer
    assert "└ from-the-tool" in answer, answer
    assert "its last line of output was" in answer, answer


async def exact_tool(talk: Talk) -> None:
    """GET /transcript has a failed command, its output and its exit code."""
    await talk.server.turn("run echo from-the-tool; exit 3")
    call = (await talk.items("tool_call"))[-1]
    assert "echo from-the-tool; exit 3" in call["command"], call
    assert "from-the-tool" in call["output"], call
    equal((call["exit_code"], call["status"]), (3, "failed"))


async def session(talk: Talk) -> None:
    """GET /session has the id of Codex's own record, and the version."""
    about = await talk.server.get("/session")
    found = about["session_id"]
    assert found and found in talk.home.rollouts()[-1].name, f"session_id is {found!r}"
    equal(about["agent_version"], talk.version)


async def interrupt(talk: Talk) -> None:
    """POST /interrupt ends the turn, twice is once, and the next turn is whole."""
    server, count = talk.server, len(talk.server.statuses)
    talk.model.hold()
    try:
        equal(await server.send("hello"), Sent(200))
        await talk.model.wait_until_held()
        for _ in range(2):
            async with server.client.post(server.url + "/interrupt") as response:
                equal(response.status, 200)
        await server.wait_status("running", "stable", since=count)
    finally:
        talk.model.release()
    said = (await server.messages())[-1][1]
    # 0.142 shows no mark where nothing was answered yet: it puts the prompt back to be edited.
    assert not said or "Conversation interrupted" in said, said
    talk.notes["marks an interrupt before the first word"] = "yes" if said else "no"
    equal(await server.turn("echo after it"), "• echo after it")


async def interrupt_key(talk: Talk) -> None:
    """Esc as a raw key ends the turn too."""
    server, count = talk.server, len(talk.server.statuses)
    talk.model.hold()
    try:
        equal(await server.send("hello"), Sent(200))
        await talk.model.wait_until_held()
        await server.raw("\x1b")
        await server.wait_status("running", "stable", since=count)
    finally:
        talk.model.release()
    equal(await server.turn("echo after the key"), "• echo after the key")


async def three_prompts(talk: Talk) -> None:
    """Three turns, the same question twice: six messages, each answer its own."""
    answers = [await talk.server.turn(prompt) for prompt in ("hello", "echo two", "hello")]
    equal(answers[1], "• echo two")
    equal(answers[2], answers[0])


async def lines_400(talk: Talk) -> None:
    """An answer of 400 lines: each of them once, in order."""
    shows(await talk.server.turn("lines 400"), numbered(400))


async def leave(talk: Talk) -> None:
    """Codex's own end is the server's, with status 0."""
    await talk.server.raw("\x03")
    if talk.server.process.returncode is None:
        try:
            async with asyncio.timeout(3):
                await talk.server.process.wait()
        except TimeoutError:
            await talk.server.raw("\x03")
    equal(await talk.server.ended(), 0)


async def resumed(talk: Talk) -> None:
    """`codex resume ID`: stable, and the next prompt brings the earlier turns to the model."""
    await talk.server.ready()
    answer = await talk.server.turn("echo after the resume")
    equal(answer, "• echo after the resume")
    assert "echo one line" in str(talk.model.requests[-1].body["input"]), "the history is gone"


async def blocked(talk: Talk) -> None:
    """An approval is `stable` and `blocked`; a `user` message is refused, and types nothing."""
    dialog = await talk.asked("approve touch by-key")
    equal(dialog["kind"], "command")
    equal(await talk.server.phase(), "blocked")
    refused = await talk.server.send("yes")
    equal(refused.status, 500)
    assert "touch by-key" in refused.error, refused.error
    equal((talk.home.workdir / "by-key").exists(), False)


async def answered_by_key(talk: Talk) -> None:
    """`y` as a raw key answers it; the command runs and the turn goes on to its end."""
    await talk.server.raw("y")
    await talk.until_idle()
    equal((talk.home.workdir / "by-key").exists(), True)
    assert "The command has finished" in (await talk.server.messages())[-1][1]


async def answered_by_call(talk: Talk) -> None:
    """POST /approval answers it; a wrong id is 409."""
    dialog = await talk.asked("approve touch by-call")
    equal(await _answer(talk, "dialog-0", dialog["choices"][0]["id"]), 409)
    equal(await _answer(talk, dialog["id"], dialog["choices"][0]["id"]), 200)
    await talk.until_idle()
    equal((talk.home.workdir / "by-call").exists(), True)


async def declined_by_call(talk: Talk) -> None:
    """The last choice declines: nothing runs, and Codex is ready again."""
    dialog = await talk.asked("approve touch declined")
    equal(await _answer(talk, dialog["id"], dialog["choices"][-1]["id"]), 200)
    await talk.until_idle()
    equal((talk.home.workdir / "declined").exists(), False)
    equal(await talk.server.turn("echo still here"), "• echo still here")


async def _answer(talk: Talk, number: str, choice: str) -> int:
    body = {"id": number, "choice": choice}
    async with talk.server.client.post(talk.server.url + "/approval", json=body) as response:
        return response.status


FREE: tuple[tuple[str, Check], ...] = (
    ("start: running, stable, the banner is message 0", start),
    ("one line, and its answer", one_line),
    ("many lines and scripts, literally", many_lines),
    ("Markdown: every word and nothing else", markdown),
    ("`GET /transcript`: the same byte by byte", exact_text),
    ("a tool: command, output, answer", tool),
    ("`GET /transcript`: command, output, exit code", exact_tool),
    ("session id and version in `GET /session`", session),
    ("`POST /interrupt`, twice; the next turn is whole", interrupt),
    ("interrupt by the raw key Esc", interrupt_key),
    ("three prompts, one of them twice", three_prompts),
    ("400 lines, each once", lines_400),
    ("exit: status 0", leave),
)
"""A conversation in which everything is allowed."""
RESUME: tuple[tuple[str, Check], ...] = (("`codex resume`: the conversation goes on", resumed),)
"""Goes on with it."""
GUARDED: tuple[tuple[str, Check], ...] = (
    ("an approval is blocked, a message refused", blocked),
    ("approval by the raw key y", answered_by_key),
    ("approval by `POST /approval`", answered_by_call),
    ("declined by `POST /approval`", declined_by_call),
)
"""A conversation in the read-only sandbox, with approval on request."""
