"""Find the app-server's thread that the TUI works on, and subscribe to its items.

The TUI's thread is the last one opened that is neither hidden (ephemeral threads, in which Codex
generates titles) nor another thread's child. A new thread is announced. A resumed one shows by its
status, which every client gets, and is then read. A thread that is already loaded, as after
`/resume` back to it, shows by new notifications. Only subscribers get its items, and the server
refuses a subscription before the first turn: it is tried when the thread is found, and again when
a turn starts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agentapi.agents.codex.link.rpc import RpcError, RpcLost

SUBSCRIBE_PAUSE = 0.015
"""Seconds between two tries to subscribe to a thread whose first turn has just started."""
SUBSCRIBE_TRIES = 40

log = logging.getLogger(__name__)

Json = Mapping[str, Any]


class FollowedThread:
    """The TUI's thread. `call` calls the app-server, `on_followed` gets each thread that the TUI
    switches to, `on_subscribed` the response to a subscription and whether its turns are new."""

    def __init__(
        self,
        call: Callable[[str, dict[str, Any]], Awaitable[Any]],
        on_followed: Callable[[Json], None],
        on_subscribed: Callable[[object, bool], None],
    ) -> None:
        self._call, self._on_followed, self._on_subscribed = call, on_followed, on_subscribed
        self.id: str | None = None
        """The followed thread's id, which is the session's."""
        self._known: set[str] = set()
        self._own: dict[str, Json] = {}
        """The descriptions of the threads that the TUI opened, by id."""
        self._with_turn: set[str] = set()
        """The threads that have a turn."""
        self._subscribed: str | None = None
        self._tries = 0
        """How often to try the subscription again."""
        self._new = False
        """Whether it is for a turn that started while following: its items so far are new."""
        self._subscribing: asyncio.Task[None] | None = None
        self._reading: set[asyncio.Task[None]] = set()

    @property
    def resumable(self) -> bool:
        """Whether the thread has a turn, without which it cannot be resumed."""
        return self.id in self._with_turn

    def turn_started(self) -> None:
        """Record that the followed thread has a turn."""
        if self.id is not None:
            self._with_turn.add(self.id)

    def opened(self, thread: object) -> bool:
        """Follow a thread that was opened if it is the TUI's; return False for invalid data."""
        if not isinstance(thread, dict) or not isinstance(thread.get("id"), str):
            return False
        self._known.add(thread["id"])
        if thread.get("ephemeral") is not True and not thread.get("parentThreadId"):
            self._own[thread["id"]] = thread
            self._follow(thread)
        return True

    def reopened(self, thread: object) -> None:
        """Follow this thread again if the TUI had left it."""
        if thread != self.id and isinstance(thread, str) and thread in self._own:
            self._follow({**self._own[thread], "status": {"type": "idle"}})

    def _follow(self, thread: Json) -> None:
        self.id = thread["id"]
        self._subscribed, self._tries, self._new = None, 0, False
        self._on_followed(thread)

    def identify(self, thread: object) -> bool:
        """Read an unknown thread, and follow it if it is the TUI's. False for a known one."""
        if not isinstance(thread, str) or thread in self._known:
            return False
        self._known.add(thread)
        task = asyncio.create_task(self._read(thread), name="codex link: read thread")
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)
        return True

    async def _read(self, thread: str) -> None:
        try:
            answer = await self._call("thread/read", {"threadId": thread})
        except RpcError as error:
            log.info("codex link: %s", error)
        except RpcLost:
            return
        else:
            self._with_turn.add(thread)
            self.opened(answer.get("thread") if isinstance(answer, dict) else None)

    def subscribe(self, *, once: bool = False) -> None:
        """Subscribe to the thread's items, if not done; `once`: no turn is starting."""
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
                # A first turn may have started or ended by now: the response has missed items.
                params = {"threadId": thread, "excludeTurns": not new}
                answer = await self._call("thread/resume", params)
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
        """Cancel all requests."""
        for task in (self._subscribing, *self._reading):
            if task is not None:
                task.cancel()
