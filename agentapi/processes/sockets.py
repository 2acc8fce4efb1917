"""The socket at the other end of a connection within this machine: its inode and its user.

The kernel is asked for exactly this one (sock_diag(7): 20 µs). Where it does not answer, its tables
are read, `/proc/net/tcp` and `/proc/net/tcp6` (proc_pid_net(5)): that takes milliseconds.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

TABLES = Path("/proc/net")
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR = 2
_NLM_F_REQUEST = 1
_NO_COOKIE = b"\xff" * 8
_ALL_STATES = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence, port."""
_FILTER = struct.Struct("=BBBBI")
"""inet_diag_req_v2: family, protocol, extensions, padding, states."""
_ADDRESSES = struct.Struct("!HH16s16s")
"""inet_diag_sockid: ports and addresses of the two ends; an interface and a cookie follow."""
_USER_INODE = struct.Struct("=II")
_AT = {"addresses": _HEADER.size + 4, "user": _HEADER.size + 64}
"""Where in an inet_diag_msg."""
_PATIENCE = 1.0
"""Seconds; the kernel answers within the call."""

Endpoint = tuple[str, int]
"""An address and a port."""


@dataclass(frozen=True, slots=True)
class Found:
    """A socket of this machine."""

    inode: int
    user: int
    """The user id of whoever made it."""


def endpoint(address: tuple[object, ...]) -> Endpoint:
    """The address and port of what `getsockname` tells, IPv4 within IPv6 as plain IPv4."""
    host, port = str(address[0]).partition("%")[0], int(str(address[1]))
    parsed = ip_address(host)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed), port


def is_local(address: tuple[object, ...]) -> bool:
    """Whether an address, as `getpeername` tells it, is one of this machine's (of its network
    namespace's, to be exact)."""
    host, *scope = (address[0], *address[2:])
    if ip_address(endpoint(address)[0]).is_loopback:
        return True
    family = socket.AF_INET6 if ":" in str(host) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, 0, *scope))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL
    return True


def find(local: Endpoint, remote: Endpoint, tables: Path = TABLES) -> Found | None:
    """The socket whose own end is `local` and whose other end is `remote`; None when there is none
    (any more). Raises `OSError` when nothing tells."""
    found = None
    with contextlib.suppress(OSError):
        found = ask_kernel(local, remote)
    # A kernel that was built without the answer says the same as one that found nothing.
    return found or look_up(local, remote, tables)


def ask_kernel(local: Endpoint, remote: Endpoint) -> Found | None:
    """`find`, asked of the kernel. Raises `OSError` where that is not possible."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(_PATIENCE)
        kernel.sendto(question(local, remote), (0, 0))
        return read_answer(kernel.recv(4096), local, remote)


def question(local: Endpoint, remote: Endpoint) -> bytes:
    """The request for one socket; an IPv4 one is found whatever its family."""
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    ends = _ADDRESSES.pack(local[1], remote[1], _packed(local), _packed(remote))
    body = _FILTER.pack(family, socket.IPPROTO_TCP, 0, 0, _ALL_STATES) + ends + bytes(4)
    body += _NO_COOKIE
    size = _HEADER.size + len(body)
    return _HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0) + body


def read_answer(answer: bytes, local: Endpoint, remote: Endpoint) -> Found | None:
    """What the kernel answered. Raises `OSError` with what it refused the request for."""
    _, kind, *_ = _HEADER.unpack_from(answer)
    if kind == _NLMSG_ERROR:
        number = -struct.unpack_from("=i", answer, _HEADER.size)[0]
        if number == errno.ENOENT:
            return None
        raise OSError(number, f"sock_diag: {errno.errorcode.get(number, number)}")
    ports = _ADDRESSES.unpack_from(answer, _AT["addresses"])[:2]
    if ports != (local[1], remote[1]):  # without such a connection it answers with a listener
        return None
    user, inode = _USER_INODE.unpack_from(answer, _AT["user"])
    return Found(inode, user) if inode else None  # none: closed, and waiting out its time


def look_up(local: Endpoint, remote: Endpoint, tables: Path = TABLES) -> Found | None:
    """`find`, in the kernel's tables. Raises `OSError` when they cannot be read."""
    found = None
    if ":" not in local[0]:
        found = search((tables / "tcp").read_bytes(), hexadecimal(local), hexadecimal(remote))
        local, remote = _mapped(local), _mapped(remote)
    if found is None and (tables / "tcp6").exists():
        found = search((tables / "tcp6").read_bytes(), hexadecimal(local), hexadecimal(remote))
    return found


def search(table: bytes, local: str, remote: str) -> Found | None:
    """The socket with these ends, written as the table has them."""
    place = table.find(f" {local} {remote} ".encode())
    if place < 0:
        return None
    fields = table[place : table.find(b"\n", place)].split()
    # Behind the ends: state, queues, timer, retransmissions, user, timeout, inode.
    user, inode = int(fields[6]), int(fields[8])
    return Found(inode, user) if inode else None


def hexadecimal(end: Endpoint) -> str:
    """An address and port as the tables have them: by words of four bytes, each in the order of
    the machine."""
    packed = ip_address(end[0]).packed
    words = (packed[i : i + 4] for i in range(0, len(packed), 4))
    written = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    return f"{written}:{end[1]:04X}"


def _packed(end: Endpoint) -> bytes:
    return ip_address(end[0]).packed


def _mapped(end: Endpoint) -> Endpoint:
    return f"::ffff:{end[0]}", end[1]
