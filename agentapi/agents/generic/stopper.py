"""Stops a turn by the key that a person would press, and sees it stop.

Between turns nothing happens: there the same key may mean something else. A question is refused by
the same key; then some turns end, though not at once in our eyes, and others go on, to ask the next
one or to work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from agentapi.conversation.profile import AgentProfile
from agentapi.conversation.tracker import Tracker
from agentapi.model.conversation import STARTUP_DIALOGS, Phase
from agentapi.model.errors import SendError
from agentapi.terminal import LineMode

CTRL_C = b"\x03"
INTERRUPT_AGAIN = 1.0
"""Seconds after which a turn that goes on is interrupted once more: in its first moments Codex
drops the key, and does not heed a call."""
INTERRUPT_LIMIT = 5.0
"""Seconds that an interrupted agent has to stop its turn."""
REFUSALS = 8
"""How many questions of one turn an interrupt refuses, one after the other."""
CLOSE_LIMIT = 5.0
"""Seconds that a question has to close after it was refused."""
REFUSED_LIMIT = 1.0
"""Seconds that a turn has to end after a question of it was refused; else it goes on."""


class Running(Protocol):
    """The program on the terminal."""

    profile: AgentProfile
    tracker: Tracker

    @property
    def phase(self) -> Phase: ...
    @property
    def line_mode(self) -> LineMode: ...
    def end_published(self) -> bool: ...
    def write(self, data: bytes) -> None: ...
    async def rest(self) -> None: ...
    async def until(self, condition: Callable[[], bool], limit: float) -> bool: ...


class Stopper:
    """Presses the keys."""

    def __init__(self, program: Running) -> None:
        self._program = program

    async def interrupt(self) -> None:
        """End the turn, if there is one, and return when its end was told or is not to be had.

        Raises `SendError` when a question of it stays open."""
        program = self._program
        asked = program.tracker.state.dialog
        refused = 0
        while refused < REFUSALS and program.phase is Phase.BLOCKED and await self._refuse():
            refused += 1
        if program.phase is Phase.WORKING:
            if not refused or program.tracker.reading.working:
                self._press()
            await program.until(self._stopped_or_asked_again, INTERRUPT_AGAIN)
            if not self._stopped():
                if program.phase is Phase.WORKING and program.tracker.screen.shows_work:
                    self._press()
                await program.until(self._stopped, INTERRUPT_LIMIT)
        elif refused:
            await program.until(program.end_published, INTERRUPT_LIMIT)
        elif asked is not None and program.tracker.screen.is_still_open(asked):
            raise SendError("interrupt", f"the question stays open: {asked.title}")

    def _stopped(self) -> bool:
        """A question that opens in the same moment is a stop, too."""
        return self._program.end_published() or self._program.phase is Phase.BLOCKED

    def _stopped_or_asked_again(self) -> bool:
        """Some programs want the key twice, and say so for a second (`esc again to interrupt`)."""
        return self._stopped() or self._program.tracker.screen.wants_second_key

    async def _refuse(self) -> bool:
        """Refuse the open question of a turn, and see what becomes of the turn. One of the start
        (trust, login) belongs to none, and the key might end the agent, as it might on a screen
        that offers no choices."""
        program = self._program
        await program.rest()
        dialog = program.tracker.state.dialog
        if dialog is None or dialog.kind in STARTUP_DIALOGS:
            return False
        if not dialog.choices and not self._terminals_key and not program.tracker.screen.foreign:
            return False
        if not program.tracker.fusion.started:
            return False
        self._press()
        if not await program.until(lambda: program.tracker.state.dialog != dialog, CLOSE_LIMIT):
            return False
        await program.until(program.end_published, REFUSED_LIMIT)
        return True

    def _press(self) -> None:
        """The agent's key; of a program of which nothing is known the terminal's own one, where
        that would interrupt it, and where another one took over the screen: that ends `top`."""
        program = self._program
        foreign = program.tracker.screen.foreign
        key = CTRL_C if foreign else program.profile.interrupt_key.encode()
        program.write(self._terminals_key or key)

    @property
    def _terminals_key(self) -> bytes:
        heeded = self._program.tracker.screen.heeds_terminal_key
        return self._program.line_mode.interrupt if heeded else b""
