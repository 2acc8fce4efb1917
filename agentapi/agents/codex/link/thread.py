"""Which of the app-server's threads the TUI works on, and the subscription to its items.

The thread that the TUI opened is followed: the last one that is neither hidden (ephemeral: Codex
asks for titles in such) nor another thread's child. A new one is announced; a resumed one is known
by its status, which comes to every client, and then asked for. One that the server has loaded
already, as when a person goes back to it with `/resume`, is known by what is told of it again. Its
items come only to a subscriber, and subscribing is refused until the thread has its first turn, so
that it is tried when the thread is known and again when a turn begins.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agentapi.agents.codex.link.rpc import RpcError, RpcLost

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
        self._known: set[str] = set()
        self._own: dict[str, Json] = {}
        """Those of the known threads that the TUI opened, as they were described."""
        self._begun: set[str] = set()
        """Those that have a turn."""
        self._subscribed: str | None = None
        self._tries = 0
        """How often the subscription is still to be asked for."""
        self._new = False
        """Whether it is for a turn that began here: what it told so far is news."""
        self._subscribing: asyncio.Task[None] | None = None
        self._looking: set[asyncio.Task[None]] = set()

    @property
    def resumable(self) -> bool:
        """Whether the thread has a turn: only then it can be resumed."""
        return self.id in self._begun

    def begin(self) -> None:
        """The thread has a turn."""
        if self.id is not None:
            self._begun.add(self.id)

    def opened(self, thread: object) -> bool:
        """A thread was opened: follow it if it is the TUI's. False when this is no thread."""
        if not isinstance(thread, dict) or not isinstance(thread.get("id"), str):
            return False
        self._known.add(thread["id"])
        if thread.get("ephemeral") is not True and not thread.get("parentThreadId"):
            self._own[thread["id"]] = thread
            self._follow(thread)
        return True

    def used(self, thread: object) -> None:
        """The TUI does something with this thread, which may be one that it left before."""
        if thread != self.id and isinstance(thread, str) and thread in self._own:
            self._follow({**self._own[thread], "status": {"type": "idle"}})

    def _follow(self, thread: Json) -> None:
        self.id = thread["id"]
        self._subscribed, self._tries, self._new = None, 0, False
        self._followed(thread)

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
            self._begun.add(thread)
            self.opened(answer.get("thread") if isinstance(answer, dict) else None)

    def subscribe(self, *, once: bool = False) -> None:
        """Ask for the thread's items, unless they come already; `once`: no turn begins just now."""
        if self._subscribed == self.id:
            return
        self._tries = max(self._tries, 1 if once else SUBSCRIBE_TRIES)
        self._new = self._new or not once
        if self._subscribing is None or self._subscribing.done():
            self._subscribing = asyncio.create_task(
                self._try_to_subscribe(), name="codex link: subscribe"
            )

    async def _try_to_subscribe(self) -> None:
        while self._tries:
            self._tries -= 1
            thread, new = self.id, self._new
            try:
                # A first turn may have begun, or be over, by now: the answer has what was missed.
                params = {"threadId": thread, "excludeTurns": not new}
                answer = await self._ask("thread/resume", params)
            except RpcError as error:
                if self._tries:
                    await asyncio.sleep(SUBSCRIBE_PAUSE)
                elif new:
                    log.warning("codex link: no items of this turn: %s", error)
            except RpcLost:
                return
            else:
                if thread == self.id:
                    self._subscribed, self._tries = thread, 0
                    self._on_subscribed(answer, new)

    def stop(self) -> None:
        """Ask nothing any more."""
        for task in (self._subscribing, *self._looking):
            if task is not None:
                task.cancel()
