"""Clients for a running agent's terminal: our server's WebSocket, or upstream's screen as text."""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import aiohttp

from agentapi.cli.attach.filter import QueryFilter

CONNECT_LIMIT = 10.0
"""The connect timeout, in seconds."""
HEARTBEAT = 15.0
"""Seconds between two pings."""
_NO_SUCH_ENDPOINT = (404, 405, 426, 501)


class AttachError(Exception):
    """There is no terminal, or it was lost. The text is for the user."""


class Display(Protocol):
    """Displays a server's output."""

    @property
    def size(self) -> tuple[int, int]:
        """(columns, rows)."""

    def write(self, data: bytes) -> None:
        """Write the bytes."""

    async def drain(self) -> None:
        """Wait until the terminal has caught up."""


class Server(Protocol):
    """A server with an attached terminal."""

    async def show(self, screen: Display) -> None:
        """Display the agent's screen until the server ends. Raises `AttachError`."""

    async def send(self, keys: bytes) -> None:
        """Send keystrokes. Raises `AttachError`."""

    async def resize(self, columns: int, rows: int) -> None:
        """Set the size of this terminal."""

    async def close(self) -> None:
        """Close the connection."""


async def connect(client: aiohttp.ClientSession, url: str) -> Server:
    """Connect by the best protocol of the server at `url`. Raises `AttachError`."""
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
    """Client for `/terminal`: passes the agent's bytes both ways, and sets its terminal's size."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, url: str) -> None:
        self._socket = socket
        self._url = url
        self._filter = QueryFilter()

    async def show(self, screen: Display) -> None:
        """Write the agent's bytes, without its queries."""
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                screen.write(self._filter.feed(message.data))
                await screen.drain()
        if self._socket.close_code not in (1000, 1001):
            raise _lost(self._url) from self._socket.exception()

    async def send(self, keys: bytes) -> None:
        """Send keystrokes unchanged."""
        try:
            await self._socket.send_bytes(keys)
        except (aiohttp.ClientError, ConnectionError) as error:
            raise _lost(self._url) from error

    async def resize(self, columns: int, rows: int) -> None:
        """Resize the agent's terminal."""
        try:
            await self._socket.send_str(json.dumps({"resize": [columns, rows]}))
        except (aiohttp.ClientError, ConnectionError):
            return  # show() reports it

    async def close(self) -> None:
        """Close the WebSocket."""
        await self._socket.close()


class TextServer:
    """Client for upstream's server: the screen as text over SSE, keys as raw messages."""

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
        """Draw each screen."""

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
        """Send keys as one raw message; return when the server accepted it."""
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
        """Draw again; the agent's terminal keeps its size."""
        self._repaint()

    async def close(self) -> None:
        """End the stream."""
        self._response.close()


def paint(text: str, columns: int, rows: int) -> bytes:
    """Return the bytes that draw the last `rows` lines of the text, cut to the terminal's width."""
    lines = text.rstrip().split("\n")[-rows:]
    shown = ("".join(c for c in line if c.isprintable())[:columns] for line in lines)
    body = "\x1b[K\r\n".join(line.rstrip() for line in shown)
    # Without wrapping a line of wide characters that is longer than the terminal stays one line.
    return f"\x1b[?2026h\x1b[?7l\x1b[H{body}\x1b[J\x1b[?7h\x1b[?2026l".encode()


async def read_events(stream: aiohttp.StreamReader) -> AsyncIterator[tuple[str, str]]:
    """Yield the name and data of each server-sent event. A whole screen may be one line."""
    name, data, line = "message", "", b""
    async for block in stream.iter_any():
        *lines, line = (line + block).split(b"\n")
        for raw in lines:
            field, _, value = raw.rstrip(b"\r").decode("utf-8", "replace").partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data += value
            elif not field and not value and data:
                yield name, data
                name, data = "message", ""
