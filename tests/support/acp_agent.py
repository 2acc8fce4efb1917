"""A small ACP agent on stdio, written from the protocol's text alone: `python acp_agent.py [MODE]`.

The first word of a prompt says what it does (`Agent.prompt`); MODE says how it misbehaves before
that (`MODES`). It imports nothing that is slow: a test starts one in some 0.1 s.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import Any

MODES = {
    "mute": "reads and never answers",
    "die": "says why on stderr and ends with status 3",
    "deaf": "closes its output, and lives on",
    "future": "answers with protocol version 7",
    "nonsense": "answers initialize with a list",
    "auth": "wants authentication before a session",
    "noise": "prints to stdout what is not the protocol's",
    "greet": "says something before the first prompt",
    "stubborn": "ignores SIGINT and the end of its input",
}


class Agent:
    """The agent of one run."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.cancelled = asyncio.Event()
        self.hello: dict[str, Any] = {}
        self.cwd = ""
        self.authenticated = False
        self.turns: set[asyncio.Task[None]] = set()

    # -- what it writes ----------------------------------------------------------------------

    def write(self, message: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()

    def update(self, kind: str, session: str = "s1", **fields: Any) -> None:
        update = {"sessionUpdate": kind, **fields}
        self.write({"method": "session/update", "params": {"sessionId": session, "update": update}})

    def say(self, text: str, **fields: Any) -> None:
        self.update("agent_message_chunk", content={"type": "text", "text": text}, **fields)

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        number = f"ask-{len(self.waiting)}"
        self.waiting[number] = asyncio.get_running_loop().create_future()
        self.write({"id": number, "method": method, "params": {"sessionId": "s1", **params}})
        return await self.waiting[number]

    async def permission(self, title: str, options: list[tuple[str, str]]) -> str:
        answer = await self.request(
            "session/request_permission",
            {
                "toolCall": {
                    "toolCallId": title,
                    "title": title,
                    "kind": "execute",
                    "rawInput": {"command": ["rm", title], "justification": "it is old"},
                },
                "options": [
                    {"optionId": name, "name": name.title(), "kind": kind} for name, kind in options
                ],
            },
        )
        return json.dumps(answer.get("result", {}).get("outcome"), separators=(",", ":"))

    # -- what it reads -----------------------------------------------------------------------

    async def take(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            self.waiting[message["id"]].set_result(message)
            return
        method, params = message["method"], message.get("params", {})
        if method == "session/cancel":
            self.cancelled.set()
        elif method == "session/prompt":
            self.cancelled.clear()
            turn = asyncio.create_task(self.turn(message["id"], params))
            self.turns.add(turn)
            turn.add_done_callback(self.turns.discard)
        else:
            self.write({"id": message["id"], **self.open(method, params)})

    def open(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "initialize":
            self.hello = params
            if self.mode == "nonsense":
                return {"result": ["hello"]}
            version = 7 if self.mode == "future" else 1
            return {
                "result": {
                    "protocolVersion": version,
                    "agentInfo": {"name": "small", "version": "1.2.3"},
                    "authMethods": [
                        {"id": "web", "name": "Log in", "description": "in a browser"},
                        {
                            "type": "env_var",
                            "id": "key",
                            "name": "Key",
                            "vars": [{"name": "SMALL_KEY"}],
                        },
                    ],
                }
            }
        if method == "authenticate":
            self.authenticated = os.environ.get("SMALL_KEY") == "right"
            if self.authenticated:
                return {"result": {}}
            return {"error": {"code": -32603, "message": "the key is wrong"}}
        if self.mode == "auth" and not self.authenticated:
            return {"error": {"code": -32000, "message": "Authentication required"}}
        if self.mode == "greet":
            self.say("Welcome, whoever you are.")
        self.cwd = params["cwd"]
        return {"result": {"sessionId": "s1"}}

    async def turn(self, number: int, params: dict[str, Any]) -> None:
        text = params["prompt"][0]["text"]
        try:
            reason = await self.prompt(*text.partition(" ")[::2])
            self.write({"id": number, "result": {"stopReason": reason}})
        except PermissionError as error:
            self.write(
                {"id": number, "error": {"code": -32603, "message": "no", "data": str(error)}}
            )

    async def prompt(self, word: str, rest: str) -> str:
        reason = "end_turn"
        match word:
            case "say":
                self.say("")
                for piece in rest.split(" "):
                    self.say(piece + " ", messageId="m1")
            case "hold":
                self.say("I wait")
                await self.cancelled.wait()
                reason = "cancelled"
            case "tools":
                self.tools()
            case "ask":
                options = [("yes", "allow_once"), ("ever", "allow_always"), ("no", "reject_once")]
                self.say(await self.permission(rest, options))
            case "ask-only-yes":
                self.say(await self.permission(rest, [("yes", "allow_once")]))
            case "ask-twice":
                options = [("go", "allow_once"), ("stop", "reject_always")]
                answers = await asyncio.gather(
                    self.permission("first", options), self.permission("second", options)
                )
                self.say("\n".join(answers))
            case "ask-wrongly":
                self.say(json.dumps(await self.request("session/request_permission", {})))
            case "fs":
                answer = await self.request("fs/read_text_file", {"path": "/etc/hostname"})
                other = await self.request("terminal/create", {"command": "id"})
                self.say(f"{answer['error']['code']} {other['error']['code']}")
            case "stop":
                reason = rest
            case "error":
                raise PermissionError(rest)
            case "die":
                self.say("These are my last")
                sys.stderr.write("panic: out of luck\n")
                sys.stderr.flush()
                os._exit(int(rest))
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "child":
                self.say(str(spawn_child()))
                await asyncio.Event().wait()
            case "flood":
                for count in range(int(rest)):
                    self.say(f"{count} ", messageId="m1")
            case "odd":
                self.odd()
            case "who":
                self.say(json.dumps({"hello": self.hello, "cwd": self.cwd}))
        return reason

    def tools(self) -> None:
        self.say("Let me look.")
        self.update("tool_call", toolCallId="t1", title="Terminal", status="pending")
        self.update("tool_call_update", toolCallId="t1", title="`ls`", status="completed")
        self.update("tool_call", toolCallId="t2", title="rm x\ny", status="in_progress")
        self.update("tool_call_update", toolCallId="t2", status="failed")
        steps = [("look", "completed"), ("act", "in_progress"), ("rest", "pending")]
        entries = [{"content": c, "status": s, "priority": "medium"} for c, s in steps]
        self.update("plan", entries=entries)
        self.say("Done.")

    def odd(self) -> None:
        sys.stdout.write('warning: odd\n[1, 2]\n{"level": "info"}\n{"id": [1], "result": 1}\n\n')
        sys.stdout.write("{" + "\x00" * 3 + "\n")
        self.say("another's", session="s2")
        self.update("from_the_future", content=1)
        self.write({"method": "_small/telemetry", "params": {}})
        self.update("agent_thought_chunk", content={"type": "text", "text": "hm"})
        self.update("user_message_chunk", content={"type": "text", "text": "odd"})
        self.say("still here")


def spawn_child() -> int:
    """A child that ignores SIGINT, in the agent's group; its pid."""
    return subprocess.Popen(["sh", "-c", "trap '' INT; sleep 300 & wait"]).pid


async def main(mode: str) -> int:
    """Serve until the end of the input."""
    if mode == "die":
        sys.stderr.write("loading\nfatal: no configuration\n")
        return 3
    if mode == "noise":
        sys.stdout.write("Welcome to small!\n\x1b[32mready\x1b[0m\n12\nnull\n")
    if mode == "stubborn":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if mode == "deaf":
        os.close(1)
        await asyncio.Event().wait()
    agent = Agent(mode)
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        if mode != "mute":
            await agent.take(json.loads(line))
    if mode == "stubborn":
        await asyncio.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "")))
