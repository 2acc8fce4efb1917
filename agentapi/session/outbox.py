"""Sends user messages: in order, the initial prompt and the queue when the agent is idle.

Clients' messages go to the driver one at a time, and the driver decides whether the agent takes
them. The outbox itself refuses them only for the order: before the end of the last turn is
published, or the initial prompt is sent.

The initial prompt is sent once, when the agent is first idle. Until then the status is `running`,
except during a dialog, which the user must answer. If the agent becomes busy or opens a dialog in
the meantime, the prompt waits for the next idle phase. If it was typed and did not arrive, clients
get a notice, it is not typed again in this run, and it is saved as not sent.

Queued messages (`queue.py`) follow, one whenever the agent is idle and no other message is being
sent; the status is `stable` in between. A failed one is reported by a notice and holds up the
others. A message that a client sends directly goes first if the agent is idle.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from agentapi.agents.driver import Driver
from agentapi.conversation.question import question_text
from agentapi.model.conversation import Level, Phase, PhaseState
from agentapi.model.errors import Busy, DialogOpen, SendError
from agentapi.session.history import History
from agentapi.session.prompt import BLANK, InitialPrompt
from agentapi.session.queue import MessageQueue, Queued
from agentapi.session.stats import SessionStats
from agentapi.storage.state import RestoredState

log = logging.getLogger(__name__)


class EmptyMessage(SendError):
    """A user message without a visible character."""

    def __init__(self) -> None:
        super().__init__("check", "message must not be empty")


class AgentEnded(Exception):
    """The agent has ended, so nothing can be queued."""


class Outbox:
    """Sends user messages, one at a time. Call `on_phase` and `arrived`."""

    def __init__(
        self,
        driver: Driver,
        history: History,
        stats: SessionStats,
        restored: RestoredState,
        initial_prompt: str | Awaitable[str | None] | None,
        *,
        save: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        """`save` saves the state at once; `changed` is called when the prompt may be out."""
        self.prompt = InitialPrompt(initial_prompt, restored)
        self.queue = MessageQueue()
        self._driver = driver
        self._history = history
        self._stats = stats
        self._save = save
        self._changed = changed
        self._phase = PhaseState(Phase.STARTING, "not started yet")
        self._phase_changed = False  # since the last attempt to send
        self._sending = False  # the prompt or the queue
        # This keeps senders in order; it guards no state.
        self._line = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        for warning in self.queue.restore(restored.extra.get("queue"), restored.messages):
            history.notice(Level.WARNING, warning)

    @property
    def ready(self) -> bool:
        """Whether a user message would be taken now."""
        return self._phase.phase is Phase.IDLE and not self.prompt.pending

    def start(self) -> None:
        """Start to send the initial prompt and the queue."""
        if self.queue:
            self._save()  # restoring decided the state of a message that was being sent
        if self.prompt.coming is not None:
            self._spawn(self._await_prompt(self.prompt.coming))

    def stop(self) -> None:
        """Stop sending the initial prompt and the queue."""
        for task in tuple(self._tasks):
            task.cancel()

    def on_phase(self, state: PhaseState) -> None:
        """Set the agent's phase."""
        self._phase_changed |= state.phase is not self._phase.phase
        self._phase = state
        self._start_sending()

    def arrived(self, text: str) -> None:
        """Note a new user message in the conversation."""
        self.prompt.arrived()
        self.queue.arrived(text)

    # -- what clients do ---------------------------------------------------------------------

    async def send(self, content: str) -> None:
        """Send one message, after earlier ones. Raises `SendError`."""
        try:
            text = _trimmed(content)
            await run_in_order(self._line, lambda: self._send_next(text))
        except SendError as error:
            self._stats.failed(error.step)
            raise

    def enqueue(self, content: str, time: datetime) -> tuple[Queued, int]:
        """Queue a message until the agent is idle; return it and its position, from 1.

        It is saved when this returns. Raises `EmptyMessage`, `QueueFull`, `AgentEnded`."""
        text = _trimmed(content)
        if self._phase.phase is Phase.EXITED:
            raise AgentEnded(f"nothing can be queued: {self._phase.reason}")
        item = self.queue.add(text, time)
        self._save()
        position = len(self.queue)
        self._start_sending()
        return item, position

    def cancel(self, id: int) -> None:
        """Remove a queued message. Raises `LookupError`, or `BeingSent` if it is too late."""
        self.queue.cancel(id)
        self._save()
        self._start_sending()

    async def _send_next(self, text: str) -> None:
        """Send a client's message, unless something goes before it. An open question is quoted as
        clients see it."""
        phase = self._phase.phase
        if self.prompt.pending and phase is Phase.BLOCKED:  # the prompt waits for the answer, too
            raise DialogOpen(_dialog_text(self._phase))
        if self.prompt.pending or phase in (Phase.WORKING, Phase.EXITED):
            raise Busy
        try:
            await self._send(text)
        except DialogOpen:
            if self._phase.phase is not Phase.BLOCKED:
                raise
            raise DialogOpen(_dialog_text(self._phase)) from None

    async def _send(self, text: str) -> None:
        clock = asyncio.get_running_loop().time
        started = clock()
        await self._driver.send(text)
        self._stats.sent.add(clock() - started)

    # -- what waits --------------------------------------------------------------------------

    async def _await_prompt(self, coming: Awaitable[str | None]) -> None:
        try:
            text = await coming
        except (OSError, ValueError) as error:
            text = None
            message = f"the initial prompt could not be read: {error}"
            self._history.notice(Level.WARNING, message)
        self.prompt.set(text)
        self._start_sending()
        self._changed()

    def _due(self) -> Callable[[], Awaitable[None]] | None:
        """Return how to send what is due, if anything: the initial prompt, then the queue."""
        if self._phase.phase is not Phase.IDLE:
            return None
        if self.prompt.pending:
            return self._send_prompt if self.prompt.coming is None else None
        return self._send_queued if self.queue.due is not None else None

    def _start_sending(self) -> None:
        if self._due() is not None and not self._sending:
            self._sending = True
            self._spawn(self._send_waiting())

    async def _send_waiting(self) -> None:
        """Send what is due as long as the agent takes it. After a refusal, try again when the phase
        changes, which may have happened before the refusal."""
        try:
            taken = True
            while taken or self._phase_changed:
                self._phase_changed = False
                async with self._line:
                    send = self._due()
                    if send is None:
                        return
                    try:
                        await send()
                        taken = True
                    except (Busy, DialogOpen) as error:
                        log.info("what waits to be sent goes on waiting: %s", error)
                        taken = False
                self._changed()
        finally:
            self._sending = False

    async def _send_prompt(self) -> None:
        prompt = self.prompt
        prompt.sending = True
        try:
            await self._send(prompt.text)
            prompt.arrived()
        except (Busy, DialogOpen):
            raise
        except SendError as error:
            prompt.given_up = True
            self._failed("the initial prompt", error)
        finally:
            prompt.sending = False

    async def _send_queued(self) -> None:
        item = self.queue.take(len(self._history.messages))
        self._save()  # before the first key: see agentapi.session.queue
        try:
            await self._send(item.content)
        except (Busy, DialogOpen):
            self.queue.put_back(item)
            self._save()
            raise
        except Exception as error:
            self.queue.fail(item, str(error) or repr(error))
            self._save()
            if not isinstance(error, SendError):
                raise
            self._failed(f"the queued message {item.id}", error)
        else:
            self.queue.arrived(item.content)
            self._save()

    def _failed(self, name: str, error: SendError) -> None:
        self._stats.failed(error.step)
        self._history.notice(Level.ERROR, f"{name} could not be sent: {error}")

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("sending what waited failed", exc_info=error)
            message = f"a message that waited could not be sent: {error!r}"
            self._history.notice(Level.ERROR, message)


async def run_in_order(line: asyncio.Lock, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work after that of earlier callers. A cancelled caller leaves the line, but work that
    has started is finished: no message stays half typed."""
    await line.acquire()

    async def run() -> None:
        try:
            await work()
        finally:
            line.release()

    await asyncio.shield(asyncio.ensure_future(run()))


def _trimmed(content: str) -> str:
    text = content.strip(BLANK)
    if not text:
        raise EmptyMessage
    return text


def _dialog_text(state: PhaseState) -> str:
    return state.reason if state.dialog is None else question_text(state.dialog)
