"""Which of the app-server's threads the TUI works on, and the subscription to its items.

The thread that the TUI opened is followed: the last one that is neither hidden (ephemeral: Codex
asks for titles in such) nor another thread's child. A new one is announced; a resumed one is known
by its status, which comes to every client, and then asked for. Its items come only to a subscriber,
and subscribing is refused until the thread has its first turn, so that it is tried when the thread
is known and again when a turn begins.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agentapi.codex.rpc import RpcError, RpcLost

SUBSCRIBE_PAUSE = 0.015
"""Seconds between two tries to subscribe to a thread whose first turn has just begun."""
SUBSCRIBE_TRIES = 40

log = logging.getLogger(__name__)

Json = Mapping[str, Any]


class FollowedThread:
    """The TUI's thread. `ask` calls the app-server, `followed` is told each thread that is the
    TUI's from now on, `subscribed` the server's answer to a subscription and whether the turns in
    it are new."""

    def __init__(
        self,
        ask: Callable[[str, dict[str, Any]], Awaitable[Any]],
        followed: Callable[[Json], None],
        subscribed: Callable[[object, bool], None],
    ) -> None:
        self._ask, self._followed, self._on_subscribed = ask, followed, subscribed
        self.id: str | None = None
        """The followed thread's id, which is the session's."""
        self.resumable = False
        """Whether the session has a turn: only then it can be resumed."""
        self._known: set[str] = set()
        self._subscribed: str | None = None
        self._subscribing: asyncio.Task[None] | None = None
        self._looking: set[asyncio.Task[None]] = set()

    def opened(self, thread: object) -> bool:
        """A thread was opened: follow it if it is the TUI's. False when this is no thread."""
        if not isinstance(thread, dict) or not isinstance(thread.get("id"), str):
            return False
        self._known.add(thread["id"])
        if thread.get("ephemeral") is not True and not thread.get("parentThreadId"):
            self.id = thread["id"]
            self._followed(thread)
        return True

    def look_at(self, thread: object) -> bool:
        """A thread does something: if nobody announced it, see whose it is. False when it was
        looked at before, followed or not."""
        if not isinstance(thread, str) or thread in self._known:
            return False
        self._known.add(thread)
        task = asyncio.create_task(self._read(thread), name="codex link: look")
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)
        return True

    async def _read(self, thread: str) -> None:
        try:
            answer = await self._ask("thread/read", {"threadId": thread})
        except RpcError as error:
            log.info("codex link: %s", error)
        except RpcLost:
            return
        else:
            self.resumable = True
            self.opened(answer.get("thread") if isinstance(answer, dict) else None)

    def subscribe(self, *, once: bool = False) -> None:
        """Ask for the thread's items, unless they come already or are being asked for."""
        if self._subscribed == self.id:
            return
        if self._subscribing is None or self._subscribing.done():
            tries = 1 if once else SUBSCRIBE_TRIES
            self._subscribing = asyncio.create_task(
                self._try_to_subscribe(tries), name="codex link: subscribe"
            )

    async def _try_to_subscribe(self, tries: int) -> None:
        thread = self.id
        for remaining in range(tries - 1, -1, -1):
            if thread != self.id:
                return
            try:
                # A first turn may have begun, or be over, by now: the answer has what was missed.
                params = {"threadId": thread, "excludeTurns": tries == 1}
                answer = await self._ask("thread/resume", params)
            except RpcError as error:
                if remaining:
                    await asyncio.sleep(SUBSCRIBE_PAUSE)
                elif tries > 1:
                    log.warning("codex link: no items of this turn: %s", error)
            except RpcLost:
                return
            else:
                self._subscribed = thread
                self._on_subscribed(answer, tries > 1)
                return

    def stop(self) -> None:
        """Ask nothing any more."""
        for task in (self._subscribing, *self._looking):
            if task is not None:
                task.cancel()
