"""Codex's app-server protocol: JSON-RPC over a WebSocket on a Unix socket.

Each message is one JSON text frame, without the `jsonrpc` member. Both sides send requests: ours
wait for their responses with a deadline, the server's go to `on_request` and are answered by
`respond`, if ever. Messages are dispatched in order, on the event loop; invalid ones are dropped
and logged, once for each reason.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

CALL_LIMIT = 5.0
"""Seconds after which a server that has not responded (3 to 60 ms measured) is pinged, and the
timeout of that ping."""
SLOW_LIMIT = 30.0
"""Seconds that a live server may take to respond: a long session, a busy machine."""
PING = "thread/loaded/list"
"""A request that a live server answers at once."""
MAX_MESSAGE = 512 << 20
"""Bytes of one message: a resumed thread comes with its whole history."""
CLOSE_LIMIT = 0.5
"""Seconds that the server may take for the closing handshake."""

log = logging.getLogger(__name__)

RequestId = int | str
Json = dict[str, Any]


class RpcError(Exception):
    """The server refused a request."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message}")
        self.method, self.code, self.message = method, code, message


class RpcLost(OSError):
    """The connection is closed, or the server does not respond."""


class RpcConnection:
    """One connection, from `connect` to `close` or `on_lost`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        socket: aiohttp.ClientWebSocketResponse,
        on_notification: Callable[[str, Json], None],
        on_request: Callable[[RequestId, str, Json], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._session, self._socket = session, socket
        self._on_notification, self._on_request = on_notification, on_request
        self._on_lost = on_lost
        self._ids = itertools.count(1)
        self._waiting: dict[RequestId, asyncio.Future[Any]] = {}
        self._dropped: set[str] = set()
        self._lost = ""
        self._reader = asyncio.create_task(self._read(), name="codex link: read")

    @classmethod
    async def connect(
        cls,
        path: Path,
        *,
        on_notification: Callable[[str, Json], None],
        on_request: Callable[[RequestId, str, Json], None],
        on_lost: Callable[[str], None],
    ) -> RpcConnection:
        """Connect to the server's socket. Raises `OSError`.

        The callbacks take a notification's method and parameters, a request's id, method and
        parameters, and, once, why the connection was lost (not after `close`)."""
        session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)))
        try:
            socket = await session.ws_connect(
                "http://localhost/",
                max_msg_size=MAX_MESSAGE,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_LIMIT),
            )
        except BaseException as error:
            await session.close()
            if isinstance(error, aiohttp.ClientError) and not isinstance(error, OSError):
                raise RpcLost(f"no WebSocket: {error}") from error
            raise
        return cls(session, socket, on_notification, on_request, on_lost)

    async def call(self, method: str, params: Json) -> Any:
        """Send a request and return its result, within `SLOW_LIMIT` seconds while the server is
        alive. Raises `RpcError`, `RpcLost`."""
        calling = asyncio.create_task(self._call(method, params, SLOW_LIMIT))
        try:
            await asyncio.wait((calling,), timeout=CALL_LIMIT)
            if not calling.done() and not await self._is_alive() and not calling.done():
                raise RpcLost(
                    f"{method} was not answered within {CALL_LIMIT:g} s, nor {PING} after that"
                )
            return await calling
        finally:
            calling.cancel()

    async def _is_alive(self) -> bool:
        try:
            await self._call(PING, {}, CALL_LIMIT)
        except RpcLost:
            return False
        except RpcError:
            pass
        return True

    async def _call(self, method: str, params: Json, limit: float) -> Any:
        number = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(limit):
                await self._send({"id": number, "method": method, "params": params})
                return await answer
        except TimeoutError:
            raise RpcLost(f"{method} was not answered within {limit:g} s") from None
        except RpcError as error:
            raise RpcError(method, error.code, error.message) from None
        finally:
            self._waiting.pop(number, None)

    async def notify(self, method: str) -> None:
        """Send a notification. Raises `RpcLost`."""
        await self._send({"method": method})

    async def respond(self, number: RequestId, result: Json) -> None:
        """Respond to a request of the server. Raises `RpcLost`."""
        await self._send({"id": number, "result": result})

    async def close(self) -> None:
        """Close the connection; pending calls fail. Idempotent."""
        self._lost = self._lost or "closed"
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        self._fail_all()
        await self._socket.close()
        await self._session.close()

    async def _send(self, message: Json) -> None:
        if self._lost:
            raise RpcLost(self._lost)
        try:
            await self._socket.send_str(json.dumps(message, ensure_ascii=False))
        except (OSError, aiohttp.ClientError) as error:
            raise RpcLost(f"the connection broke: {error}") from error

    async def _read(self) -> None:
        reason = "the app-server closed the connection"
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self._dispatch_safely(message.data)
            elif message.type is aiohttp.WSMsgType.ERROR:
                reason = f"the connection broke: {message.data}"
            else:
                self._note_dropped(f"a frame of type {message.type.name}", "")
        self._lost = reason
        self._fail_all()
        self._on_lost(reason)

    def _fail_all(self) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(RpcLost(self._lost))

    def _dispatch_safely(self, text: str) -> None:
        """Dispatch a message and log any exception: without the messages after it a turn would
        never end."""
        try:
            self._dispatch(text)
        except Exception:
            log.exception("codex link: a message could not be dealt with: %.200r", text)

    def _dispatch(self, text: str) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            self._note_dropped(f"not JSON ({type(error).__name__})", text)
            return
        if not isinstance(message, dict):
            self._note_dropped("not an object", text)
            return
        number, method, params = message.get("id"), message.get("method"), message.get("params")
        if isinstance(method, str):
            params = params if isinstance(params, dict) else {}
            if isinstance(number, int | str):
                self._on_request(number, method, params)
            else:
                self._on_notification(method, params)
        elif not isinstance(number, int | str):
            self._note_dropped("neither a request nor an answer", text)
        elif (answer := self._waiting.get(number)) is not None:  # else it came too late
            _settle(answer, message)

    def _note_dropped(self, problem: str, text: str) -> None:
        if problem not in self._dropped:
            self._dropped.add(problem)
            log.warning("codex link: dropped a message: %s: %.200r", problem, text)


def _settle(answer: asyncio.Future[Any], message: Json) -> None:
    if answer.done():
        return
    error = message.get("error")
    if not isinstance(error, dict):
        answer.set_result(message.get("result"))
        return
    code = error.get("code")
    text = str(error.get("message") or "refused without a reason")
    answer.set_exception(RpcError("", code if isinstance(code, int) else 0, text))
