"""JSON-RPC over an agent's standard streams: one message a line, and patience with the rest.

Programs print to stdout what does not belong there: banners, warnings, logs. Such a line is noise:
it is handed to whoever explains things, and the conversation goes on.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]


class AgentRefused(Exception):
    """The agent answered with an error, or with something that is not the protocol's."""


class LoginNeeded(AgentRefused):
    """The agent wants authentication before it does what it was asked for."""


LINE_LIMIT = 64 * 1024 * 1024
"""A line longer than so many bytes is dropped: no message of the protocol is."""


class LineSplitter:
    """Bytes in, complete lines out; a line beyond `limit` bytes comes out cut, as noise."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends."""
        first, *others = data.split(b"\n")
        self._add(first)
        lines = []
        for part in others:
            lines.append(self.rest())
            self._add(part)
        return lines

    def rest(self) -> bytes:
        """Take what was not yet ended by a newline."""
        line = b"".join(self._parts)
        self._parts, self._size = [], 0
        return line

    def _add(self, part: bytes) -> None:
        part = part[: self._limit - self._size]
        if part:
            self._parts.append(part)
            self._size += len(part)


def parse_line(line: bytes) -> Message | None:
    """The JSON-RPC message in a line; None when there is none in it."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if _is_rpc(message) else None


def _is_rpc(message: object) -> bool:
    if not isinstance(message, dict):
        return False
    if not isinstance(message.get("id"), int | str | None):
        return False
    if "method" in message:
        return isinstance(message["method"], str)
    return "id" in message and isinstance(message.get("error"), dict | None)


class LineTransport:
    """The transport face of `acp.connection.Connection`, over two coroutines."""

    def __init__(
        self,
        read: Callable[[], Awaitable[bytes]],
        write: Callable[[bytes], Awaitable[None]],
        *,
        noise: Callable[[bytes], None],
        sent: Callable[[Message], None],
    ) -> None:
        """`read` returns b"" at the end; `noise` gets each line that is no message; `sent` each
        message as soon as the agent's pipe has it."""
        self._read = read
        self._write = write
        self._noise = noise
        self._sent = sent
        self._splitter = LineSplitter()
        self._lines: deque[bytes] = deque()
        self._ended = False

    async def send(self, message: Message) -> None:
        """Write one message. Raises `ConnectionError` when the agent is gone."""
        await self._write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        self._sent(message)

    async def receive(self) -> Message | None:
        """The next message; None at the end."""
        while True:
            while self._lines:
                line = self._lines.popleft()
                message = parse_line(line)
                if message is not None:
                    return message
                if line.strip():
                    self._noise(line)
            if self._ended:
                return None
            data = await self._read()
            self._ended = not data
            self._lines.extend(self._splitter.feed(data) if data else [self._splitter.rest()])

    async def close(self) -> None:
        """Nothing: the streams belong to the process."""
