"""scripts/shutdown.sh against a server of ours and a stand-in for Coder."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agentapi.coder import shutdown as codex_shutdown
from agentapi.coder.shutdown import CUT, MAX_BYTES, snapshot
from tests.support.codex import PROJECT

SCRIPT = PROJECT / "scripts/shutdown.sh"
_SERVER = """
import os, signal, sys
from pathlib import Path
from agentapi.daemon.pidfile import PidFile
path, seen = sys.argv[1:]
def note(number, frame):
    with open(seen, "a") as file:
        file.write(signal.Signals(number).name + "\\n")
    if number == signal.SIGTERM:
        sys.exit(0)
for number in (signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, note)
with PidFile(Path(path)):
    print("ready", flush=True)
    while True:
        signal.pause()
"""


class Coder:
    """Coder's endpoint and the server's messages, on one port each."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, str, dict[str, Any]]] = []
        self.size = 0
        self.status = 204
        self.tokens: list[str | None] = []
        self.redirect = ""
        self.messages: list[dict[str, Any]] = []
        self.port = 0

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.size = len(body)
        if self.redirect:
            raise web.HTTPFound(self.redirect)
        token = request.headers["Coder-Session-Token"]
        self.posted.append((request.path_qs, token, json.loads(body)))
        return web.Response(status=self.status, text="" if self.status == 204 else "a reason")

    async def tell(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("Authorization"))
        return web.json_response({"messages": self.messages})


@pytest.fixture
async def coder() -> AsyncIterator[Coder]:
    made = Coder()
    app = web.Application(client_max_size=1 << 20)
    app.router.add_post("/api/v2/workspaceagents/me/tasks/{task}/log-snapshot", made.take)
    app.router.add_get("/messages", made.tell)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


class Daemon:
    """A process that notes the signals it gets, with a pid file."""

    def __init__(self, folder: Path) -> None:
        self.pid_file = folder / ".codex-module/agentapi.pid"
        self.pid_file.parent.mkdir()
        self.seen = folder / "seen"

    async def start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _SERVER, str(self.pid_file), str(self.seen)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        return process

    @property
    def signals(self) -> list[str]:
        return self.seen.read_text().split()


async def shut_down(
    home: Path, port: int, cwd: Path | None = None, **variables: str
) -> tuple[int, str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "ARG_AGENTAPI_PORT": str(port),
        "ARG_TASK_ID": "a/task",
        "CODER_AGENT_URL": f"http://localhost:{port}/",
        "CODER_AGENT_TOKEN": "the-token",
        **variables,
    }
    process = await asyncio.create_subprocess_exec(
        str(SCRIPT),
        cwd=cwd,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


def message(number: int, content: str) -> dict[str, Any]:
    role = "user" if number % 2 else "agent"
    return {"id": number, "content": content, "role": role, "time": "2026-11-21T00:00:00Z"}


async def test_it_saves_posts_the_last_ten_and_ends(tmp_path: Path, coder: Coder) -> None:
    coder.messages = [message(number, f"text {number}") for number in range(12)]
    daemon = Daemon(tmp_path)
    process = await daemon.start()
    status, output = await shut_down(tmp_path, coder.port)
    assert (status, await process.wait()) == (0, 0), output
    assert daemon.signals == ["SIGUSR1", "SIGTERM"]
    ((path, token, body),) = coder.posted
    assert path == "/api/v2/workspaceagents/me/tasks/a%2Ftask/log-snapshot?format=agentapi"
    assert token == "the-token"
    assert body == {"messages": coder.messages[-10:]}
    assert "the-token" not in output


@pytest.mark.parametrize(
    ("answer", "said"), [(404, "takes no log snapshots"), (500, "Coder answered 500: a reason")]
)
async def test_what_coder_says_never_holds_up_the_end(
    tmp_path: Path, coder: Coder, answer: int, said: str
) -> None:
    coder.messages, coder.status = [message(0, "text")], answer
    daemon = Daemon(tmp_path)
    process = await daemon.start()
    status, output = await shut_down(tmp_path, coder.port)
    assert (status, await process.wait()) == (0, 0)
    assert said in output
    assert daemon.signals == ["SIGUSR1", "SIGTERM"]


async def test_a_coder_that_is_not_there(tmp_path: Path, coder: Coder) -> None:
    coder.messages = [message(0, "text")]
    daemon = Daemon(tmp_path)
    process = await daemon.start()
    status, output = await shut_down(
        tmp_path, coder.port, CODER_AGENT_URL="http://localhost:9/nothing"
    )
    assert (status, await process.wait()) == (0, 0)
    assert "Coder does not answer" in output


async def test_a_coder_that_never_answers(
    tmp_path: Path, coder: Coder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coder.messages = [message(0, "text")]
    monkeypatch.setattr(codex_shutdown, "TIMEOUT", 0.2)
    with socket.create_server(("localhost", 0)) as silent:  # connects, and nobody reads
        environment = {
            "ARG_AGENTAPI_PORT": str(coder.port),
            "ARG_TASK_ID": "task",
            "CODER_AGENT_URL": f"http://localhost:{silent.getsockname()[1]}",
            "CODER_AGENT_TOKEN": "the-token",
        }
        with pytest.raises(codex_shutdown.SnapshotError, match="timed out"):
            await asyncio.to_thread(codex_shutdown.take_snapshot, environment)


async def test_70_kb_are_cut_to_what_coder_takes(tmp_path: Path, coder: Coder) -> None:
    coder.messages = [message(number, f"{number}" * 7_000) for number in range(10)]
    status, output = await shut_down(tmp_path, coder.port)
    assert status == 0, output
    ((_, _, body),) = coder.posted
    assert body["messages"] == coder.messages[1:]
    assert coder.size <= MAX_BYTES
    assert "No agentapi is running" in output


async def test_no_task_and_a_switched_off_snapshot_post_nothing(
    tmp_path: Path, coder: Coder
) -> None:
    assert (await shut_down(tmp_path, coder.port, ARG_TASK_ID=""))[0] == 0
    assert (await shut_down(tmp_path, coder.port, ARG_TASK_LOG_SNAPSHOT="false"))[0] == 0
    assert coder.posted == []


async def test_a_pid_file_of_the_dead_is_no_server(tmp_path: Path, coder: Coder) -> None:
    daemon = Daemon(tmp_path)
    process = await daemon.start()
    process.send_signal(signal.SIGKILL)
    await process.wait()
    status, output = await shut_down(tmp_path, coder.port)
    assert (status, daemon.seen.exists()) == (0, False)
    assert "No agentapi is running" in output


async def test_a_stranger_with_the_number_of_a_killed_server_is_left_alone(
    tmp_path: Path, coder: Coder
) -> None:
    daemon = Daemon(tmp_path)
    stranger = await asyncio.create_subprocess_exec("sleep", "60")
    daemon.pid_file.write_text(f"{stranger.pid}\n")
    status, output = await shut_down(tmp_path, coder.port)
    assert (status, stranger.returncode) == (0, None), output
    assert "No agentapi is running" in output
    stranger.kill()
    assert await stranger.wait() == -signal.SIGKILL


async def test_a_stranger_that_locks_the_file_in_another_way_is_no_server(
    tmp_path: Path, coder: Coder
) -> None:
    """`flock` has locks of its own kind: who has one is not the server."""
    daemon = Daemon(tmp_path)
    stranger = await asyncio.create_subprocess_exec(
        *("flock", "-F", str(daemon.pid_file), "sh", "-c", "echo held; exec sleep 60"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert stranger.stdout is not None
    assert await stranger.stdout.readline() == b"held\n"
    daemon.pid_file.write_text(f"{stranger.pid}\n")
    status, output = await shut_down(tmp_path, coder.port)
    assert (status, stranger.returncode) == (0, None), output
    stranger.kill()
    await stranger.wait()


async def test_the_token_goes_to_our_own_server_and_to_no_proxy(
    tmp_path: Path, coder: Coder
) -> None:
    coder.messages = [message(0, "text")]
    asked: list[str] = []

    async def overhear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 502 no\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    proxy = await asyncio.start_server(overhear, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    async with proxy:
        status, output = await shut_down(
            tmp_path,
            coder.port,
            CODER_AGENT_URL="http://coder.example",
            AGENTAPI_AUTH_TOKEN="our-token",
            http_proxy=url,
            HTTP_PROXY=url,
            all_proxy=url,
        )
    assert status == 0
    assert coder.tokens == ["Bearer our-token"]
    assert [request.split(" ", 2)[:2] for request in asked] == [  # Coder is reached as it must be
        ["POST", "http://coder.example/api/v2/workspaceagents/me/tasks/a%2Ftask/"
         "log-snapshot?format=agentapi"]
    ], output  # fmt: skip
    assert "our-token" not in "".join(asked)


async def test_the_token_may_stand_in_a_file(tmp_path: Path, coder: Coder) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    await shut_down(tmp_path, coder.port, AGENTAPI_AUTH_TOKEN_FILE=str(tmp_path / "token"))
    assert coder.tokens == ["Bearer from-a-file"]


async def test_a_redirect_takes_no_token_along(tmp_path: Path, coder: Coder) -> None:
    coder.messages = [message(0, "text")]
    coder.redirect = f"http://127.0.0.1:{coder.port}/messages"
    status, output = await shut_down(tmp_path, coder.port)
    assert status == 0
    assert len(coder.tokens) == 1  # by ourselves, before
    assert "Coder answered 302" in output


@pytest.mark.parametrize("letter", ["a", "é", "\n", "😀", '"'])
def test_a_single_large_message_keeps_its_end(letter: str) -> None:
    body, count = snapshot([message(0, "small"), message(1, letter * 100_000 + "the end")])
    content = json.loads(body)["messages"][0]["content"]
    assert count == 1
    assert MAX_BYTES - 8 < len(body) <= MAX_BYTES
    assert content.startswith(CUT)
    assert content.endswith("the end")


@pytest.mark.parametrize("planted", ["agentapi/__init__.py", "json.py"])
async def test_nothing_of_the_folder_that_it_is_called_in_is_run(
    tmp_path: Path, coder: Coder, planted: str
) -> None:
    """The agent writes in that folder, and the token stands in the environment."""
    file, ran = tmp_path / planted, tmp_path / "ran"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"open({str(ran)!r}, 'w')")
    status, output = await shut_down(tmp_path, coder.port, cwd=tmp_path)
    assert status == 0, output
    assert not ran.exists()
