"""What was typed into a terminal and nobody has read: from the side of its program.

The master tells nothing of it: TIOCOUTQ is 0 there, and the kernel echoes a line whether it is read
or not. The program's side is opened for a moment; held open, it would hide the program's end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Iterator

_TIOCGPTPEER = 0x5441
"""ioctl_tty(2): opens the other side, whatever `/dev/pts` shows here (Linux 4.13)."""


def unread(master: int) -> int:
    """How many bytes the program could read now: whole lines where the kernel collects lines. 0
    where that cannot be told."""
    try:
        with _program_side(master) as side:
            answer = fcntl.ioctl(side, termios.FIONREAD, bytes(4))
    except OSError:
        return 0
    return int(struct.unpack("i", answer)[0])


def discard(master: int) -> None:
    """Drop them."""
    with contextlib.suppress(OSError, termios.error), _program_side(master) as side:
        termios.tcflush(side, termios.TCIFLUSH)


@contextlib.contextmanager
def _program_side(master: int) -> Iterator[int]:
    side = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        yield side
    finally:
        os.close(side)
