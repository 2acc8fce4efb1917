"""JSON-RPC over an agent's standard streams, one message per line.

Programs also print banners, warnings and logs to stdout. Such lines are passed to a callback and
otherwise ignored.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]


class AgentRefused(Exception):
    """The agent answered with an error, or violated the protocol."""


class LoginNeeded(AgentRefused):
    """The agent requires authentication."""


LINE_LIMIT = 64 * 1024 * 1024
"""Maximum length of a line in bytes; longer ones are not messages."""


class LineSplitter:
    """Splits bytes into lines, truncated to `limit` bytes."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Add data; return the completed lines, without line ends."""
        first, *others = data.split(b"\n")
        self._add(first)
        lines = []
        for part in others:
            lines.append(self.rest())
            self._add(part)
        return lines

    def rest(self) -> bytes:
        """Return and clear the unterminated rest."""
        line = b"".join(self._parts)
        self._parts, self._size = [], 0
        return line

    def _add(self, part: bytes) -> None:
        part = part[: self._limit - self._size]
        if part:
            self._parts.append(part)
            self._size += len(part)


def parse_line(line: bytes) -> Message | None:
    """Parse a line as a JSON-RPC message; return None if it is not one."""
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
    """Transport for `acp.connection.Connection`, based on two coroutines."""

    def __init__(
        self,
        read: Callable[[], Awaitable[bytes]],
        write: Callable[[bytes], Awaitable[None]],
        *,
        unparsed: Callable[[bytes], None],
        sent: Callable[[Message], None],
    ) -> None:
        """`read` returns b"" at the end. `unparsed` is called with each line that is not a message,
        `sent` with each message once it was written."""
        self._read = read
        self._write = write
        self._unparsed = unparsed
        self._sent = sent
        self._splitter = LineSplitter()
        self._lines: deque[bytes] = deque()
        self._ended = False

    async def send(self, message: Message) -> None:
        """Write one message. Raises `ConnectionError` if the agent is gone."""
        await self._write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        self._sent(message)

    async def receive(self) -> Message | None:
        """Return the next message; None at the end."""
        while True:
            while self._lines:
                line = self._lines.popleft()
                message = parse_line(line)
                if message is not None:
                    return message
                if line.strip():
                    self._unparsed(line)
            if self._ended:
                return None
            data = await self._read()
            self._ended = not data
            self._lines.extend(self._splitter.feed(data) if data else [self._splitter.rest()])

    async def close(self) -> None:
        """Do nothing: the streams belong to the process."""
