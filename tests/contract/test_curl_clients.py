"""Contract points 2, 8 and 12, seen by clients made of curl and jq, as workspaces have them."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path

import pytest

from tests.support.daemon import ANSWERING, daemon

CLIENTS = Path(__file__).parent / "clients"
pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("jq") is None, reason="curl and jq are missing"
)


async def run(script: str, *arguments: str) -> tuple[int, str]:
    """Run a client; its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        CLIENTS / script,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_a_start_script_finds_the_server() -> None:
    """Started at the same moment as the server, before anything answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    waiting = asyncio.create_task(run("wait-for-start.sh", port))
    async with daemon("--port", port, "--", *ANSWERING):
        assert await waiting == (0, f"agentapi answers on port {port}\n")


async def test_a_script_asks_and_gets_the_answer() -> None:
    async with daemon("--", *ANSWERING) as server:
        port = (await server.url()).rpartition(":")[2]
        await server.stable()
        for question in ("hello", 'a "quoted" one', "hello"):
            assert await run("ask.sh", port, question) == (0, f"you said: {question}\n")
