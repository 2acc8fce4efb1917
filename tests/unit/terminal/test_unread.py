"""What a program has not read, of a real terminal."""

from __future__ import annotations

import os
import pty
import termios
import time
from collections.abc import Iterator

import pytest

from agentapi.terminal.unread import discard, unread


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both sides: ours, and the program's."""
    ours, programs = pty.openpty()
    yield ours, programs
    for fd in (ours, programs):
        os.close(fd)


def reaches(ours: int, size: int) -> bool:
    """Whether so much is unread soon: the kernel hands input over in its own time."""
    end = time.monotonic() + 10
    while unread(ours) != size and time.monotonic() < end:
        pass
    return unread(ours) == size


def test_a_line_counts_once_it_ends_and_until_it_is_read(terminal: tuple[int, int]) -> None:
    ours, programs = terminal
    os.write(ours, b"ab")
    assert unread(ours) == 0
    os.write(ours, b"c\r")
    assert reaches(ours, 4)
    assert os.read(programs, 100) == b"abc\n"
    assert unread(ours) == 0


def test_single_keys_count_at_once(terminal: tuple[int, int]) -> None:
    ours, programs = terminal
    modes = termios.tcgetattr(programs)
    modes[3] &= ~termios.ICANON
    termios.tcsetattr(programs, termios.TCSANOW, modes)
    os.write(ours, b"ab")
    assert reaches(ours, 2)


def test_a_line_that_was_not_read_can_be_dropped(terminal: tuple[int, int]) -> None:
    ours, programs = terminal
    os.write(ours, b"abc\r")
    assert reaches(ours, 4)
    discard(ours)
    assert unread(ours) == 0
    os.write(ours, b"next\r")
    assert os.read(programs, 100) == b"next\n"


def test_nothing_is_known_of_what_is_no_terminal() -> None:
    with open(os.devnull) as file:  # noqa: PTH123
        assert unread(file.fileno()) == 0
        discard(file.fileno())


def test_a_look_does_not_hide_the_programs_end() -> None:
    ours, programs = pty.openpty()
    unread(ours)
    os.close(programs)
    with pytest.raises(OSError, match="Input/output"):
        os.read(ours, 1)
    unread(ours)
    with pytest.raises(OSError, match="Input/output"):
        os.read(ours, 1)
    os.close(ours)
