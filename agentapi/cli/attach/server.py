"""The two ways to a running agent's terminal: our server's WebSocket, upstream's screen as text."""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import aiohttp

from agentapi.cli.attach.filter import QuestionFilter

CONNECT_LIMIT = 10.0
"""Seconds for the server to answer."""
HEARTBEAT = 15.0
"""Seconds between two signs of life of the server."""
_NO_SUCH_ENDPOINT = (404, 405, 426, 501)


class AttachError(Exception):
    """Why there is nothing to be seen (any more); the text is for the user."""


class Display(Protocol):
    """Where a server's output goes."""

    @property
    def size(self) -> tuple[int, int]:
        """(columns, rows)."""

    def write(self, data: bytes) -> None:
        """Show the bytes."""

    async def drain(self) -> None:
        """Wait while the terminal is behind."""


class Server(Protocol):
    """A server that we are attached to."""

    async def show(self, screen: Display) -> None:
        """Show the agent's screen until the server ends it. Raises `AttachError`."""

    async def send(self, keys: bytes) -> None:
        """Send keystrokes. Raises `AttachError`."""

    async def resize(self, columns: int, rows: int) -> None:
        """This terminal has this size now."""

    async def close(self) -> None:
        """Part."""


async def connect(client: aiohttp.ClientSession, url: str) -> Server:
    """The best way that the server at `url` offers. Raises `AttachError`."""
    try:
        async with asyncio.timeout(CONNECT_LIMIT):
            try:
                socket = await client.ws_connect(
                    f"{url}/terminal", heartbeat=HEARTBEAT, max_msg_size=0
                )
                return TerminalServer(socket, url)
            except aiohttp.WSServerHandshakeError as error:
                if error.status not in _NO_SUCH_ENDPOINT:
                    raise AttachError(_refused(url, error.status)) from error
            response = await client.get(f"{url}/internal/screen")
    except aiohttp.ClientConnectorError as error:
        reason = error.os_error.strerror or error
        raise AttachError(f"nothing answers at {url}: {reason}") from error
    except TimeoutError as error:
        raise AttachError(f"nothing answers at {url} in {CONNECT_LIMIT:g} seconds") from error
    except aiohttp.ClientError as error:
        raise AttachError(f"no AgentAPI server answers at {url}: {error}") from error
    if response.status != 200 or response.content_type != "text/event-stream":
        response.close()
        raise AttachError(_refused(url, response.status))
    return TextServer(client, response, url)


def _refused(url: str, status: int) -> str:
    if status == 401:
        return f"{url} asks for a token: give --auth-token-file or AGENTAPI_AUTH_TOKEN"
    if status == 403:
        return f"{url} shows its terminal to no process of the agent (its --allow-agent-requests)"
    if status == 400:
        return f"{url} does not accept requests for this host name (its --allowed-hosts)"
    return f"{url} shows no terminal (it answered {status}): is it an AgentAPI server?"


def _lost(url: str) -> AttachError:
    return AttachError(f"lost {url}: its process died or the network failed; attach again")


class TerminalServer:
    """Over `/terminal`: the agent's own bytes both ways, and its terminal takes our size."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, url: str) -> None:
        self._socket = socket
        self._url = url
        self._filter = QuestionFilter()

    async def show(self, screen: Display) -> None:
        """Pass the agent's bytes on, without its questions."""
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                screen.write(self._filter.feed(message.data))
                await screen.drain()
        if self._socket.close_code not in (1000, 1001):
            raise _lost(self._url) from self._socket.exception()

    async def send(self, keys: bytes) -> None:
        """Send keystrokes as they are."""
        try:
            await self._socket.send_bytes(keys)
        except (aiohttp.ClientError, ConnectionError) as error:
            raise _lost(self._url) from error

    async def resize(self, columns: int, rows: int) -> None:
        """Make the agent's terminal this large."""
        try:
            await self._socket.send_str(json.dumps({"resize": [columns, rows]}))
        except (aiohttp.ClientError, ConnectionError):
            return  # show() explains it

    async def close(self) -> None:
        """Say goodbye."""
        await self._socket.close()


class TextServer:
    """Upstream's: the screen as text over SSE, keys as raw messages, a size of its own."""

    def __init__(
        self, client: aiohttp.ClientSession, response: aiohttp.ClientResponse, url: str
    ) -> None:
        self._client = client
        self._response = response
        self._url = url
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._repaint: Callable[[], None] = lambda: None

    async def show(self, screen: Display) -> None:
        """Paint each screen that comes."""

        def repaint() -> None:
            screen.write(paint(self._text, *screen.size))

        self._repaint = repaint
        try:
            async for name, data in read_events(self._response.content):
                if name == "screen":
                    self._text = str(json.loads(data)["screen"])
                    repaint()
                    await screen.drain()
        except (aiohttp.ClientError, ConnectionError, ValueError, LookupError, TypeError) as error:
            raise _lost(self._url) from error

    async def send(self, keys: bytes) -> None:
        """Send a run of keys as one raw message; returns when the server took it."""
        text = self._decoder.decode(keys)
        if not text:
            return
        message = {"content": text, "type": "raw"}
        try:
            async with self._client.post(f"{self._url}/message", json=message) as response:
                if response.status != 200:
                    raise AttachError(f"{self._url} refused keys: {await response.text()}")
        except (aiohttp.ClientError, ConnectionError) as error:
            raise _lost(self._url) from error

    async def resize(self, columns: int, rows: int) -> None:
        """Paint again; the agent's terminal keeps its size."""
        self._repaint()

    async def close(self) -> None:
        """End the stream."""
        self._response.close()


def paint(text: str, columns: int, rows: int) -> bytes:
    """The bytes that show the last `rows` lines of the text, cut at the terminal's width."""
    lines = text.rstrip().split("\n")[-rows:]
    shown = ("".join(c for c in line if c.isprintable())[:columns] for line in lines)
    body = "\x1b[K\r\n".join(line.rstrip() for line in shown)
    # Without wrapping a line of wide characters that is longer than the terminal stays one line.
    return f"\x1b[?2026h\x1b[?7l\x1b[H{body}\x1b[J\x1b[?7h\x1b[?2026l".encode()


async def read_events(stream: aiohttp.StreamReader) -> AsyncIterator[tuple[str, str]]:
    """The name and data of each server-sent event. A whole screen may be one line."""
    name, data, line = "message", "", b""
    async for block in stream.iter_any():
        *lines, line = (line + block).split(b"\n")
        for one in lines:
            field, _, value = one.rstrip(b"\r").decode("utf-8", "replace").partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data += value
            elif not field and not value and data:
                yield name, data
                name, data = "message", ""
