"""Controls besides messages: keys, interrupts, answers.

Calls of the same kind run in order, and return once clients see the effect.
"""

from __future__ import annotations

import asyncio

from agentapi.agents.driver import Driver
from agentapi.model.conversation import Phase, PhaseState
from agentapi.model.errors import SendError
from agentapi.session.outbox import run_in_order
from agentapi.session.question import OpenQuestion

INTERRUPT_LIMIT = 10.0
"""Seconds to wait for the end of an interrupted turn."""


class Controls:
    """The manual controls of one agent. Call `on_phase` with each phase."""

    def __init__(self, driver: Driver, question: OpenQuestion) -> None:
        self._driver, self._question = driver, question
        self._phase = PhaseState(Phase.STARTING, "not started yet")
        self._turn_ended = asyncio.Event()  # set, and replaced, in each phase outside a turn
        # These keep callers in order; they guard no state.
        self._typing = asyncio.Lock()
        self._answering = asyncio.Lock()
        self._interrupting = asyncio.Lock()

    def on_phase(self, state: PhaseState) -> None:
        """Set the agent's phase."""
        self._phase = state
        if state.phase not in (Phase.WORKING, Phase.BLOCKED):
            self._turn_ended.set()
            self._turn_ended = asyncio.Event()

    async def type(self, keys: str) -> None:
        """Write keystrokes unchanged."""
        await run_in_order(self._typing, lambda: self._driver.keys(keys))

    async def interrupt(self) -> None:
        """Stop the agent's turn, and return once it has ended; see `AgentSession.interrupt`."""
        await run_in_order(self._interrupting, self._interrupt_now)

    async def _interrupt_now(self) -> None:
        ended = self._turn_ended  # the next turn may have begun before we look again
        await self._driver.interrupt()
        if self._phase.phase is not Phase.WORKING:
            return
        try:
            await asyncio.wait_for(ended.wait(), INTERRUPT_LIMIT)
        except TimeoutError:
            reason = f"the agent still works ({self._phase.reason})"
            raise SendError("interrupt", reason) from None

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        """Answer the open dialog, and return once it is gone; see `AgentSession.answer`."""
        await run_in_order(self._answering, lambda: self._answer_now(dialog_id, choice_id))

    async def _answer_now(self, dialog_id: str, choice_id: str) -> None:
        await self._driver.answer(dialog_id, choice_id)
        await self._question.wait_closed(dialog_id)
