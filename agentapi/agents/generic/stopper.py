"""Interrupt a turn with the key that a person would press, and wait until it stops.

Between turns nothing is pressed, as the key may mean something else. The same key refuses a
question. Some turns then end, after a delay; others continue with more work or another question.
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
"""Seconds after which a running turn is interrupted again: in the first moments of a turn Codex
ignores both the key and the call."""
INTERRUPT_LIMIT = 5.0
"""Seconds that an interrupted agent has to stop its turn."""
REFUSALS = 8
"""Maximum number of questions that one interrupt refuses."""
CLOSE_LIMIT = 5.0
"""Seconds that a refused question has to close."""
REFUSED_LIMIT = 1.0
"""Seconds that a turn has to end after a refused question; otherwise it continues."""


class Running(Protocol):
    """The running program, as the stopper uses it."""

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
    """Interrupts one program."""

    def __init__(self, program: Running) -> None:
        self._program = program

    async def interrupt(self) -> None:
        """End the turn, if any; return once its end was published or the time is up.

        Raises `SendError` if a question stays open."""
        program = self._program
        asked = program.tracker.state.dialog
        refused = 0
        while refused < REFUSALS and program.phase is Phase.BLOCKED and await self._refuse():
            refused += 1
        if program.phase is Phase.WORKING:
            if not refused or program.tracker.reading.working:
                self._press()
            await program.until(self._stopped_or_needs_key, INTERRUPT_AGAIN)
            if not self._stopped():
                if program.phase is Phase.WORKING and program.tracker.screen.shows_work:
                    self._press()
                await program.until(self._stopped, INTERRUPT_LIMIT)
        elif refused:
            await program.until(program.end_published, INTERRUPT_LIMIT)
        elif asked is not None and program.tracker.screen.is_still_open(asked):
            raise SendError("interrupt", f"the question stays open: {asked.title}")

    def _stopped(self) -> bool:
        """Return whether the turn ended, or was blocked by a question in the same moment."""
        return self._program.end_published() or self._program.phase is Phase.BLOCKED

    def _stopped_or_needs_key(self) -> bool:
        """Also True while the program asks for the key again (`esc again to interrupt`, for 1
        s)."""
        return self._stopped() or self._program.tracker.screen.wants_second_key

    async def _refuse(self) -> bool:
        """Refuse the open question of a turn, and give the turn time to end. Start-up questions
        (trust, login) belong to no turn, and the key might end the agent there, as it might on a
        screen without choices."""
        program = self._program
        await program.rest()
        dialog = program.tracker.state.dialog
        if dialog is None or dialog.kind in STARTUP_DIALOGS:
            return False
        if not dialog.choices and not self._terminal_key and not program.tracker.screen.foreign:
            return False
        if not program.tracker.fusion.started:
            return False
        self._press()
        if not await program.until(lambda: program.tracker.state.dialog != dialog, CLOSE_LIMIT):
            return False
        await program.until(program.end_published, REFUSED_LIMIT)
        return True

    def _press(self) -> None:
        """Press the agent's interrupt key. For unknown programs, and where another program took
        over the screen (`top`), that is the terminal's own key if it interrupts."""
        program = self._program
        foreign = program.tracker.screen.foreign
        key = CTRL_C if foreign else program.profile.interrupt_key.encode()
        program.write(self._terminal_key or key)

    @property
    def _terminal_key(self) -> bytes:
        heeded = self._program.tracker.screen.heeds_terminal_key
        return self._program.line_mode.interrupt if heeded else b""
