"""Find the inode and user of the socket at the other end of a local connection.

The kernel is queried for this socket (sock_diag(7), 20 µs). Without an answer, `/proc/net/tcp` and
`/proc/net/tcp6` are searched (proc_pid_net(5)), which takes milliseconds.
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
"""Offsets in an inet_diag_msg."""
_PATIENCE = 1.0
"""Seconds; the kernel answers within the call."""

Endpoint = tuple[str, int]
"""An address and a port."""


@dataclass(frozen=True, slots=True)
class Found:
    """A socket of this machine."""

    inode: int
    user: int
    """The user id of its creator."""


def endpoint(address: tuple[object, ...]) -> Endpoint:
    """Return the address and port of a socket address; mapped IPv4 addresses become plain IPv4."""
    host, port = str(address[0]).partition("%")[0], int(str(address[1]))
    parsed = ip_address(host)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed), port


def is_local(address: tuple[object, ...]) -> bool:
    """Return whether an address from `getpeername` belongs to this machine (more precisely, its
    network namespace)."""
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
    """Return the socket that connects `local` to `remote`, if it still exists. Raises `OSError` if
    that cannot be determined."""
    found = None
    with contextlib.suppress(OSError):
        found = query_kernel(local, remote)
    # A kernel without this feature answers as if nothing was found.
    return found or read_tables(local, remote, tables)


def query_kernel(local: Endpoint, remote: Endpoint) -> Found | None:
    """Query the kernel for a socket. Raises `OSError` if not possible."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(_PATIENCE)
        kernel.sendto(build_request(local, remote), (0, 0))
        return parse_answer(kernel.recv(4096), local, remote)


def build_request(local: Endpoint, remote: Endpoint) -> bytes:
    """Build the request for one socket; IPv4 sockets are found whatever their family."""
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    ends = _ADDRESSES.pack(local[1], remote[1], _packed(local), _packed(remote))
    body = _FILTER.pack(family, socket.IPPROTO_TCP, 0, 0, _ALL_STATES) + ends + bytes(4)
    body += _NO_COOKIE
    size = _HEADER.size + len(body)
    return _HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0) + body


def parse_answer(answer: bytes, local: Endpoint, remote: Endpoint) -> Found | None:
    """Parse the kernel's answer. Raises `OSError` if it refused the request."""
    _, kind, *_ = _HEADER.unpack_from(answer)
    if kind == _NLMSG_ERROR:
        number = -struct.unpack_from("=i", answer, _HEADER.size)[0]
        if number == errno.ENOENT:
            return None
        raise OSError(number, f"sock_diag: {errno.errorcode.get(number, number)}")
    ports = _ADDRESSES.unpack_from(answer, _AT["addresses"])[:2]
    if ports != (local[1], remote[1]):  # without such a connection it returns a listener
        return None
    user, inode = _USER_INODE.unpack_from(answer, _AT["user"])
    return Found(inode, user) if inode else None  # no inode: closed, in TIME_WAIT


def read_tables(local: Endpoint, remote: Endpoint, tables: Path = TABLES) -> Found | None:
    """Search the kernel's tables for a socket. Raises `OSError` if they cannot be read."""
    found = None
    if ":" not in local[0]:
        found = search((tables / "tcp").read_bytes(), table_format(local), table_format(remote))
        local, remote = _mapped(local), _mapped(remote)
    if found is None and (tables / "tcp6").exists():
        found = search((tables / "tcp6").read_bytes(), table_format(local), table_format(remote))
    return found


def search(table: bytes, local: str, remote: str) -> Found | None:
    """Search a table for the socket with these formatted ends."""
    place = table.find(f" {local} {remote} ".encode())
    if place < 0:
        return None
    fields = table[place : table.find(b"\n", place)].split()
    # After the ends: state, queues, timer, retransmissions, user, timeout, inode.
    user, inode = int(fields[6]), int(fields[8])
    return Found(inode, user) if inode else None


def table_format(end: Endpoint) -> str:
    """Format an address and port as in the tables: words of four bytes, each in machine byte
    order."""
    packed = ip_address(end[0]).packed
    words = (packed[i : i + 4] for i in range(0, len(packed), 4))
    written = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    return f"{written}:{end[1]:04X}"


def _packed(end: Endpoint) -> bytes:
    return ip_address(end[0]).packed


def _mapped(end: Endpoint) -> Endpoint:
    return f"::ffff:{end[0]}", end[1]
