"""What clients do to the agent besides sending it messages: keys, an interrupt, an answer.

Each kind goes in the order of the calls, and returns when clients see its effect, too.
"""

from __future__ import annotations

import asyncio

from agentapi.agents.driver import Driver
from agentapi.model.conversation import Phase, PhaseState
from agentapi.model.errors import SendError
from agentapi.session.outbox import in_turn
from agentapi.session.question import OpenQuestion

INTERRUPT_LIMIT = 10.0
"""Seconds that an interrupted turn has to be over in our eyes, too."""


class Controls:
    """Drives one agent by hand. Call `follow` with each phase."""

    def __init__(self, driver: Driver, question: OpenQuestion) -> None:
        self._driver, self._question = driver, question
        self._phase = PhaseState(Phase.STARTING, "not started yet")
        self._turn_over = asyncio.Event()  # set, and replaced, in a phase that is no part of one
        # Callers in the order they came, not guards of state: nothing else waits here.
        self._typing = asyncio.Lock()
        self._answering = asyncio.Lock()
        self._interrupting = asyncio.Lock()

    def follow(self, state: PhaseState) -> None:
        """The agent's phase is this now."""
        self._phase = state
        if state.phase not in (Phase.WORKING, Phase.BLOCKED):
            self._turn_over.set()
            self._turn_over = asyncio.Event()

    async def type(self, keys: str) -> None:
        """Write keystrokes as they are."""
        await in_turn(self._typing, lambda: self._driver.keys(keys))

    async def interrupt(self) -> None:
        """Stop the agent's turn, and return once it is over; see `AgentSession.interrupt`."""
        await in_turn(self._interrupting, self._interrupt_now)

    async def _interrupt_now(self) -> None:
        over = self._turn_over  # the next turn may have begun before we look again
        await self._driver.interrupt()
        if self._phase.phase is not Phase.WORKING:
            return
        try:
            await asyncio.wait_for(over.wait(), INTERRUPT_LIMIT)
        except TimeoutError:
            reason = f"the agent still works ({self._phase.because})"
            raise SendError("interrupt", reason) from None

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        """Answer the open dialog, and return once it is gone; see `AgentSession.answer`."""
        await in_turn(self._answering, lambda: self._answer_now(dialog_id, choice_id))

    async def _answer_now(self, dialog_id: str, choice_id: str) -> None:
        await self._driver.answer(dialog_id, choice_id)
        await self._question.decided(dialog_id)
