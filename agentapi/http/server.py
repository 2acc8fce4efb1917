"""Listen, serve, end: the application on its sockets."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from typing import Any

from aiohttp import web

BACKLOG = 1024
PATIENCE = 1.0
"""Seconds that open requests get to end at shutdown; streams are ended at once."""
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def bind(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Listening sockets for the hosts, all on one port (0: any).

    Of several hosts those that this machine does not have (`::1` without IPv6) are left out.
    Raises `OSError` with a message that names the address, closing what was opened."""
    sockets: list[socket.socket] = []
    try:
        for host in hosts:
            found = _bind_host(host, port, required=len(hosts) == 1)
            sockets += found
            if found and port == 0:
                port = found[0].getsockname()[1]
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, f"none of {', '.join(hosts)} is an address here")
    except OSError:
        for one in sockets:
            one.close()
        raise
    return sockets


def _bind_host(host: str, port: int, *, required: bool) -> list[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return [_listen(family, kind, protocol, address)]
    except OSError as error:
        if error.errno in _NO_SUCH_ADDRESS and not required:
            return []
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"({error.strerror})"
        raise OSError(error.errno, f"cannot listen on {host}, port {port}: it {reason}") from error


def _listen(family: int, kind: int, protocol: int, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


class HttpServer:
    """An application on listening sockets."""

    def __init__(self, app: web.Application, sockets: Sequence[socket.socket]) -> None:
        self._sockets = sockets
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            shutdown_timeout=PATIENCE,
        )

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Serve from now on."""
        await self._runner.setup()
        for one in self._sockets:
            await web.SockSite(self._runner, one, backlog=BACKLOG).start()

    async def stop(self) -> None:
        """Take no more connections, end the streams, wait briefly for requests. Idempotent."""
        await self._runner.cleanup()
