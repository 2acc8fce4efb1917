"""What an app-server leaves: nothing when its start fails or is called off, nor when it is lost.
The server is a shell."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import time
from pathlib import Path

import pytest

from agentapi.agents.codex.link.server import AppServer, ServerFailed
from tests.support.daemon import alive

PATIENCE = 20.0
"""Seconds after which a test gives up waiting."""


def program(folder: Path, words: str) -> list[str]:
    """A shell that notes its process, says these words and stays."""
    return ["/bin/sh", "-c", f"echo $$ >'{folder}/pid'; {words}; exec sleep 600"]


def left(folder: Path, socket: Path) -> list[Path]:
    """What is there of the server and of its socket's folder. One that has ended is gone, though
    init may not have reaped it yet."""
    pid = int((folder / "pid").read_text())
    process = [Path(f"/proc/{pid}")] if alive(pid) else []
    return [*process, *(path for path in (socket.parent,) if path.exists())]


async def waits_for_socket() -> None:
    """Let the start go on until its process runs."""

    def names() -> set[str]:
        return {task.get_name() for task in asyncio.all_tasks()}

    while "codex app-server" not in names():  # noqa: ASYNC110 (nothing tells it)
        await asyncio.sleep(0)


async def test_a_start_that_is_called_off_when_the_socket_is_there_leaves_nothing(
    tmp_path: Path,
) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    sockets: list[Path] = []

    def command(socket: Path) -> list[str]:
        sockets.append(socket)
        return program(tmp_path, f"read -r _ <'{go}'; touch '{socket}'")

    starting = asyncio.create_task(AppServer.start(command, cwd=None, env=os.environ))
    await waits_for_socket()
    go.write_text("\n")  # and from here on the loop does not run: it must not see the socket come
    deadline = time.monotonic() + PATIENCE
    while not sockets[0].exists() and time.monotonic() < deadline:
        time.sleep(0.001)  # noqa: ASYNC251
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert left(tmp_path, sockets[0]) == []


async def test_a_server_without_a_socket_is_ended(tmp_path: Path) -> None:
    sockets: list[Path] = []

    def command(socket: Path) -> list[str]:
        sockets.append(socket)
        return program(tmp_path, "true")

    with pytest.raises(ServerFailed, match=r"did not start: no socket within 0\.5 s"):
        await AppServer.start(command, cwd=None, env=os.environ, limit=0.5)
    assert left(tmp_path, sockets[0]) == []


async def test_a_server_that_is_gone_is_signalled_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number, and its group's, may be another program's by then."""
    ended = asyncio.Event()
    server = await AppServer.start(
        lambda socket: program(tmp_path, f"touch {socket}"), cwd=None, env=os.environ
    )
    server.on_exit(lambda how: ended.set())
    os.killpg(server.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        await ended.wait()
    signalled: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, number: signalled.append(group))
    await server.end()
    assert signalled == []


async def test_what_detached_itself_outlives_an_orderly_end_and_no_loss(tmp_path: Path) -> None:
    pipe = tmp_path / "alive"
    os.mkfifo(pipe)
    words = f'echo $$ >"{tmp_path}/detached"; echo >"{pipe}"; exec sleep 600'
    detached = f"(setsid sh -c '{words}' >/dev/null 2>&1 &)"
    for loss in (False, True):
        server = await AppServer.start(
            lambda socket: program(tmp_path, f"{detached}; read -r _ <'{pipe}'; touch '{socket}'"),
            cwd=None,
            env=os.environ,
        )
        pid = int((tmp_path / "detached").read_text())
        pidfd = os.pidfd_open(pid)
        try:
            if loss:
                ended = asyncio.Event()
                server.on_exit(lambda how, ended=ended: ended.set())  # type: ignore[misc]
                os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
                async with asyncio.timeout(PATIENCE):
                    await ended.wait()
            await server.end()
            dead, _, _ = select.select([pidfd], [], [], PATIENCE if loss else 0)
            assert bool(dead) is loss
        finally:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
