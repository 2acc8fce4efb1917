"""The way without systemd, exactly as docs/operations.md gives it, with the real Codex."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agentapi.scripted import ScriptedModel
from tests.support.codex import PROJECT, CodexHome, codex_binary
from tests.support.daemon import PATIENCE, alive, eventually

pytestmark = pytest.mark.codex

MARK = "<!-- tested by tests/e2e/test_nohup.py: {} -->\n```sh\n"


def _block(name: str) -> str:
    """The commands of a marked block of the page."""
    page = (PROJECT / "docs/operations.md").read_text()
    return page.partition(MARK.format(name))[2].partition("```")[0]


class Shell:
    """A login shell of somebody who follows the page."""

    def __init__(self, home: CodexHome) -> None:
        self.state = home.home / ".local/state/agentapi"
        self.modules = home.home / ".codex-module"
        self.log, self.pid_file = self.state / "project.log", self.state / "project.pid"
        path = [str(Path(sys.executable).parent), str(codex_binary().parent), os.environ["PATH"]]
        self._environment = home.environment() | {"AGENTAPI_PORT": "0", "PATH": ":".join(path)}
        self.started: list[int] = []

    def run(self, commands: str) -> None:
        subprocess.run(["bash", "-ec", commands], env=self._environment, timeout=60, check=True)

    async def start(self, commands: str) -> tuple[int, str]:
        """Run commands that leave a server behind: its process id and its URL."""
        before = len(self._log())
        self.run(commands)
        await eventually(lambda: "serving on" in self._log()[before:])
        found = re.search(r"serving on (http://127\.0\.0\.1:\d+)", self._log()[before:])
        assert found is not None, self._log()
        self.started.append(int(self.pid_file.read_text()))
        return self.started[-1], found[1]

    async def ended(self, pid: int) -> None:
        await eventually(lambda: not alive(pid))

    def kept(self) -> list[str]:
        """The messages of the state file."""
        (file,) = self.modules.rglob("*state.json")
        state = json.loads(file.read_text())
        return [message["message"] for message in state["messages"]]

    def _log(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@pytest.fixture
async def shell(home: CodexHome) -> AsyncIterator[Shell]:
    try:
        made = Shell(home)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    yield made
    for pid in made.started:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


async def _stable(client: aiohttp.ClientSession, url: str, messages: int) -> list[dict[str, Any]]:
    """Wait until the status is `stable` with at least so many messages; the messages."""
    async with asyncio.timeout(PATIENCE), client.get(url + "/events") as response:
        async for line in response.content:
            if b'"stable"' in line:
                async with client.get(url + "/messages") as answer:
                    found: list[dict[str, Any]] = (await answer.json())["messages"]
                if len(found) >= messages:
                    return found
    raise AssertionError("the stream ended")


async def test_start_save_stop_and_start_again(shell: Shell, model: ScriptedModel) -> None:
    pid, url = await shell.start(_block("start"))
    async with aiohttp.ClientSession() as client:
        await _stable(client, url, 1)
        body = {"type": "user", "content": "hello from the page"}
        async with client.post(url + "/message", json=body) as answer:
            assert answer.status == 200
        said = await _stable(client, url, 3)

    lines = _block("save, stop").splitlines(keepends=True)
    shell.run(lines[0])
    contents = [message["content"] for message in said]
    await eventually(lambda: shell.kept() == contents)
    assert alive(pid)
    shell.run(lines[1])
    await shell.ended(pid)
    assert not shell.pid_file.exists()

    pid, url = await shell.start(_block("start"))
    async with aiohttp.ClientSession() as client:
        assert await _stable(client, url, 3) == said, "the same messages, with the ids they had"
        body["content"] = "and again"
        async with client.post(url + "/message", json=body) as answer:
            assert answer.status == 200
        await _stable(client, url, 5)
    last = [request for request in model.requests if request.prompt == "and again"][-1]
    assert "hello from the page" in json.dumps(last.body["input"]), "the model remembers"
    shell.run(lines[1])
    await shell.ended(pid)


async def test_a_second_start_changes_nothing(shell: Shell) -> None:
    pid, url = await shell.start(_block("start"))
    log = len(shell.log.read_text())
    shell.run(_block("start") + "\nwait $! || echo status=$? >>~/.local/state/agentapi/project.log")
    more = shell.log.read_text()[log:]
    assert "status=2" in more
    assert f"names process {pid}" in more
    async with aiohttp.ClientSession() as client, client.get(url + "/status") as answer:
        assert answer.status == 200
    assert int(shell.pid_file.read_text()) == pid
    os.kill(pid, signal.SIGTERM)
    await shell.ended(pid)


async def test_a_killed_one_is_replaced(shell: Shell) -> None:
    killed, _ = await shell.start(_block("start"))
    os.kill(killed, signal.SIGKILL)
    await shell.ended(killed)
    assert shell.pid_file.exists()
    pid, _ = await shell.start(_block("start"))
    assert pid != killed
    os.kill(pid, signal.SIGTERM)
    await shell.ended(pid)
