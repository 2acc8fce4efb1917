"""The real `agentapi server` with a real agent, and a client that records its events.

The client subscribes to `/events` from the start and keeps every event with its time, for tests to
wait for. Some invariants are checked for every event: statuses change each time, ids have no gaps,
and lines have no trailing blanks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from agentapi.scripted import ScriptedModel
from tests.support.codex import PROJECT, CodexHome, codex_binary, codex_home
from tests.support.two_paths import Told, watch_paths

PATIENCE = 60.0
"""Seconds after which a test gives up waiting: the machine may be busy."""
_SERVING = re.compile(r"serving on http://\S+?:(\d+)")


@dataclass(frozen=True, slots=True)
class Event:
    """One event of `/events`, `at` seconds of `time.monotonic()`."""

    at: float
    name: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """The response to a POST; `error` is `errors[0].message`, empty with status 200."""

    status: int
    error: str = ""


class Server:
    """A running server, seen from outside."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.started = datetime.now(UTC).isoformat()
        self.log = ""
        self.url = ""
        self.port = 0
        self.events: list[Event] = []
        self.faults: list[str] = []
        """Violated invariants of the events."""
        self.client: aiohttp.ClientSession
        self._changed = asyncio.Condition()
        self._over = False
        self._tasks = [asyncio.create_task(self._read_log())]

    # -- what it was told --------------------------------------------------------------------

    @property
    def statuses(self) -> list[str]:
        """Every status so far."""
        return [event.data["status"] for event in self.events if event.name == "status_change"]

    @property
    def status_now(self) -> str:
        """The last received status."""
        return self.statuses[-1] if self.statuses else ""

    @property
    def told(self) -> list[tuple[str, str]]:
        """(role, text) of each message, according to the events."""
        found: dict[int, tuple[str, str]] = {}
        for event in self.events:
            if event.name == "message_update":
                found[event.data["id"]] = (event.data["role"], event.data["message"])
        return [found[number] for number in sorted(found)]

    @property
    def told_since_start(self) -> list[tuple[str, str]]:
        """The messages that began in this run."""
        times = {e.data["id"]: e.data["time"] for e in self.events if e.name == "message_update"}
        new = [times[number] >= self.started for number in sorted(times)]
        return [message for message, is_new in zip(self.told, new, strict=True) if is_new]

    @property
    def phases(self) -> list[Told]:
        """The logged phases, each with its time of day in seconds."""
        found = re.finditer(r"^(\d\d):(\d\d):(\d\d\.\d+) info +phase (\w+): ", self.log, re.M)
        return [
            Told(int(hours) * 3600 + int(minutes) * 60 + float(seconds), phase)
            for hours, minutes, seconds, phase in (match.groups() for match in found)
        ]

    @property
    def notices(self) -> list[str]:
        """The text of each `agent_error`."""
        return [event.data["message"] for event in self.events if event.name == "agent_error"]

    # -- requests ------------------------------------------------------------------------------

    async def get(self, path: str) -> Any:
        """Return the JSON of a GET, which must succeed."""
        async with asyncio.timeout(PATIENCE), self.client.get(self.url + path) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def status(self) -> str:
        """GET /status."""
        return str((await self.get("/status"))["status"])

    async def phase(self) -> str:
        """The phase of GET /session."""
        return str((await self.get("/session"))["phase"])

    async def messages(self) -> list[tuple[str, str]]:
        """GET /messages: (role, content) of each, the ids checked."""
        found = (await self.get("/messages"))["messages"]
        assert [message["id"] for message in found] == list(range(len(found)))
        return [(message["role"], message["content"]) for message in found]

    async def items(self) -> AsyncIterator[dict[str, Any]]:
        """GET /transcript, page by page."""
        after = 0
        while (page := await self.get(f"/transcript?after={after}"))["items"]:
            for item in page["items"]:
                yield item
            after = page["next"]

    async def screen(self) -> str:
        """Return the current screen, from the first frame of /internal/screen."""
        async with self.client.get(self.url + "/internal/screen") as response:
            async for name, data in _frames(response):
                assert name == "screen"
                return str(data["screen"])
        raise AssertionError("no screen")

    async def wait_for_screen(self, wanted: str, gone: str | None = None) -> str:
        """Wait until the screen shows `wanted` and no longer `gone`; return the screen."""
        text = ""
        with self._explain(f"{wanted!r} on the screen"):
            async with (
                asyncio.timeout(PATIENCE),
                self.client.get(self.url + "/internal/screen") as response,
            ):
                async for _, data in _frames(response):
                    text = str(data["screen"])
                    if wanted in text and (gone is None or gone not in text):
                        return text
        raise AssertionError(f"{wanted!r} never showed; the last screen was:\n{text}")

    async def send(self, content: str, kind: str = "user") -> Sent:
        """POST /message; return the response, even an error."""
        body = {"content": content, "type": kind}
        async with (
            asyncio.timeout(PATIENCE),
            self.client.post(self.url + "/message", json=body) as response,
        ):
            answer = await response.json()
            if response.status == 200:
                assert answer["ok"] is True
                return Sent(200)
            assert "problem+json" in response.headers["Content-Type"]
            return Sent(response.status, answer["errors"][0]["message"])

    async def post(self, path: str, body: object = None) -> Any:
        """Return the JSON of a POST, which must succeed."""
        async with (
            asyncio.timeout(PATIENCE),
            self.client.post(self.url + path, json=body) as response,
        ):
            assert response.status == 200, await response.text()
            return await response.json()

    async def raw(self, keys: str) -> None:
        """Press keys."""
        assert await self.send(keys, "raw") == Sent(200)

    # -- waiting -------------------------------------------------------------------------------

    async def until(self, holds: Callable[[], bool], what: str = "the condition") -> None:
        """Wait until a condition on the events holds."""
        with self._explain(what):
            async with asyncio.timeout(PATIENCE), self._changed:
                await self._changed.wait_for(lambda: holds() or self._over)
            assert holds(), f"the events ended before {what}"

    async def wait_for_log(self, wanted: str) -> None:
        """Wait until the log contains a text."""
        with self._explain(f"{wanted!r} in the log"):
            async with asyncio.timeout(PATIENCE), self._changed:
                await self._changed.wait_for(lambda: wanted in self.log or self._over)
            assert wanted in self.log, f"the log ended before {wanted!r}:\n{self.log}"

    async def wait_status(self, *wanted: str, since: int = 0) -> None:
        """Wait for as many statuses from number `since` on as are `wanted`, and compare them."""
        await self.until(lambda: len(self.statuses) >= since + len(wanted), f"{list(wanted)}")
        assert self.statuses[since:] == list(wanted)

    async def ready(self) -> None:
        """Wait for the first `stable`."""
        await self.wait_status("running", "stable")

    async def turn(self, prompt: str) -> str:
        """Run a whole turn without dialogs; return the answer. Expects exactly one `running`, one
        `stable`, and two more messages."""
        statuses, count = len(self.statuses), len(self.told)
        sent = await self.send(prompt)
        assert sent == Sent(200), sent.error
        assert self.told_or_there(await self.messages(), count)
        await self.wait_status("running", "stable", since=statuses)
        messages = await self.messages()
        assert [role for role, _ in messages[count:]] == ["user", "agent"], messages[count:]
        return messages[-1][1]

    @staticmethod
    def told_or_there(messages: Sequence[tuple[str, str]], count: int) -> bool:
        """Return whether message number `count` exists and is a user message."""
        return len(messages) > count and messages[count][0] == "user"

    async def ended(self) -> int:
        """Wait for the exit and read the rest of the log; return the exit status."""
        with self._explain("its end"):
            async with asyncio.timeout(PATIENCE):
                status = await self.process.wait()
                await asyncio.gather(*self._tasks)
        return status

    async def stop(self) -> int:
        """Send SIGTERM and wait for the exit; return the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    @contextlib.contextmanager
    def _explain(self, what: str) -> Iterator[None]:
        """Describe the observed state on a timeout."""
        try:
            yield
        except TimeoutError:
            tail = "\n".join(f"{e.name} {str(e.data)[:600]}" for e in self.events[-8:])
            raise AssertionError(
                f"waited {PATIENCE:g} s for {what}\nstatuses: {self.statuses}\nlast events:\n"
                f"{tail}\nlog:\n{self.log[-4000:]}"
            ) from None

    # -- reading -------------------------------------------------------------------------------

    async def _read_log(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            self.log += line.decode()
            async with self._changed:
                self._changed.notify_all()
            if not self.port and (found := _SERVING.search(self.log)):
                self.port = int(found[1])
                self.url = f"http://127.0.0.1:{self.port}"
                self._tasks.append(asyncio.create_task(self._follow()))
        if not self.port:
            self._over = True

    async def _follow(self) -> None:
        """Read the events. Start over when the stream ends with a notice, as it does when another
        conversation replaces this one."""
        with contextlib.suppress(aiohttp.ClientError):
            anew = True
            while anew:
                self.events.clear()
                async with self.client.get(self.url + "/events") as response:
                    async for name, data in _frames(response):
                        await self._take(Event(time.monotonic(), name, data))
                anew = bool(self.events) and self.events[-1].name == "agent_error"
        async with self._changed:
            self._over = True
            self._changed.notify_all()

    async def _take(self, event: Event) -> None:
        if event.name == "status_change" and event.data["status"] == self.status_now:
            self.faults.append(f"{event.data['status']} was told twice in a row")
        if event.name == "message_update":
            self._check_message(event.data)
        async with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def _check_message(self, data: dict[str, Any]) -> None:
        if data["id"] > len(self.told):
            self.faults.append(f"message {data['id']} came after {len(self.told)} messages")
        for line in data["message"].split("\n"):
            if data["role"] == "agent" and line != line.rstrip():
                self.faults.append(f"message {data['id']}: blanks at the end of {line!r}")


async def _frames(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Yield the events of a stream, without comments."""
    name = ""
    async for line in response.content:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


@asynccontextmanager
async def serving(
    folder: Path,
    command: Sequence[str],
    *options: str,
    env: Mapping[str, str],
    cwd: Path,
    wait: bool = True,
) -> AsyncIterator[Server]:
    """`agentapi server OPTIONS -- COMMAND` on a free port; `wait` for its first event.

    `env` must contain `folder`. At the end no process with it in its environment may be left, the
    port must be free, the log without a traceback, and a running server must exit with status 0."""
    assert any(str(folder) in value for value in env.values())
    process = await asyncio.create_subprocess_exec(
        *(PROJECT / ".venv/bin/agentapi", "server", "--host", "127.0.0.1", "--port", "0"),
        *options,
        "--",
        *command,
        cwd=cwd,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    server = Server(process)
    # A frame may be 128 KiB long, and aiohttp reads by lines.
    limits = aiohttp.ClientTimeout(total=None)
    try:
        async with aiohttp.ClientSession(
            timeout=limits, read_bufsize=1 << 20, connector=aiohttp.TCPConnector(limit=0)
        ) as server.client:
            if wait:
                await server.until(lambda: bool(server.events), "the first event")
            yield server
            if process.returncode is None:
                assert await server.stop() == 0, server.log
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    await all_gone(folder)
    _assert_free(server.port)
    assert "Traceback" not in server.log, server.log
    assert not server.faults, server.faults


@asynccontextmanager
async def codex_server(
    folder: Path,
    model: ScriptedModel,
    *options: str,
    version: str | None = None,
    inline: bool = False,
    arguments: Sequence[str] = (),
    prepare: Callable[[CodexHome], None] = lambda home: None,
    **home_options: Any,
) -> AsyncIterator[tuple[Server, CodexHome]]:
    """Run a server with a real Codex (default: the pinned version) that uses `model`.

    Codex's home is in `folder`; `prepare` may change it first; the server's `options` come before
    the command, Codex's `arguments` at its end. For `home_options` see `codex_home`."""
    home = codex_home(folder, model.url, **home_options)
    prepare(home)
    recording = folder / f"{uuid.uuid4().hex[:8]}.cast"
    env = home.environment() | {"AGENTAPI_RECORD": str(recording)}
    command = [str(codex_binary(version)), *(["--no-alt-screen"] if inline else []), *arguments]
    async with serving(
        folder, command, "--type", "codex", *options, env=env, cwd=home.workdir
    ) as server:
        yield server, home
        await watch_paths(server, recording, options)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Create a folder in the project, or elsewhere if the project is in a temporary folder: Codex
    does not put its helper programs into a temporary home."""
    folders = (PROJECT / ".cache/tests", Path(f"/var/tmp/agentapi-tests-{os.getuid()}"))
    temporary = Path(tempfile.gettempdir()).resolve()
    lasting = (one for one in folders if not one.resolve().is_relative_to(temporary))
    folder = next(lasting, folders[0]) / uuid.uuid4().hex[:8]
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def processes_of(folder: Path) -> list[int]:
    """Return the pids of all processes with `folder` in their environment."""
    mark = str(folder).encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


def runs_codex(pid: int) -> bool:
    """Whether a process is Codex itself (and not npm's launcher of it)."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/exe").resolve().name == "codex"
    return False


async def all_gone(folder: Path) -> None:
    """Wait for the last process to end: a shell that Codex starts in a session of its own, to
    read the user's environment, may outlive it by a moment, and no event tells of that."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while processes_of(folder):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert processes_of(folder) == []


def _assert_free(port: int) -> None:
    if port:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
