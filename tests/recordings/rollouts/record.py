"""`python -m tests.recordings.rollouts.record [VERSION …] [--only SESSION …]`: the rollout files.

Each session runs the real Codex against the scripted model and leaves two files here:

    VERSION/SESSION.jsonl      Codex's rollout, its own instructions left out, the home `/home/demo`
    VERSION/SESSION.json       what was typed and what the model said: {typed: […], said: […]}
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentapi.agents.codex.versions import TRIED
from agentapi.scripted import ScriptedModel
from agentapi.scripted.answers import answer
from agentapi.scripted.reply import Call, Reply, Say, Shell
from agentapi.scripted.request import Request
from tests.support.codex import CodexHome, codex_command, codex_home
from tests.support.scenarios import MULTI, UNICODE, Live, Scenario, is_approval
from tests.support.terminal import Terminal

FOLDER = Path(__file__).parent
HOME = Path("/var/tmp/agentapi-rollouts")
LEFT_OUT = "(left out)"
MCP = f"""
[mcp_servers.demo]
command = "{sys.executable}"
args = ["{FOLDER / "mcp_server.py"}"]
"""
PLAN = {
    "explanation": "Two steps.",
    "plan": [
        {"step": "Look", "status": "completed"},
        {"step": "Leap", "status": "in_progress"},
    ],
}
INJECTED = re.compile(r"\s*(?:<([a-z_ ]+)>|# AGENTS\.md|Warning: )")
INSTRUCTIONS = (
    "instructions",
    "user_instructions",
    "developer_instructions",
    "base_instructions",
    "host_skills",
)


def model_answer(request: Request) -> Reply:
    """The scripted model's answers and three more: a plan, an MCP tool, two commands at once."""
    if request.tool_output is None:
        if request.prompt == "plan":
            return [Call("update_plan", PLAN)]
        if request.prompt == "mcp":
            return [Call("mcp__demo__add", {"a": 2, "b": 40})]
        if request.prompt == "twice":
            return [Say("Two at once."), Shell("echo one"), Shell("echo two; exit 3")]
    return answer(request)


async def turns(live: Live) -> None:
    """Everything that needs no approval."""
    await live.ready()
    for prompt in (
        f"echo {UNICODE}",
        MULTI,
        "markdown",
        "run seq 3; echo oops >&2; exit 3",
        "twice",
        "think",
        "plan",
        "patch notes.txt",
        "mcp",
    ):
        await live.turn(prompt)


async def endings(live: Live) -> None:
    """Turns that end otherwise, a compaction, and one that ends well."""
    await live.ready()
    await live.paste("slow 100")
    await live.enter()
    await live.terminal.until("word10")
    await live.key("\x1b", 0.8)
    await live.turn("fail 400")
    await live.turn("hello")
    await live.paste("/compact")
    live.terminal.write("\r")
    await live.terminal.until(lambda screen: "compacted" in screen)
    await live.terminal.quiet(1.0)
    await live.turn("hello again")


async def approvals(live: Live) -> None:
    """A command accepted, a command declined, a patch accepted."""
    await live.ready()
    for prompt, key in (("approve date -u", "y"), ("patch notes.txt", "y")):
        await _ask(live, prompt, key)
        await live.done()
    await _ask(live, "approve date", "\x1b")
    await live.terminal.quiet(1.0)


async def _ask(live: Live, prompt: str, key: str) -> None:
    await live.paste(prompt)
    await live.enter()
    await live.terminal.until(is_approval)
    await asyncio.sleep(1.2)  # by the clock: the title of some versions blinks without end
    await live.key(key)


@dataclass(frozen=True)
class Session:
    """One rollout to record."""

    name: str
    play: Callable[[Live], Awaitable[None]]
    approvals: bool = False


SESSIONS = (
    Session("turns", turns),
    Session("endings", endings),
    Session("approvals", approvals, approvals=True),
)


async def record(version: str, session: Session) -> Path:
    """Run one session and write its two files; the rollout's path.

    Raises `TimeoutError` with the screen when Codex does not do what the session waits for."""
    async with ScriptedModel(answer=model_answer) as model:
        home = codex_home(HOME, model.url, approvals=session.approvals)
        with (home.codex_home / "config.toml").open("a", encoding="utf-8") as config:
            config.write(MCP)
        scenario = Scenario(session.name, session.play)
        live = Live(version, scenario, home, model)
        command = codex_command(version)
        live.terminal = Terminal.spawn(command, home.environment(), home.workdir, 80, 300)
        try:
            await session.play(live)
            await asyncio.sleep(0.5)
        finally:
            await live.terminal.close()
        folder = FOLDER / version
        folder.mkdir(exist_ok=True)
        path = folder / f"{session.name}.jsonl"
        path.write_text(_neutral(_rollout(home)), encoding="utf-8")
        path.with_suffix(".json").write_text(
            json.dumps(_conversation(model), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )
        return path


def _rollout(home: CodexHome) -> str:
    """The conversation's rollout: threads for titles leave files of their own, without prompts."""
    texts = [path.read_text(encoding="utf-8") for path in home.rollouts()]
    return max(texts, key=len)


def _conversation(model: ScriptedModel) -> dict[str, list[str]]:
    turns = zip(model.requests, model.replies, strict=True)
    typed, said = [], []
    for request, reply in turns:
        if request.tool_output is None:
            typed.append(request.prompt)
        said += [step.text for step in reply if isinstance(step, Say)]
    return {"typed": typed, "said": said}


def _neutral(text: str) -> str:
    lines = [without_instructions(json.loads(line)) for line in text.splitlines()]
    made = "".join(
        json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines
    )
    return made.replace(str(HOME), "/home/demo").replace(str(FOLDER), "/home/demo/mcp")


def without_instructions(line: dict[str, Any]) -> dict[str, Any]:
    """The line without what Codex tells the model of its own, which is long and not ours."""
    payload = dict(line["payload"])
    if line["type"] == "world_state":
        payload["state"] = {}
    elif line["type"] == "compacted":
        payload |= {"message": LEFT_OUT, "replacement_history": []}
    elif payload.get("role") in ("developer", "user"):
        payload["content"] = [
            {**part, "text": _injected(part["text"], payload["role"])}
            for part in payload["content"]
        ]
    return {**line, "payload": _left_out(payload)}


def _injected(text: str, role: str) -> str:
    match = INJECTED.match(text)
    if match is None:
        return LEFT_OUT if role == "developer" else text
    return f"{match[0]}{LEFT_OUT}" + (f"</{match[1]}>" if match[1] else "")


def _left_out(value: Any) -> Any:
    if isinstance(value, list):
        return [_left_out(member) for member in value]
    if not isinstance(value, dict):
        return value
    return {
        key: LEFT_OUT if key in INSTRUCTIONS and member else _left_out(member)
        for key, member in value.items()
    }


def main() -> int:
    """Record; status 1 when a session failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.recordings.rollouts.record")
    parser.add_argument("versions", nargs="*", default=TRIED, metavar="VERSION")
    parser.add_argument("--only", nargs="+", default=[], metavar="SESSION")
    options = parser.parse_args()
    failed = 0
    for version in options.versions:
        for session in SESSIONS:
            if options.only and session.name not in options.only:
                continue
            HOME.mkdir()  # an error when another recorder is at work: they would mix
            try:
                path = asyncio.run(record(version, session))
                print(f"{version} {session.name}: {path.stat().st_size} bytes", flush=True)
            except TimeoutError as error:
                failed += 1
                print(f"{version} {session.name}: FAILED: {error}", flush=True)
            finally:
                shutil.rmtree(HOME, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
