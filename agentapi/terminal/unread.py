"""Count or discard unread terminal input, through the program's side of the terminal.

The master cannot tell: TIOCOUTQ is 0 there, and the kernel echoes a line whether it is read or not.
The program's side is opened briefly; kept open, it would hide the program's exit.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Iterator

_TIOCGPTPEER = 0x5441
"""ioctl_tty(2): opens the other side without `/dev/pts` (Linux 4.13)."""


def unread(master: int) -> int:
    """Return the number of bytes that the program could read now (in canonical mode, of complete
    lines); 0 if unknown."""
    try:
        with _program_side(master) as side:
            answer = fcntl.ioctl(side, termios.FIONREAD, bytes(4))
    except OSError:
        return 0
    return int(struct.unpack("i", answer)[0])


def discard(master: int) -> None:
    """Discard unread input."""
    with contextlib.suppress(OSError, termios.error), _program_side(master) as side:
        termios.tcflush(side, termios.TCIFLUSH)


@contextlib.contextmanager
def _program_side(master: int) -> Iterator[int]:
    side = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        yield side
    finally:
        os.close(side)
