"""The user's terminal in raw mode while attached, restored on every exit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import termios
import tty
from collections import deque
from types import TracebackType
from typing import Any

RESET = (
    b"\x1b[?2026l"  # a frame that was begun
    b"\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l"
    b"\x1b[=0;1u\x1b[>4;0m"  # keys encoded the usual way again
    b"\x1b[?1l\x1b>\x1b[?7h\x1b[0 q\x1b[0m\x1b7\x1b[r\x1b8\x1b[?25h"
)
"""Resets all modes that an agent may have set; sent when leaving."""

_DETACH = re.compile(
    rb"\x03"
    rb"|\x1b\[99;(?P<modifiers>\d+)(?::(?P<event>\d+))?(?:;[\d:]*)?u"  # kitty's keyboard protocol
    rb"|\x1b\[27;5;99~"  # xterm's modifyOtherKeys
)
_CONTROL = 4
_RELEASE = b"3"
_READ = 4096
_RESET_LIMIT = 0.5
WRITE_LIMIT = 1024 * 1024
"""The number of buffered bytes for a slow terminal above which reading from the server pauses."""


def before_detach(keys: bytes) -> tuple[bytes, bool]:
    """Return the keys up to Ctrl-C, in any key encoding, and whether it was there."""
    for found in _DETACH.finditer(keys):
        modifiers = found["modifiers"]
        if modifiers is None or ((int(modifiers) - 1) & _CONTROL and found["event"] != _RELEASE):
            return keys[: found.start()], True
    return keys, False


class UserTerminal:
    """Standard input and output as a raw terminal, while the context lasts.

    The output file is opened again: it must not block (a paused terminal would block Ctrl-C), and
    standard output's open file is shared with the shell."""

    def __init__(self, source: int = 0, target: int = 1) -> None:
        self._source = source
        self._target = target
        self._saved: list[Any] = []
        self._waiting: deque[bytes] = deque()
        self._waiting_size = 0
        self._room = asyncio.Event()
        self._keys: asyncio.Queue[bytes] = asyncio.Queue()
        self.left = asyncio.Event()
        """Set by Ctrl-C, by the end of the input and by `leave`."""

    @property
    def size(self) -> tuple[int, int]:
        """(columns, rows)."""
        columns, rows = os.get_terminal_size(self._target)
        return max(columns, 1), max(rows, 1)

    def __enter__(self) -> UserTerminal:
        self._saved = termios.tcgetattr(self._source)
        self._output = os.open(os.ttyname(self._target), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._source, termios.TCSADRAIN)
        asyncio.get_running_loop().add_reader(self._source, self._read)
        self._room.set()
        self.write(b"\r\n" * self.size[1] + b"\x1b[H")  # what was there goes to the scrollback
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._source)
        loop.remove_writer(self._output)
        with contextlib.suppress(OSError, termios.error):  # gone: nobody to restore it for
            termios.tcsetattr(self._source, termios.TCSANOW, self._saved)
            self._reset()
        os.close(self._output)

    def _reset(self) -> None:
        """Reset the terminal's modes. Do not wait long for a paused terminal (Ctrl-S). CAN comes
        first: it ends an incomplete sequence."""
        select.select((), (self._output,), (), _RESET_LIMIT)
        os.write(self._output, b"\x18" + RESET + b"\x1b[%d;1H\r\n" % self.size[1])

    async def typed(self) -> bytes:
        """Wait for the next keys; empty once the user left."""
        keys = await self._keys.get()
        while keys and not self._keys.empty():
            more = self._keys.get_nowait()
            if not more:
                self._keys.put_nowait(more)
                break
            keys += more
        return keys

    def leave(self) -> None:
        """Leave: return no more keys."""
        asyncio.get_running_loop().remove_reader(self._source)
        self._keys.put_nowait(b"")
        self.left.set()

    def write(self, data: bytes) -> None:
        """Write the bytes in order, as the terminal accepts them."""
        if not data:
            return
        self._waiting.append(data)
        self._waiting_size += len(data)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().add_writer(self._output, self._write_some)
            self._write_some()
        if self._waiting_size > WRITE_LIMIT:
            self._room.clear()

    async def drain(self) -> None:
        """Wait while too much is buffered for a slow terminal."""
        await self._room.wait()

    def _write_some(self) -> None:
        while self._waiting:
            data = self._waiting[0]
            try:
                written = os.write(self._output, data)
            except BlockingIOError:
                return
            except OSError:  # the terminal is gone
                self.leave()
                written = len(data)
            self._waiting_size -= written
            if written < len(data):
                self._waiting[0] = data[written:]
                return
            self._waiting.popleft()
        asyncio.get_running_loop().remove_writer(self._output)
        self._room.set()

    def _read(self) -> None:
        try:
            data = os.read(self._source, _READ)
        except OSError:  # EIO: the terminal hung up
            data = b""
        keys, detach = before_detach(data)
        if keys:
            self._keys.put_nowait(keys)
        if detach or not data:
            self.leave()
