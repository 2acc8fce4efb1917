"""What may run beside a program on a terminal, and knows more of its turns than the screen shows.

The driver asks its companion before it acts on its own: to send, to interrupt, to answer, and
before it publishes that a turn is over. `Alone` has no opinion; Codex's app-server has
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
    """What a companion may use of the driver it was attached to."""

    tracker: Tracker

    @property
    def phase(self) -> Phase:
        """The agent's phase."""

    def catch_up(self) -> None:
        """Read what the program has written up to now. Raises `SendError`."""

    def read(self) -> None:
        """Publish what the last frame adds to the conversation."""

    def evaluate(self) -> None:
        """Act on what the tracker knows now."""

    def open_turn(self, text: str, reason: str) -> None:
        """Publish a sent message: its turn began."""

    def settle_anew(self) -> None:
        """Let the settling time begin again, at its length of now."""

    def end_published(self) -> bool:
        """Whether the end of the turn was published."""

    def publish(self, event: DriverEvent) -> None:
        """Pass an event on as it is."""

    def wake(self) -> None:
        """Let those who wait (`until`) look again."""

    async def until(self, condition: Callable[[], bool], limit: float) -> bool:
        """Wait until a condition holds, for `limit` seconds at most."""


class Companion(Protocol):
    """Stands beside one driver."""

    def attach(self, driver: Driven) -> None:
        """The driver that asks from now on."""

    # -- instead of keys: each returns False where it must be done by keys

    async def send(self, text: str) -> bool:
        """Send a message without typing it; return once its turn began. Raises `SendError`."""

    async def interrupt(self) -> bool:
        """End the turn without a key. Raises `SendError`."""

    async def answer(self, dialog_id: str, choice_id: str) -> bool:
        """Answer the open dialog without a key. Raises `LookupError` and `SendError`."""

    # -- what it hears

    def recorded(self, entries: Sequence[Entry]) -> None:
        """The agent's record was read on."""

    def evaluated(self) -> None:
        """The tracker learned something, on which the driver has not acted yet."""

    # -- what it knows better

    @property
    def settling_time(self) -> float | None:
        """Seconds for which the first readiness must last; None: as long as the profile says."""

    @property
    def holds_phase(self) -> bool:
        """Whether a change of the phase must not be published yet."""

    def end_shown(self) -> bool:
        """Whether the screen shows all that was said in the turn that is over."""

    @property
    def patience(self) -> float | None:
        """Seconds without a new frame after which the screen is taken to be complete; None: as
        long as the agent's record says."""

    def exact(self, text: str) -> str:
        """A user message as it was typed, for what the screen shows of it."""


class Alone:
    """No companion: everything is typed, and read off the screen."""

    settling_time: float | None = None
    patience: float | None = None
    holds_phase = False

    def attach(self, driver: Driven) -> None:
        """Nothing to do."""

    async def send(self, text: str) -> bool:
        """It must be typed."""
        return False

    async def interrupt(self) -> bool:
        """It takes a key."""
        return False

    async def answer(self, dialog_id: str, choice_id: str) -> bool:
        """It takes a key."""
        return False

    def recorded(self, entries: Sequence[Entry]) -> None:
        """The driver reads it itself."""

    def evaluated(self) -> None:
        """Nothing to add."""

    def end_shown(self) -> bool:
        """Only the screen shows it."""
        return False

    def exact(self, text: str) -> str:
        """What the screen shows is all that is known."""
        return text
