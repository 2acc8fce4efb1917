"""One trick to send keys to one's own server: `tricks.py PORT NAME`. What the server answered goes
to the file `NAME`."""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable

PORT = int(sys.argv[1])
BODY = b'{"type":"raw","content":"stolen"}'
REQUEST = (
    b"POST /message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(BODY), BODY)
)
LIBC = ctypes.CDLL(None)
CLONE_PARENT, CLONE_FILES, PR_SET_DUMPABLE = 0x8000, 0x400, 4


def connect() -> socket.socket:
    return socket.create_connection(("127.0.0.1", PORT))


def asked(connection: socket.socket) -> bytes:
    connection.sendall(REQUEST)
    return connection.makefile("rb").read()


def plain() -> bytes:
    return asked(connect())


def passed_on() -> bytes:
    """From child to child, so that nobody who is looked at has it any more."""
    connection, answer = connect(), b""
    connection.sendall(REQUEST)
    while True:
        if select.select([connection], [], [], 0)[0]:
            if not (piece := connection.recv(4096)):
                return answer
            answer += piece
        if os.fork():
            os._exit(0)


def hidden() -> bytes:
    """By a process at whose files no other may look."""
    LIBC.prctl(PR_SET_DUMPABLE, *map(ctypes.c_ulong, (0, 0, 0, 0)))
    return asked(connect())


def in_flight() -> bytes:
    """While the socket is on its way to a process, and none has it open."""
    one, other = socket.socketpair()
    connection = connect()
    socket.send_fds(one, [b"x"], [connection.fileno()])
    connection.sendall(REQUEST)
    watched = select.epoll()
    watched.register(connection, select.EPOLLIN)  # waits on, though nobody has the socket
    connection.close()
    watched.poll(10)
    _, descriptors, _, _ = socket.recv_fds(other, 1, 1)
    return socket.socket(fileno=descriptors[0]).makefile("rb").read()


def of_a_thread() -> bytes:
    """By a thread with open files of its own."""
    answers: list[bytes] = []

    def ask() -> None:
        assert LIBC.unshare(CLONE_FILES) == 0
        answers.append(asked(connect()))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return answers[0]


def of_a_sibling() -> bytes:
    """By a process that is a child of our parent."""
    read, write = os.pipe()
    kind = CLONE_PARENT | 17
    if LIBC.syscall(56 if os.uname().machine == "x86_64" else 220, kind, 0, 0, 0, 0) == 0:
        os.write(write, asked(connect()))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        return file.read()


def closed() -> bytes:
    """Gone before anybody looks."""
    for linger in (0, 1) * 50:
        connection = connect()
        connection.sendall(REQUEST)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", linger, 0))
        connection.close()
    return b"closed"


TRICKS: tuple[Callable[[], bytes], ...] = (
    *(plain, passed_on, hidden, in_flight, of_a_thread, of_a_sibling, closed),
)

if __name__ == "__main__":
    (trick,) = (trick for trick in TRICKS if trick.__name__ == sys.argv[2])
    result = trick()
    with open(f"{trick.__name__}.new", "wb") as file:  # noqa: PTH123
        file.write(result)
    os.rename(f"{trick.__name__}.new", trick.__name__)  # noqa: PTH104
