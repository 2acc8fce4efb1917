"""`agentapi server` in its own process, as users run it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

PATIENCE = 20.0
"""Seconds after which a test gives up waiting."""
ANSWERING = (
    *("sh", "-c"),
    'printf "> "; while read -r line; do printf "you said: %s\\n> " "$line"; done',
)
"""An agent: prompts, and answers each line."""
_SERVING = re.compile(r"serving on http://\S+?:(\d+)")


class Daemon:
    """A running server and a client of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log = ""
        self.client: aiohttp.ClientSession
        self._port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read_log())

    async def _read_log(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            self.log += line.decode()
            if (found := _SERVING.search(self.log)) and not self._port.done():
                self._port.set_result(int(found[1]))
        if not self._port.done():
            self._port.set_exception(AssertionError(f"it never served:\n{self.log}"))
            self._port.exception()  # a test may not care

    async def url(self) -> str:
        """Return the URL, once it is serving."""
        async with asyncio.timeout(PATIENCE):
            return f"http://127.0.0.1:{await asyncio.shield(self._port)}"

    async def get(self, path: str) -> Any:
        """Return the JSON of a GET."""
        async with self.client.get(await self.url() + path) as response:
            return await response.json()

    async def say(self, content: str, kind: str = "user") -> int:
        """POST a message; return the status."""
        body = {"content": content, "type": kind}
        async with self.client.post(await self.url() + "/message", json=body) as response:
            return response.status

    async def messages(self) -> list[tuple[str, str]]:
        """(role, content) of each message."""
        found = (await self.get("/messages"))["messages"]
        assert [message["id"] for message in found] == list(range(len(found)))
        return [(message["role"], message["content"]) for message in found]

    async def until(self, condition: Callable[[list[tuple[str, str]]], bool]) -> None:
        """Wait until the messages satisfy a condition."""
        async with asyncio.timeout(PATIENCE), self.events() as events:
            async for _ in events:
                if condition(await self.messages()):
                    return

    async def stable(self) -> None:
        """Wait for `stable`."""
        async with asyncio.timeout(PATIENCE), self.events() as events:
            async for name, data in events:
                if name == "status_change" and data["status"] == "stable":
                    return

    async def event(self, name: str) -> Any:
        """Return the data of the first event with this name."""
        async with asyncio.timeout(PATIENCE), self.events() as events:
            async for found, data in events:
                if found == name:
                    return data
        raise AssertionError(f"the stream ended without {name}")

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
        """The events, from the beginning."""

        async def read(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
            name = ""
            async for line in response.content:
                field, _, value = line.decode().rstrip("\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield name, json.loads(value)

        async with self.client.get(await self.url() + "/events") as response:
            events = read(response)
            yield events
            await events.aclose()  # type: ignore[attr-defined]

    async def wait(self) -> int:
        """Wait for the exit and read the rest of the log; return the status."""
        async with asyncio.timeout(PATIENCE):
            status = await self.process.wait()
            await self._reading
        return status

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return await self.wait()


@asynccontextmanager
async def daemon(
    *words: str, stdin: int = asyncio.subprocess.DEVNULL, prefix: tuple[str, ...] = (), **env: Any
) -> AsyncIterator[Daemon]:
    """Run `agentapi server` with these arguments, on a free port by default."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AGENTAPI_")}
    if not any(word.startswith(("-p", "--port")) for word in words) and "AGENTAPI_PORT" not in env:
        env["AGENTAPI_PORT"] = "0"
    process = await asyncio.create_subprocess_exec(
        *prefix,
        sys.executable,
        "-m",
        "agentapi",
        "server",
        *words,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment | {"AGENTAPI_HOST": "127.0.0.1"} | env,
    )
    running = Daemon(process)
    try:
        async with aiohttp.ClientSession() as running.client:
            yield running
    finally:
        if process.returncode is None:
            process.kill()
        await running.wait()


def alive(pid: int) -> bool:
    """Return whether the process runs and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def eventually(condition: Callable[[], bool]) -> None:
    """Poll for an external condition without an event."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
