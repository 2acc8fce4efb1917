"""The scripts of a Coder workspace, with the module's variables and a real Codex."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.support.codex import PROJECT, codex_binary
from tests.support.lasting import Workspace, workspace
from tests.support.server import Server, scratch_folder

pytestmark = pytest.mark.codex


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
async def place() -> AsyncIterator[Workspace]:
    try:
        codex_binary()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with scratch_folder() as folder:
        async with workspace(folder) as made:
            yield made


def environment(place: Workspace, **variables: str) -> dict[str, str]:
    home = place.home.environment()
    path = f"{codex_binary().parent}:{home['PATH']}"
    folder = {"ARG_CODEX_START_DIRECTORY": str(place.home.workdir)}
    return {**home, "PATH": path, "AGENTAPI_PORT": "0", **folder, **variables}


@asynccontextmanager
async def started(place: Workspace, **variables: str) -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        str(PROJECT / "scripts/start.sh"),
        env=environment(place, **variables),
        cwd=place.home.home,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    server = Server(process)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as client:
            server.client = client
            await server.until(lambda: bool(server.events), "the first event")
            yield server
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def open_log(place: Workspace, name: str) -> Path:
    """The folder of the scripts, with a log that an earlier version made for all to read."""
    folder: Path = place.session_file.parent
    folder.mkdir(0o755)
    (folder / name).touch(0o644)
    return folder


async def run(script: str, env: dict[str, str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        str(PROJECT / "scripts" / script),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_a_workspace_stops_and_goes_on(place: Workspace) -> None:
    prompt = 'echo it\'s | "quoted" $HOME\nand two lines'
    task = {"ARG_CODEX_TASK_PROMPT": b64(prompt), "OPENAI_API_KEY": "sk-hidden"}
    logs = open_log(place, "agentapi-start.log")
    async with started(place, **task) as server:
        await server.until(
            lambda: len(server.told) >= 3 and server.status_now == "stable", "the answer"
        )
        assert (await server.messages())[1] == ("user", f"Your task at hand: {prompt}")
        await server.wait_for_log("✓ Session tracked: ")
        stop = environment(place, ARG_AGENTAPI_PORT=str(server.port), ARG_TASK_ID="")
        status, output = await run("shutdown.sh", stop)
        assert (status, output.splitlines()[-1]) == (0, "agentapi has ended")
        assert await server.ended() == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in logs.rglob("*"))
    log = (logs / "agentapi-start.log").read_text()
    for line in ("Starting Codex with arguments:", "OpenAI API Key: Provided", "Session tracked"):
        assert line in log
    assert "sk-hidden" not in log
    session = place.session
    async with started(place, **task) as server:
        await server.ready()
        assert (await server.get("/session"))["session_id"] == session
        assert len(await server.messages()) == 3
        assert f"Found existing task session for this directory: {session}" in server.log
        assert "Resuming existing session..." in server.log
    async with started(place, ARG_CONTINUE="false", ARG_REPORT_TASKS="true", **task) as server:
        await server.until(lambda: len(server.told) >= 2, "the prompt")
        text = (await server.messages())[1][1]
        assert "coder_report_task" in text
        assert text.endswith(prompt)


async def test_install_writes_what_the_module_wants(place: Workspace) -> None:
    (place.home.codex_home / "config.toml").unlink()
    variables = {
        "ARG_INSTALL": "false",
        "ARG_OPENAI_API_KEY": "sk-hidden",
        "ARG_CODEX_MODEL": "gpt-5.4",
        "ARG_REPORT_TASKS": "true",
        "ARG_CODER_MCP_APP_STATUS_SLUG": "ccw",
        "ARG_CODEX_INSTRUCTION_PROMPT": b64('Be brief. It\'s "good".'),
        "ARG_ADDITIONAL_MCP_SERVERS": b64('[mcp_servers.extra]\ncommand = "true"\n'),
    }
    logs = open_log(place, "install.log")
    for _ in range(2):
        status, output = await run("install.sh", environment(place, **variables))
        assert status == 0, output
        assert "sk-hidden" not in output
    home: Path = place.home.codex_home
    config = (home / "config.toml").read_text()
    for expected in ('sandbox_mode = "workspace-write"', "[mcp_servers.Coder]", "ccw", "extra"):
        assert expected in config
    assert str(place.home.workdir) in config
    assert json.loads((home / "auth.json").read_text())["OPENAI_API_KEY"] == "sk-hidden"
    assert (home / "AGENTS.md").read_text().count("Be brief.") == 1
    assert "auth.json" in (logs / "install.log").read_text()
    assert (logs / "install.log").stat().st_mode & 0o777 == 0o600
