from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentapi.processes import sockets
from agentapi.processes.sockets import Found, endpoint, is_local, search, table_format

# As Linux 6.18 shows them on a machine of this byte order, little-endian.
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:CE63 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 104349 1 0000000055152864 100 0 0 10 0
   1: 0100007F:C3B8 0100007F:89AD 06 00000000:00000000 03:00000EC4 00000000     0        0 0 3 000000009150a204
  96: 0100007F:CE63 0100007F:DAF4 01 00000000:00000000 00:00000000 00000000  1000        0 104351 1 000000008479c441 20 0 0 10 -1
 113: 0100007F:DAF4 0100007F:CE63 01 00000000:00000000 00:00000000 00000000  1001        0 104350 2 0000000000648862 20 0 0 10 -1
"""  # noqa: E501
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:997F 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 27998 1 0000000012609d62 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:DAFC 0000000000000000FFFF00000100007F:CE63 01 00000000:00000001 00:00000000 00000000  1000        0 104353 2 0000000096253104 20 4 0 10 -1
   2: 00000000000000000000000001000000:DB00 00000000000000000000000001000000:997F 01 00000000:00000001 00:00000000 00000000  1000        0 104360 2 0000000096253105 20 4 0 10 -1
   3: B80D0120000000000000000078563412:0050 B80D0120000000000000000001000000:0051 01 00000000:00000001 00:00000000 00000000  1000        0 104370 2 0000000096253106 20 4 0 10 -1
"""  # noqa: E501

little_endian = pytest.mark.skipif(os.uname().machine == "s390x", reason="little-endian tables")


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    (tmp_path / "tcp").write_text(TCP)
    (tmp_path / "tcp6").write_text(TCP6)
    return tmp_path


@little_endian
def test_an_address_as_the_tables_have_it() -> None:
    assert table_format(("127.0.0.1", 0xDAF4)) == "0100007F:DAF4"
    assert table_format(("::1", 80)) == "00000000000000000000000001000000:0050"
    assert table_format(("2001:db8::1234:5678", 80)) == "B80D0120000000000000000078563412:0050"
    assert table_format(("::ffff:127.0.0.1", 1)) == "0000000000000000FFFF00000100007F:0001"


@little_endian
@pytest.mark.parametrize(
    ("local", "remote", "found"),
    [
        (("127.0.0.1", 0xDAF4), ("127.0.0.1", 0xCE63), Found(104350, 1001)),
        (("127.0.0.1", 0xCE63), ("127.0.0.1", 0xDAF4), Found(104351, 1000)),
        (("127.0.0.1", 0xDAFC), ("127.0.0.1", 0xCE63), Found(104353, 1000)),  # an IPv6 socket
        (("::1", 0xDB00), ("::1", 0x997F), Found(104360, 1000)),
        (("2001:db8::1234:5678", 80), ("2001:db8::1", 81), Found(104370, 1000)),
        (("127.0.0.1", 0xC3B8), ("127.0.0.1", 0x89AD), None),  # closed, without an owner
        (("127.0.0.1", 0xDAF4), ("127.0.0.1", 0xCE64), None),
        (("127.0.0.1", 0xCE63), ("127.0.0.1", 0), None),  # a listener is no connection
        (("::1", 0x997F), ("::1", 0xDB00), None),
    ],
)
def test_a_socket_in_the_tables(
    tables: Path, local: sockets.Endpoint, remote: sockets.Endpoint, found: Found | None
) -> None:
    assert sockets.read_tables(local, remote, tables) == found


def test_a_machine_without_ipv6(tables: Path) -> None:
    (tables / "tcp6").unlink()
    assert sockets.read_tables(("127.0.0.1", 1), ("127.0.0.1", 2), tables) is None


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        sockets.read_tables(("127.0.0.1", 1), ("127.0.0.1", 2), tmp_path)


def test_the_end_of_a_table_may_be_missing() -> None:
    assert search(TCP.rstrip().encode(), "0100007F:DAF4", "0100007F:CE63") == Found(104350, 1001)


def test_addresses_as_the_sockets_tell_them() -> None:
    assert endpoint(("127.0.0.1", 80)) == ("127.0.0.1", 80)
    assert endpoint(("::1", 80, 0, 0)) == ("::1", 80)
    assert endpoint(("::ffff:127.0.0.1", 80, 0, 0)) == ("127.0.0.1", 80)
    assert endpoint(("fe80::1%eth0", 80, 0, 2)) == ("fe80::1", 80)


def test_which_addresses_are_of_this_machine() -> None:
    for address in (("127.0.0.1", 80), ("127.9.9.9", 80), ("::1", 80, 0, 0)):
        assert is_local(address)
    assert is_local(("::ffff:127.0.0.1", 80, 0, 0))
    for address in (("192.0.2.77", 80), ("2001:db8::77", 80, 0, 0)):  # documentation only
        assert not is_local(address)


@contextmanager
def connected(family: int, host: str, to: str = "") -> Iterator[tuple[socket.socket, ...]]:
    """A client's socket, and the server's one for it."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
        server.bind((host, 0))
        server.listen()
        with socket.socket(family) as client:
            client.connect((to or host, server.getsockname()[1]))
            theirs, _ = server.accept()
            with theirs:
                yield client, theirs


@pytest.mark.parametrize(
    ("family", "host", "to"),
    [
        (socket.AF_INET, "127.0.0.1", ""),
        (socket.AF_INET, "127.0.0.5", ""),
        (socket.AF_INET6, "::1", ""),
        (socket.AF_INET6, "127.0.0.1", "::ffff:127.0.0.1"),
    ],
)
def test_real_sockets(family: int, host: str, to: str) -> None:
    with connected(family, host, to) as (client, theirs):
        ends = endpoint(theirs.getpeername()), endpoint(theirs.getsockname())
        expected = Found(os.fstat(client.fileno()).st_ino, os.geteuid())
        assert sockets.query_kernel(*ends) == sockets.read_tables(*ends) == expected
        assert sockets.find(*ends) == expected
        client.close()
        assert sockets.find(*ends) is None


def test_the_kernel_answers_with_a_listener_where_there_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert sockets.query_kernel(endpoint(server.getsockname()), ("127.0.0.1", 9)) is None


def test_a_refusal_of_the_kernel() -> None:
    def refusal(number: int) -> bytes:
        return struct.pack("=IHHIIi", 36, 2, 0, 1, 0, -number) + bytes(16)

    ends = ("127.0.0.1", 1), ("127.0.0.1", 2)
    assert sockets.parse_answer(refusal(errno.ENOENT), *ends) is None
    with pytest.raises(OSError, match="EPERM"):
        sockets.parse_answer(refusal(errno.EPERM), *ends)


@little_endian
def test_without_an_answer_of_the_kernel_the_tables_are_read(
    tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = ("127.0.0.1", 0xDAF4), ("127.0.0.1", 0xCE63)

    def refuse(*ends: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "no netlink here")

    monkeypatch.setattr(sockets, "query_kernel", refuse)
    assert sockets.find(*ends, tables) == Found(104350, 1001)
    monkeypatch.setattr(sockets, "query_kernel", lambda *ends: None)
    assert sockets.find(*ends, tables) == Found(104350, 1001)
