"""One live agent for its clients: ids, order of sends, phase, history, start and stop.

A driver reports what the agent says and does; the session turns that into messages with ids, keeps
them, and tells the subscribers. Three rules hold throughout:

- What is told was kept first: a new message is given to the store before its event goes out (and
  before the send that caused it returns). Only the growth of an agent's message may lag, by up to
  a second.
- Text before status: the text that belongs to a phase goes out before the phase.
- One loop, one state: everything but `send` and `type` is synchronous, so that a snapshot and its
  subscription, or a status and its event, never disagree.

The initial prompt goes out when the agent is first idle, once. Until then the status is `running`,
except during a dialog, which the user must answer. When the agent became busy or opened a dialog
in the meantime the prompt waits for the next idle phase; when it was typed and did not arrive, the
clients get a notice, it is not typed again in this run, and the state keeps it as not sent.

Queued messages (`agentapi.queue`) go out after it, one whenever the agent is idle and nobody else's
message is under way; the status is `stable` in between. One that fails is told by a notice and
holds the others. What a client sends by itself goes first if the agent is idle, as ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from agentapi.conversation.model import (
    Level,
    Message,
    Notice,
    Phase,
    PhaseState,
    Role,
    Status,
)
from agentapi.drivers.base import (
    AgentText,
    Busy,
    DialogOpen,
    Driver,
    DriverEvent,
    Exited,
    ItemChanged,
    Noticed,
    PhaseChanged,
    ScreenChanged,
    SendError,
    UserText,
)
from agentapi.drivers.evidence import TellsEvidence
from agentapi.events import (
    EventHub,
    Subscription,
    screen_event,
    status_event,
)
from agentapi.exact import ExactMessages
from agentapi.history import History
from agentapi.prompt import BLANK, InitialPrompt
from agentapi.queue import MessageQueue, Queued
from agentapi.state import NullStore, RestoredState, State, Store
from agentapi.stats import SessionStats
from agentapi.throttle import Throttle
from agentapi.transcript import Transcript
from agentapi.transcript_items import AgentMessage

SCREEN_INTERVAL = 0.025
"""Seconds between two screens."""
INTERRUPT_LIMIT = 10.0
"""Seconds that an interrupted turn has to be over in our eyes, too."""

log = logging.getLogger(__name__)

__all__ = [
    "AgentEnded",
    "AgentSession",
    "EmptyMessage",
    "NullStore",
    "RestoredState",
    "State",
    "Store",
]


class EmptyMessage(SendError):
    """A user message without a visible character."""

    def __init__(self) -> None:
        super().__init__("check", "message must not be empty")


class AgentEnded(Exception):
    """Nothing can be queued any more."""


def utc_now() -> datetime:
    """The clock on the wall."""
    return datetime.now(UTC)


class AgentSession:
    """One live agent; lives on one event loop. Call `start`, later `stop`."""

    def __init__(
        self,
        driver: Driver,
        *,
        agent_type: str,
        store: Store | None = None,
        clock: Callable[[], datetime] = utc_now,
        initial_prompt: str | Awaitable[str | None] | None = None,
        history: RestoredState | None = None,
        about: Callable[[], Mapping[str, object]] = dict,
        on_phase: Callable[[PhaseState], None] = lambda state: None,
        exact: bool = False,
    ) -> None:
        """`initial_prompt` may be awaitable (standard input that has not ended yet); the status
        stays `running` until it is known. `about` gives what only others know of `info`;
        `on_phase` is told each new phase. With `exact` the agent's messages are what an exact
        source tells the transcript, as soon as it does (`agentapi.exact`)."""
        self.driver = driver
        self.agent_type = agent_type
        self.stats = SessionStats()
        self.hub = EventHub()
        self.screens = EventHub()
        self._store = store if store is not None else NullStore()
        self._clock = clock
        self._about = about
        self._phase_changed = on_phase
        self._restored = history or RestoredState()
        self._resumed = bool(self._restored.messages)
        self._history = History(self.hub, clock, self._save)
        self.transcript = Transcript(opening=driver.transport == "pty")
        self._opening = True  # no user message yet in this run
        self._phase = PhaseState(Phase.STARTING, "not started yet")
        self._phase_since = self.started_at = self._active_at = clock()
        self._phases = 0  # grows with every change of the phase
        self._status = Status.RUNNING
        self._user_at: datetime | None = None
        self._text_at: float | None = None
        self._prompt = InitialPrompt(initial_prompt, self._restored)
        self.queue = MessageQueue()
        self._queue_moves = False  # a queued message is on its way, or about to be
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: Exited | None = None
        self._end_seen = asyncio.Event()
        # Queues of senders in the order they came, not guards of state: nothing else waits here.
        self._sending = asyncio.Lock()
        self._typing = asyncio.Lock()
        self._answering = asyncio.Lock()
        self._interrupting = asyncio.Lock()
        self._phase_moved = asyncio.Event()
        self._screen_changes = Throttle(SCREEN_INTERVAL, self._publish_screen)
        self._shown = ""
        self._exact = ExactMessages(self._history, self.transcript, clock()) if exact else None
        self._put_back()

    # -- what it is --------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """The wire's status."""
        return self._status

    @property
    def phase_state(self) -> PhaseState:
        """The agent's phase, its reason and its open dialog."""
        return self._phase

    @property
    def phase_since(self) -> datetime:
        """When the agent entered its phase."""
        return self._phase_since

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation, ids from 0."""
        return tuple(self._history.messages)

    @property
    def notices(self) -> tuple[Notice, ...]:
        """The last notices, oldest first."""
        return tuple(self._history.notices)

    @property
    def transport(self) -> str:
        """`pty` or `acp`."""
        return self.driver.transport

    @property
    def turn(self) -> int:
        """The number of user messages so far, restored ones included."""
        return self._history.turn

    @property
    def ready(self) -> bool:
        """Whether a user message would be taken now."""
        return self._phase.phase is Phase.IDLE and not self._prompt.pending

    def state(self) -> State:
        """What must survive."""
        queue = self.queue.state()
        extra = self._restored.extra
        return State(
            messages=self.messages,
            initial_prompt=self._prompt.text,
            initial_prompt_sent=self._prompt.sent,
            extra={**extra, "queue": queue} if queue else extra,
        )

    def info(self) -> dict[str, object]:
        """What `GET /session` tells; times are datetimes, what is not known is None."""
        now = self._clock()
        idle = (now - self._active_at).total_seconds() if self._status is Status.STABLE else 0.0
        told: dict[str, object] = {
            "session_id": None,
            "agent_type": self.agent_type,
            "agent_version": None,
            "workdir": None,
            "phase": self._phase.phase.value,
            "phase_reason": self._phase.because,
            "phase_since": self._phase_since,
            "turn": self.turn,
            "resumed": self._resumed,
            "started_at": self.started_at,
            "last_activity_at": self._active_at,
            "last_user_message_at": self._user_at,
            "idle_seconds": max(0.0, idle),
            "clients": len(self.hub),
            "usage": None,
            "evidence": self._evidence(),
        } | dict(self._about())
        told["usage"] = told["usage"] or self.transcript.usage
        return told

    def _evidence(self) -> list[dict[str, object]] | None:
        driver = self.driver
        if not isinstance(driver, TellsEvidence):
            return None
        return [
            {
                "source": said.source,
                "phase": said.phase.value,
                "detail": said.detail,
                "age_seconds": round(said.age, 3),
                "counts": said.counts,
            }
            for said in driver.evidence()
        ]

    # -- its life ----------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the agent. Raises `OSError` when its program cannot be started."""
        if self.queue:
            self._save()  # what became of a message that was being sent is decided
        if self._prompt.coming is not None:
            self._spawn(self._await_prompt(self._prompt.coming))
        try:
            await self.driver.start(self._on_event)
        except OSError as error:
            self._on_event(PhaseChanged(PhaseState(Phase.EXITED, f"could not be started: {error}")))
            raise

    async def stop(self, grace: float = 5.0) -> None:
        """End the agent (SIGINT, SIGKILL after `grace` seconds), keep the state, end the streams.

        Idempotent."""
        for task in tuple(self._tasks):
            task.cancel()
        await self.driver.stop(grace)
        if self._exact is not None:
            self._exact.release()
        self.close_streams()
        self._screen_changes.stop()
        self._history.close()

    def close_streams(self) -> None:
        """End all subscriptions, so that a server can shut down."""
        self._history.settle()
        self.hub.close()
        self.screens.close()
        self.transcript.close()

    async def wait(self) -> Exited:
        """Wait for the agent's end."""
        await self._end_seen.wait()
        assert self._ended is not None
        return self._ended

    # -- what clients do ---------------------------------------------------------------------

    async def send(self, content: str) -> None:
        """Send one user message; returns once the agent began to work on it.

        Messages go one after another in the order they came. Raises `EmptyMessage`, `Busy`,
        `DialogOpen`, or what else the driver says of a send that failed (`SendError`)."""
        text = content.strip(BLANK)
        try:
            if not text:
                raise EmptyMessage
            self._check_ready()
            await _in_turn(self._sending, lambda: self._send_now(text))
        except SendError as error:
            self.stats.failed(error.step)
            raise

    async def type(self, keys: str) -> None:
        """Write keystrokes as they are, in any phase, in the order of the calls."""
        self._active()
        self.stats.keystrokes += 1
        await _in_turn(self._typing, lambda: self.driver.keys(keys))

    async def interrupt(self) -> None:
        """Stop the agent's turn, and return once it is over; a no-op when there is none.

        Raises `SendError` when it goes on. Of two at once the second finds the turn over."""
        self._active()
        await _in_turn(self._interrupting, self._interrupt_now)

    async def _interrupt_now(self) -> None:
        phases = self._phases  # the next turn may have begun before we look again
        await self.driver.interrupt()
        try:
            async with asyncio.timeout(INTERRUPT_LIMIT):
                while self._phases == phases and self._phase.phase is Phase.WORKING:
                    self._phase_moved.clear()
                    await self._phase_moved.wait()
        except TimeoutError:
            reason = f"the agent still works ({self._phase.because})"
            raise SendError("interrupt", reason) from None

    def enqueue(self, content: str) -> tuple[Queued, int]:
        """Have a message sent when the agent is next idle; returns it and its place, from 1.

        It is kept when this returns. Raises `EmptyMessage`, `QueueFull`, `AgentEnded`."""
        text = content.strip(BLANK)
        if not text:
            raise EmptyMessage
        if self._phase.phase is Phase.EXITED:
            raise AgentEnded(f"nothing can be queued: {self._phase.because}")
        item = self.queue.add(text, self._clock())
        self._save()
        place = len(self.queue)
        self._begin_next()
        return item, place

    def cancel_queued(self, id: int) -> None:
        """Forget a queued message. Raises `LookupError`, and `BeingSent` when it is too late."""
        self.queue.cancel(id)
        self._save()
        self._begin_next()

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        """Answer the open dialog. Raises `LookupError` when that dialog or choice is not open.

        Of two answers at once the second finds the dialog closed: no key is pressed twice."""
        self._active()
        await _in_turn(self._answering, lambda: self.driver.answer(dialog_id, choice_id))

    def subscribe(self) -> Subscription:
        """All that happened, then what happens: the messages, the status, the notices, live."""
        messages, notices = self._history.replay()
        status = status_event(self._status, self.agent_type)
        return self.hub.subscribe([*messages, status, *notices])

    def subscribe_screen(self) -> Subscription:
        """The screen now, then each change of it."""
        return self.screens.subscribe([screen_event(self._read_screen())])

    def notice(self, level: Level, message: str) -> None:
        """Tell the clients something besides the conversation."""
        self._history.notice(level, message)

    def save(self) -> None:
        """Keep the state now (SIGUSR1)."""
        self._history.keep_all()

    # -- what the driver reports -------------------------------------------------------------

    def _on_event(self, event: DriverEvent) -> None:
        if self._exact is not None and isinstance(event, PhaseChanged | UserText | Exited):
            self._exact.release()
            if isinstance(event, PhaseChanged) and self._ends_turn(event.state):
                self._exact.hold(event.state, self._on_phase)
                return
        match event:
            case ScreenChanged():
                if self.screens:
                    self._screen_changes.call()
            case AgentText(text):
                self._on_agent_text(text)
            case UserText(text):
                self._on_user_text(text)
            case PhaseChanged(state):
                self._on_phase(state)
            case ItemChanged(turn, id, AgentMessage(text)):
                self.transcript.live(turn, id, text)
            case Noticed(level, message):
                self.notice(level, message)
            case Exited():
                self._on_exit(event)

    def _ends_turn(self, state: PhaseState) -> bool:
        return state.phase is Phase.IDLE and self._phase.phase in (Phase.WORKING, Phase.BLOCKED)

    def _on_agent_text(self, text: str) -> None:
        if self._opening and self._resumed:
            return  # a resumed agent paints its history again: the messages are here already
        if self._exact is not None:
            news = self._exact.seen(text, self._clock())
        else:
            news = self._history.agent_text(text)
        if news:
            self._active()
            self._text_at = self._now()
            self._transcribe()

    def _on_user_text(self, text: str) -> None:
        self._opening = False
        self._prompt.arrived()
        self.queue.arrived(text)
        self._active()
        self._user_at = self._active_at
        self._history.add(Role.USER, text)
        if self._exact is not None:
            self._exact.asked(self._history.messages[-1])
        self._transcribe(now=True)

    def _on_phase(self, state: PhaseState) -> None:
        self._history.settle()
        if state.phase is not self._phase.phase:
            self._phase_since = self._clock()
            log.info("phase %s: %s", state.phase.value, state.because)
            self._active()
            self._phases += 1
            self._phase_changed(state)
        self._phase = state
        self._phase_moved.set()
        if state.phase is Phase.STARTING:
            self.transcript.unlink()
        self._transcribe()
        if self._exact is not None:
            self._exact.phase(state.phase in (Phase.WORKING, Phase.BLOCKED))
            self._history.settle()
        self._begin_next()
        self._publish_status()

    def _on_exit(self, event: Exited) -> None:
        if self._phase.phase is not Phase.EXITED:
            reason = f"signal {event.signal}" if event.code is None else f"status {event.code}"
            self._on_phase(PhaseState(Phase.EXITED, f"the agent ended with {reason}"))
        self._history.keep_all()
        self._ended = event
        self._end_seen.set()

    # -- what clients are told ---------------------------------------------------------------

    def _put_back(self) -> None:
        for message in self._restored.messages:
            self._history.put_back(message)
        if not self._resumed and self.transport == "pty":
            self._history.put_back(Message(0, Role.AGENT, "", self.started_at))
        if self._exact is not None:
            self._exact.screen.extend(self._history.messages)
        self.transcript.restore(self._history.messages)
        kept = self.queue.restore(self._restored.extra.get("queue"), self._restored.messages)
        for warning in (*self._restored.warnings, *kept):
            self.notice(Level.WARNING, warning)

    def _transcribe(self, *, now: bool = False) -> None:
        working = self._phase.phase is Phase.WORKING
        shown = self._history.messages if self._exact is None else self._exact.screen
        self.transcript.screen(shown, working, now=now)

    def _publish_status(self) -> None:
        waits_for_prompt = self._phase.phase is Phase.IDLE and self._prompt.pending
        status = Status.RUNNING if waits_for_prompt else self._phase.phase.status
        if status is self._status:
            return
        self._status = status
        if status is Status.STABLE:
            self._note_done()
            self._history.keep()
        self.hub.publish(status_event(status, self.agent_type))

    def _note_done(self) -> None:
        if self._text_at is not None and not self._opening:
            self.stats.done.add(self._now() - self._text_at)

    def _read_screen(self) -> str:
        return self.driver.screen().rstrip()

    def _publish_screen(self) -> None:
        screen = self._read_screen()
        if screen != self._shown:
            self._shown = screen
            self.screens.publish(screen_event(screen))

    def _save(self) -> None:
        self._store.save(self.state())

    # -- sending -----------------------------------------------------------------------------

    def _check_ready(self) -> None:
        if self._phase.phase is Phase.BLOCKED:
            raise DialogOpen(_dialog_text(self._phase))
        if not self.ready:
            raise Busy

    async def _send_now(self, text: str) -> None:
        self._check_ready()
        await self._timed_send(text)

    async def _timed_send(self, text: str) -> None:
        begun = self._now()
        await self.driver.send(text)
        self.stats.sent.add(self._now() - begun)

    async def _await_prompt(self, coming: Awaitable[str | None]) -> None:
        try:
            text = await coming
        except (OSError, ValueError) as error:
            text = None
            self.notice(Level.WARNING, f"the initial prompt could not be read: {error}")
        self._prompt.known(text)
        self._on_phase(self._phase)

    def _begin_next(self) -> None:
        """Send what waits for the agent to be idle: the initial prompt, then the queue."""
        if self._phase.phase is Phase.IDLE and self._prompt.due:
            self._prompt.sending = True
            self._spawn(self._send_prompt())
        elif self.ready and self.queue.due is not None and not self._queue_moves:
            self._queue_moves = True
            self._spawn(self._send_queued())

    async def _send_prompt(self) -> None:
        prompt, phases = self._prompt, self._phases
        try:
            async with self._sending:
                await self._timed_send(prompt.text)
            prompt.arrived()
        except (Busy, DialogOpen) as error:
            log.info("the initial prompt waits: %s", error)
        except SendError as error:
            prompt.given_up = True
            self.stats.failed(error.step)
            self.notice(Level.ERROR, f"the initial prompt could not be sent: {error}")
        finally:
            prompt.sending = False
        if self._phases != phases or not prompt.pending:
            self._begin_next()
        self._publish_status()

    async def _send_queued(self) -> None:
        phases, sent = self._phases, False
        try:
            async with self._sending:
                if self.ready and self.queue.due is not None:
                    sent = await self._send_first(self.queue.take(len(self._history.messages)))
        finally:
            self._queue_moves = False
        if sent or self._phases != phases:  # a short turn may be over before anybody saw it
            self._begin_next()

    async def _send_first(self, item: Queued) -> bool:
        """Send it; whether it is out."""
        self._save()  # before the first key: see agentapi.queue
        try:
            await self._timed_send(item.content)
            self.queue.arrived(item.content)
        except (Busy, DialogOpen) as error:
            log.info("the queue waits: %s", error)
            self.queue.put_back(item)
        except Exception as error:
            self.queue.fail(item, str(error) or repr(error))
            self._save()
            if not isinstance(error, SendError):
                raise
            self.stats.failed(error.step)
            self.notice(Level.ERROR, f"the queued message {item.id} could not be sent: {error}")
        self._save()
        return all(left.id != item.id for left in self.queue.items)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("sending what waited failed", exc_info=error)
            self.notice(Level.ERROR, f"a message that waited could not be sent: {error!r}")

    def _active(self) -> None:
        self._active_at = self._clock()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _in_turn(queue: asyncio.Lock, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work when its turn has come. A caller that goes away leaves the queue, but what has
    begun is done to its end: no message stays half typed."""
    await queue.acquire()

    async def run() -> None:
        try:
            await work()
        finally:
            queue.release()

    await asyncio.shield(asyncio.ensure_future(run()))


def _dialog_text(state: PhaseState) -> str:
    dialog = state.dialog
    if dialog is None:
        return state.because
    parts = (dialog.title, dialog.reason, dialog.command, *(c.label for c in dialog.choices))
    return "\n".join(part for part in parts if part)
