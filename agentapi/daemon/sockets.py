"""The listening sockets, opened first of all: a port in use must not disturb anything that runs."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator, Sequence

BACKLOG = 512


class ListenError(Exception):
    """An address that cannot be listened on. The text is for the user."""


def listen(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Open listening sockets. Connections wait until the server accepts them.

    `port` 0 takes a free sock, the same on all addresses. `::1` is skipped on machines without IPv6
    if there is another address. Raises `ListenError`, with all sockets closed."""
    sockets: list[socket.socket] = []
    try:
        for host in hosts:
            for family, address in _addresses(host, port):
                try:
                    sockets.append(_bind(family, address, port or _port_of(sockets)))
                except OSError as error:
                    if not (address == "::1" and len(hosts) > 1 and _no_ipv6(error)):
                        raise ListenError(_explain(address, port, error)) from error
    except ListenError:
        close_all(sockets)
        raise
    if not sockets:
        raise ListenError("no address to serve on: this machine has no IPv6, give another --host")
    return sockets


def close_all(sockets: Iterable[socket.socket]) -> None:
    """Close all sockets."""
    for sock in sockets:
        sock.close()


def urls(sockets: Iterable[socket.socket]) -> list[str]:
    """Return the URL of each socket."""
    names = [(sock.family, *sock.getsockname()[:2]) for sock in sockets]
    return [
        f"http://[{host}]:{port}" if family == socket.AF_INET6 else f"http://{host}:{port}"
        for family, host, port in names
    ]


def beyond_loopback(sockets: Iterable[socket.socket]) -> bool:
    """Whether other machines can reach one of the sockets."""
    return any(not sock.getsockname()[0].startswith(("127.", "::1")) for sock in sockets)


def _addresses(host: str, port: int) -> Iterator[tuple[int, str]]:
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except (OSError, UnicodeError) as error:
        raise ListenError(f"--host: {host!r} is no address of this machine ({error})") from error
    for family, _, _, _, address in dict.fromkeys(found):
        yield family, str(address[0])


def _bind(family: int, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _port_of(sockets: Sequence[socket.socket]) -> int:
    return int(sockets[0].getsockname()[1]) if sockets else 0


def _no_ipv6(error: OSError) -> bool:
    return error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def _explain(address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} is already in use on {address}:"
            " stop the program that has it or choose another with --port"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} on {address} is not permitted: choose another with --port"
    return f"cannot serve on {address} port {port}: {error.strerror or error}"
