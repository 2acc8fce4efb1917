"""What the user has for the agent: one line of senders, and what waits until the agent is idle.

A client's message goes to the driver when its turn in the line comes, and the driver decides
whether the agent takes it. Here it is only refused for the order: while the last turn is not told
to its end, or the initial prompt is still to go out.

The initial prompt goes out when the agent is first idle, once. Until then the status is `running`,
except during a dialog, which the user must answer. When the agent became busy or opened a dialog
in the meantime the prompt waits for the next idle phase; when it was typed and did not arrive, the
clients get a notice, it is not typed again in this run, and the state keeps it as not sent.

Queued messages (`queue.py`) go out after it, one whenever the agent is idle and nobody else's
message is under way; the status is `stable` in between. One that fails is told by a notice and
holds the others. What a client sends by itself goes first if the agent is idle, as ever.
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
    """Nothing can be queued any more."""


class Outbox:
    """Sends the user's messages, never two at once. It is told the phase and what arrived."""

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
        """`save` keeps the state at once; `changed` hears that the prompt may be out."""
        self.prompt = InitialPrompt(initial_prompt, restored)
        self.queue = MessageQueue()
        self._driver = driver
        self._history = history
        self._stats = stats
        self._save = save
        self._changed = changed
        self._phase = PhaseState(Phase.STARTING, "not started yet")
        self._phase_moved = False  # since the last attempt to send what waits
        self._moving = False  # what waits is being sent
        # Senders in the order they came, not a guard of state: nothing else waits here.
        self._line = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        for warning in self.queue.restore(restored.extra.get("queue"), restored.messages):
            history.notice(Level.WARNING, warning)

    @property
    def ready(self) -> bool:
        """Whether a user message would be taken now."""
        return self._phase.phase is Phase.IDLE and not self.prompt.pending

    def start(self) -> None:
        """Wait for what there is to send."""
        if self.queue:
            self._save()  # what became of a message that was being sent is decided
        if self.prompt.coming is not None:
            self._spawn(self._await_prompt(self.prompt.coming))

    def stop(self) -> None:
        """Send nothing more of what waits."""
        for task in tuple(self._tasks):
            task.cancel()

    def follow(self, state: PhaseState) -> None:
        """The agent's phase is this now."""
        self._phase_moved |= state.phase is not self._phase.phase
        self._phase = state
        self._go_on()

    def arrived(self, text: str) -> None:
        """A user message entered the conversation."""
        self.prompt.arrived()
        self.queue.arrived(text)

    # -- what clients do ---------------------------------------------------------------------

    async def send(self, content: str) -> None:
        """Send one message after those that came before it. Raises `SendError`."""
        try:
            text = _trimmed(content)
            await in_turn(self._line, lambda: self._send_next(text))
        except SendError as error:
            self._stats.failed(error.step)
            raise

    def enqueue(self, content: str, time: datetime) -> tuple[Queued, int]:
        """Have a message sent when the agent is next idle; returns it and its place, from 1.

        It is kept when this returns. Raises `EmptyMessage`, `QueueFull`, `AgentEnded`."""
        text = _trimmed(content)
        if self._phase.phase is Phase.EXITED:
            raise AgentEnded(f"nothing can be queued: {self._phase.because}")
        item = self.queue.add(text, time)
        self._save()
        place = len(self.queue)
        self._go_on()
        return item, place

    def cancel(self, id: int) -> None:
        """Forget a queued message. Raises `LookupError`, and `BeingSent` when it is too late."""
        self.queue.cancel(id)
        self._save()
        self._go_on()

    async def _send_next(self, text: str) -> None:
        """Send a client's message, unless something goes before it. A question that is open is told
        in the words in which the clients know it."""
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
        begun = clock()
        await self._driver.send(text)
        self._stats.sent.add(clock() - begun)

    # -- what waits --------------------------------------------------------------------------

    async def _await_prompt(self, coming: Awaitable[str | None]) -> None:
        try:
            text = await coming
        except (OSError, ValueError) as error:
            text = None
            message = f"the initial prompt could not be read: {error}"
            self._history.notice(Level.WARNING, message)
        self.prompt.known(text)
        self._go_on()
        self._changed()

    def _due(self) -> Callable[[], Awaitable[None]] | None:
        """How to send what is to go out now, if anything: the initial prompt, then the queue."""
        if self._phase.phase is not Phase.IDLE:
            return None
        if self.prompt.pending:
            return self._send_prompt if self.prompt.coming is None else None
        return self._send_queued if self.queue.due is not None else None

    def _go_on(self) -> None:
        if self._due() is not None and not self._moving:
            self._moving = True
            self._spawn(self._send_waiting())

    async def _send_waiting(self) -> None:
        """Send what waits as long as the agent takes it. One that refuses is tried again when its
        phase moves, which may have happened before it answered."""
        try:
            taken = True
            while taken or self._phase_moved:
                self._phase_moved = False
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
            self._moving = False

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

    def _failed(self, what: str, error: SendError) -> None:
        self._stats.failed(error.step)
        self._history.notice(Level.ERROR, f"{what} could not be sent: {error}")

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


async def in_turn(line: asyncio.Lock, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work when its turn has come. A caller that goes away leaves the line, but what has
    begun is done to its end: no message stays half typed."""
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
    return state.because if state.dialog is None else question_text(state.dialog)
