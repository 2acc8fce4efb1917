"""A terminal client: displays the agent's screen and sends keystrokes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator

import aiohttp

from agentapi.cli.attach.server import CONNECT_LIMIT, AttachError, Server, connect
from agentapi.cli.attach.terminal import UserTerminal
from agentapi.settings.settings import AttachSettings

CLOSE_TIMEOUT = 1.0
"""Seconds to send the last keys and close the connection."""


def run(settings: AttachSettings) -> int:
    """Attach until Ctrl-C, a signal, or the end of the connection; return the exit status."""
    try:
        farewell = asyncio.run(_attach(settings))
    except AttachError as error:
        print(f"agentapi attach: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(farewell, file=sys.stderr)  # noqa: T201
    return 0


async def _attach(settings: AttachSettings) -> str:
    """Connect, display and type; return the final message. Raises `AttachError`."""
    headers = {"Authorization": f"Bearer {settings.auth_token}"} if settings.auth_token else {}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_LIMIT)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as client:
        server = await connect(client, settings.url)
        try:
            with UserTerminal() as terminal, _signals(server, terminal):
                detached = await _run_until_left(server, terminal)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await server.close()
    return "Detached. The agent goes on." if detached else "The server has ended."


async def _run_until_left(server: Server, terminal: UserTerminal) -> bool:
    """Display and type until the user detaches (true) or the server ends. Raises `AttachError`."""
    showing = asyncio.create_task(server.show(terminal))
    typing = asyncio.create_task(_type(server, terminal))
    leaving = asyncio.create_task(terminal.left.wait())
    try:
        await asyncio.wait((showing, typing, leaving), return_when=asyncio.FIRST_COMPLETED)
        if showing.done():
            await showing
            return False
        await asyncio.wait((typing,), timeout=CLOSE_TIMEOUT)  # send what was typed before
        if typing.done():
            await typing
        return True
    finally:
        for task in (showing, typing, leaving):
            task.cancel()
        await asyncio.gather(showing, typing, leaving, return_exceptions=True)


async def _type(server: Server, terminal: UserTerminal) -> None:
    """Send keystrokes, in order, until the user leaves."""
    while keys := await terminal.typed():
        await server.send(keys)


@contextlib.contextmanager
def _signals(server: Server, terminal: UserTerminal) -> Iterator[None]:
    """Forward the size on SIGWINCH; detach on termination signals, to restore the terminal."""
    loop = asyncio.get_running_loop()
    resizes: set[asyncio.Task[None]] = set()

    def resize() -> None:
        if min(terminal.size) <= 1:  # the size is unknown (in a script or CI)
            return
        task = asyncio.create_task(server.resize(*terminal.size))
        resizes.add(task)
        task.add_done_callback(resizes.discard)

    handlers = dict.fromkeys(
        (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT), terminal.leave
    )
    handlers[signal.SIGWINCH] = resize
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    resize()
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
        for task in resizes:
            task.cancel()
