"""Wait for driver events and the exit of a process, without sleeping."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TypeVar

from agentapi.model.conversation import Dialog, Phase
from agentapi.model.events import (
    AgentText,
    DriverEvent,
    Exited,
    NoticeRaised,
    PhaseChanged,
    UserText,
)

Event = TypeVar("Event", bound=DriverEvent)
PATIENCE = 30.0
"""Seconds after which a test gives up waiting."""


class Watch:
    """A sink for `Driver.start`."""

    def __init__(self) -> None:
        self.events: list[DriverEvent] = []
        self._arrived = asyncio.Event()

    def __call__(self, event: DriverEvent) -> None:
        self.events.append(event)
        self._arrived.set()

    def of(self, kind: type[Event]) -> list[Event]:
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds, checked after every event."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise AssertionError(f"waited in vain; the events were {self.events}") from None

    @property
    def phase(self) -> Phase | None:
        """The last phase that was reported."""
        changes = self.of(PhaseChanged)
        return changes[-1].state.phase if changes else None

    async def idle(self) -> None:
        """Wait for the phase idle."""
        await self.until(lambda: self.phase is Phase.IDLE)

    async def blocked(self) -> Dialog:
        """Wait for a dialog."""
        await self.until(lambda: self.phase is Phase.BLOCKED)
        dialog = self.of(PhaseChanged)[-1].state.dialog
        assert dialog is not None
        return dialog

    async def exited(self) -> Exited:
        """Wait for the agent's end."""
        await self.until(lambda: bool(self.of(Exited)))
        assert isinstance(self.events[-1], Exited)
        return self.events[-1]

    @property
    def text(self) -> str:
        """The agent's message after the last user message."""
        answer = ""
        for event in self.events:
            match event:
                case UserText():
                    answer = ""
                case AgentText(text):
                    answer = text
        return answer

    @property
    def notices(self) -> list[str]:
        """All notices so far."""
        return [event.message for event in self.of(NoticeRaised)]


async def gone(pidfd: int) -> None:
    """Wait for the end of the process behind a pidfd."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(pidfd, ended.set)
    try:
        async with asyncio.timeout(10):
            await ended.wait()
    finally:
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
