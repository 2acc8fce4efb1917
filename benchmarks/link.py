"""What the link costs and gains: `python -m benchmarks.link`.

A linked Codex runs under `agentapi server`, and this process is three of its clients: one of the
HTTP API, one of `/transcript/events`, and one of the same app-server, as the daemon is. So each
figure has beside it what Codex itself takes, in the same run and with the same load on the machine:

- from `POST /message` to its 200; and from `turn/start` to the turn's beginning, asked directly;
- from the model's last byte to `stable` at a client; and to `idle` at the app-server's socket;
- from a piece of text at the app-server's socket to the event at a client, pieces at least 50 ms
  apart. The app-server writes to its clients one after the other, and to this one mostly last.

The project is a small Git repository: Codex asks Git at each turn. The machine may be busy:
minimum, median and maximum.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentapi.agents.codex.link.rpc import RpcConnection
from agentapi.scripted import Reply, Request, Say, ScriptedModel
from benchmarks.latency import PROMPT, Table, ms, show
from tests.support.codex import PROJECT, codex_binary, codex_home
from tests.support.server import Server, serving

PIECES = [f"word{number} " for number in range(40)]
PATIENCE = 30.0


def answer(request: Request) -> Reply:
    """A short answer, or for a prompt of one word forty pieces, 60 ms apart."""
    if request.prompt == "pieces":
        return (Say("".join(PIECES), chunk=len("word00 "), pause=0.06),)
    return (Say("It is fine today, with a little wind from the west."),)


class Observer:
    """Another client of the app-server that the daemon and the TUI work with."""

    def __init__(self) -> None:
        self.rpc: RpcConnection
        self.thread = ""
        self.active_at = self.idle_at = 0.0
        self.text = ""
        self.arrived: dict[str, float] = {}
        """When the message had come so far."""
        self._changed = asyncio.Event()

    async def connect(self, socket: Path, thread: str) -> None:
        """Attach to the session, which has had a turn."""
        self.thread = thread
        self.rpc = await RpcConnection.connect(
            socket,
            on_notification=self._notified,
            on_request=lambda number, method, params: None,
            on_lost=lambda why: None,
        )
        info = {"name": "benchmark", "version": "1"}
        hello = {"clientInfo": info, "capabilities": {"experimentalApi": True}}
        await self.rpc.call("initialize", hello)
        await self.rpc.notify("initialized")
        await self.rpc.call("thread/resume", {"threadId": thread})

    async def turn(self) -> float:
        """A turn asked for by this client: seconds until it began."""
        start = time.monotonic()
        words = [{"type": "text", "text": PROMPT}]
        await self.rpc.call("turn/start", {"threadId": self.thread, "input": words})
        await self._until(lambda: self.active_at > start)
        return self.active_at - start

    @property
    def working(self) -> bool:
        """Whether a turn runs."""
        return self.active_at > self.idle_at

    async def idle(self) -> None:
        """Wait for the turn's end."""
        await self._until(lambda: not self.working)

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def _notified(self, method: str, params: dict[str, Any]) -> None:
        if params.get("threadId") != self.thread:
            return
        now = time.monotonic()
        if method == "thread/status/changed":
            if params["status"]["type"] == "idle":
                self.idle_at, self.text = now, ""
            elif not self.working:
                self.active_at = now
        elif method == "item/agentMessage/delta":
            self.text += params["delta"]
            self.arrived[self.text] = now
        self._changed.set()


async def turns(server: Server, observer: Observer, model: ScriptedModel, rounds: int) -> Table:
    """Turns by the API and by the observer, in turn."""
    post, bare, stable, idle = [], [], [], []
    for _ in range(rounds):
        count, start = len(server.statuses), time.monotonic()
        sent = await server.send(PROMPT)
        post.append(time.monotonic() - start)
        assert sent.status == 200, sent.error
        await server.wait_status("running", "stable", since=count)
        await observer.idle()
        last = next(e for e in reversed(server.events) if e.name == "status_change")
        stable.append(last.at - model.last_byte_at)
        idle.append(observer.idle_at - model.last_byte_at)
        await asyncio.sleep(0.3)
        count = len(server.statuses)
        bare.append(await observer.turn())
        await server.wait_status("running", "stable", since=count)
        await asyncio.sleep(0.3)
    return [
        ("POST /message to 200", ms(post), "ms"),
        ("Codex alone: turn/start to the turn's beginning", ms(bare), "ms"),
        ("model's last byte to `stable` at a client", ms(stable), "ms"),
        ("Codex alone: model's last byte to `idle`", ms(idle), "ms"),
    ]


async def deltas(server: Server, observer: Observer) -> Table:
    """One answer in pieces."""
    seen: dict[str, float] = {}
    following = asyncio.create_task(follow(server, seen))
    try:
        count = len(server.statuses)
        sent = await server.send("pieces")
        assert sent.status == 200, sent.error
        await server.wait_status("running", "stable", since=count)
    finally:
        following.cancel()
    texts = [text for text in observer.arrived if text.startswith(PIECES[0])]
    missing = [text for text in texts if text not in seen]
    assert len(missing) <= len(texts) // 10, f"of {len(texts)} pieces {len(missing)} had no event"
    delays = [seen[text] - observer.arrived[text] for text in texts if text in seen]
    return [("a delta at the socket to the event at a client", ms(delays), "ms")]


async def follow(server: Server, seen: dict[str, float]) -> None:
    """Note when each text of an agent's message was first told."""
    async with server.client.get(server.url + "/transcript/events") as response:
        async for line in response.content:
            if line.startswith(b"data: "):
                now = time.monotonic()
                item = json.loads(line[len(b"data: ") :])
                if item.get("kind") == "agent_message":
                    seen.setdefault(item["text"], now)


async def measure(folder: Path, rounds: int) -> Table:
    """All of it, with one server."""
    async with ScriptedModel(answer=answer) as model:
        home = codex_home(folder, model.url)
        git = await asyncio.create_subprocess_exec("git", "init", "--quiet", home.workdir)
        assert await git.wait() == 0
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        env = home.environment() | {"XDG_RUNTIME_DIR": str(runtime)}
        options = ("--type", "codex", "--codex-link")
        command = (str(codex_binary()),)
        async with serving(folder, command, *options, env=env, cwd=home.workdir) as server:
            await server.ready()
            await server.turn(PROMPT)
            observer = Observer()
            (socket,) = runtime.glob("agentapi-*/s")
            await observer.connect(socket, (await server.get("/session"))["session_id"])
            try:
                await asyncio.sleep(1)
                table = await turns(server, observer, model, rounds)
                return table + await deltas(server, observer)
            finally:
                await observer.rpc.close()


def main(rounds: int) -> None:
    """Measure and print."""
    cache = PROJECT / ".cache/b"  # a socket's path must be short
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        show(asyncio.run(measure(Path(folder), rounds)))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=20, help="messages to send (20)")
    main(arguments.parse_args().rounds)
