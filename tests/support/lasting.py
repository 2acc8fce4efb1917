"""The real `agentapi codex` in a home of its own, started again and again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from agentapi.scripted import ScriptedModel
from tests.support.codex import PROJECT, CodexHome, codex_binary, codex_home
from tests.support.server import Server, all_gone
from tests.support.two_paths import watch_paths


@dataclass
class Workspace:
    """A machine's home: what stays while daemons come and go."""

    home: CodexHome
    model: ScriptedModel
    version: str | None = None
    options: list[str] = field(default_factory=list)

    @property
    def session_file(self) -> Path:
        """The tracking file."""
        return self.home.home / ".codex-module/.codex-task-session"

    def tracked(self) -> dict[str, str]:
        """Each folder's session."""
        if not self.session_file.exists():
            return {}
        lines = self.session_file.read_text().splitlines()
        return {folder: session for folder, _, session in (x.rpartition("|") for x in lines)}

    @property
    def session(self) -> str | None:
        """The session of the usual folder."""
        return self.tracked().get(str(self.home.workdir))

    async def codex(self, *arguments: str) -> None:
        """Run a command of Codex's own."""
        process = await asyncio.create_subprocess_exec(
            *(str(codex_binary(self.version)), *arguments),
            env=self.home.environment(),
            cwd=self.home.workdir,
            stdin=asyncio.subprocess.DEVNULL,
        )
        assert await process.wait() == 0

    @asynccontextmanager
    async def daemon(
        self, *options: str, workdir: Path | None = None, wait: bool = True, compare: bool = True
    ) -> AsyncIterator[Server]:
        """`agentapi codex` until the block ends; it may be killed in the block. `compare` what the
        screen shows with what else told it, where nothing of it is taken back."""
        recording = self.home.home / f"{uuid.uuid4().hex[:8]}.cast"
        process = await asyncio.create_subprocess_exec(
            *(PROJECT / ".venv/bin/agentapi", "codex", "--host", "127.0.0.1", "--port", "0"),
            *("--codex", str(codex_binary(self.version))),
            *("--workdir", str(workdir or self.home.workdir)),
            *self.options,
            *options,
            env=self.home.environment() | {"AGENTAPI_RECORD": str(recording)},
            cwd=self.home.home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        server = Server(process)
        try:
            async with aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None), read_bufsize=1 << 20
            ) as server.client:
                if wait:
                    await server.until(lambda: bool(server.events), "the first event")
                yield server
                if compare:
                    await watch_paths(server, recording, [*self.options, *options])
                if process.returncode is None:
                    assert await server.stop() == 0, server.log
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        assert "Traceback" not in server.log, server.log
        assert server.faults == []


@asynccontextmanager
async def workspace(folder: Path, version: str | None = None) -> AsyncIterator[Workspace]:
    """A home with a scripted model; at the end no process of it is left."""
    async with ScriptedModel() as model:
        yield Workspace(codex_home(folder, model.url), model, version)
    await all_gone(folder)


async def kill(server: Server) -> None:
    """kill -9 the daemon, and wait for its death."""
    with contextlib.suppress(ProcessLookupError):
        server.process.kill()
    await server.ended()
