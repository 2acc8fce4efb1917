"""Companion of a terminal program, which knows more of its turns than the screen shows.

The driver consults its companion before it sends, interrupts, answers, or publishes the end of a
turn. `NoCompanion` does nothing; the other one talks to Codex's app-server
(`agentapi.agents.codex.link.companion`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from agentapi.conversation.tracker import Tracker
from agentapi.model.conversation import Phase
from agentapi.model.events import DriverEvent
from agentapi.model.items import Entry


class Driven(Protocol):
    """The part of the driver that a companion uses."""

    tracker: Tracker

    @property
    def phase(self) -> Phase:
        """The agent's phase."""

    def catch_up(self) -> None:
        """Read what the program has written up to now. Raises `SendError`."""

    def read(self) -> None:
        """Publish the changes in the last frame."""

    def evaluate(self) -> None:
        """Act on the current state of the tracker."""

    def open_turn(self, text: str, reason: str) -> None:
        """Publish a sent message whose turn began."""

    def restart_settling(self) -> None:
        """Restart the settling time with its current length."""

    def end_published(self) -> bool:
        """Whether the end of the turn was published."""

    def publish(self, event: DriverEvent) -> None:
        """Forward an event unchanged."""

    def wake(self) -> None:
        """Make pending `until` calls check their condition again."""

    async def until(self, condition: Callable[[], bool], limit: float) -> bool:
        """Wait until a condition holds, for `limit` seconds at most."""


class Companion(Protocol):
    """Companion of one driver."""

    def attach(self, driver: Driven) -> None:
        """Set the driver that will use this companion."""

    # -- actions without keys: each returns False if keys are needed

    async def send(self, text: str) -> bool:
        """Send a message without typing it; return once its turn began. Raises `SendError`."""

    async def interrupt(self) -> bool:
        """End the turn without a key. Raises `SendError`."""

    async def answer(self, dialog_id: str, choice_id: str) -> bool:
        """Answer the open dialog without a key. Raises `LookupError` and `SendError`."""

    # -- notifications

    def recorded(self, entries: Sequence[Entry]) -> None:
        """Take new entries of the agent's record."""

    def evaluated(self) -> None:
        """Handle a tracker change that the driver has not acted on yet."""

    # -- additional knowledge

    @property
    def settling_time(self) -> float | None:
        """Seconds for which the first readiness must last; None: the profile decides."""

    @property
    def holds_phase(self) -> bool:
        """Whether a change of the phase must not be published yet."""

    def end_displayed(self) -> bool:
        """Return whether the screen shows the whole message of the finished turn."""

    @property
    def patience(self) -> float | None:
        """Seconds without a new frame after which the screen is assumed to be complete; None: the
        agent's record decides."""

    def original_text(self, text: str) -> str:
        """Return a displayed user message as it was typed."""


class NoCompanion:
    """No companion: everything is typed, and read from the screen."""

    settling_time: float | None = None
    patience: float | None = None
    holds_phase = False

    def attach(self, driver: Driven) -> None:
        """Do nothing."""

    async def send(self, text: str) -> bool:
        """Return False: it must be typed."""
        return False

    async def interrupt(self) -> bool:
        """Return False: it takes a key."""
        return False

    async def answer(self, dialog_id: str, choice_id: str) -> bool:
        """Return False: it takes a key."""
        return False

    def recorded(self, entries: Sequence[Entry]) -> None:
        """Do nothing: the driver reads them itself."""

    def evaluated(self) -> None:
        """Do nothing."""

    def end_displayed(self) -> bool:
        """Return False: only the screen shows it."""
        return False

    def original_text(self, text: str) -> str:
        """Return the displayed text unchanged."""
        return text
