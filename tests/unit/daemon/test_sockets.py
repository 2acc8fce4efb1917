from __future__ import annotations

import socket
from contextlib import closing

import pytest

from agentapi.daemon.sockets import ListenError, beyond_loopback, close_all, listen, urls


def test_one_port_on_every_address() -> None:
    sockets = listen(("127.0.0.1", "127.0.0.2"), 0)
    try:
        ports = {one.getsockname()[1] for one in sockets}
        assert len(ports) == 1
        assert urls(sockets) == [f"http://127.0.0.{n}:{min(ports)}" for n in (1, 2)]
    finally:
        close_all(sockets)


def test_connections_wait_from_the_first_moment() -> None:
    sockets = listen(("127.0.0.1",), 0)
    with closing(sockets[0]), closing(socket.create_connection(sockets[0].getsockname())) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")


def test_a_port_in_use_is_named() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"port {port} is already in use on 127.0.0.1"):
            listen(("127.0.0.1", "::1"), port)


def test_a_port_in_use_on_one_address_is_enough() -> None:
    """`localhost` may mean either address: clients would reach another server on one of them."""
    with closing(socket.create_server(("127.0.0.2", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"port {port} is already in use on 127.0.0.2"):
            listen(("127.0.0.1", "127.0.0.2"), port)
        close_all(listen(("127.0.0.1",), port))  # nothing was left open


@pytest.mark.parametrize(("host", "open_to_all"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_what_other_machines_reach_is_known(host: str, open_to_all: bool) -> None:
    sockets = listen((host,), 0)
    try:
        assert beyond_loopback(sockets) == open_to_all
    finally:
        close_all(sockets)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "1.2.3.4.5"])
def test_an_address_that_is_not_ours_is_explained(host: str) -> None:
    with pytest.raises(ListenError, match=host):
        listen((host,), 0)
