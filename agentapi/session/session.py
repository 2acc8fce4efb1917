"""One live agent for its clients: ids, order of sends, phase, history, start and stop.

A driver reports what the agent says and does; the session turns that into messages with ids, keeps
them, and tells the subscribers. Three rules hold throughout:

- What is told was kept first: a new message is given to the store before its event goes out (and
  before the send that caused it returns). Only the growth of an agent's message may lag, by up to
  a second.
- Text before status: the text that belongs to a phase goes out before the phase.
- One loop, one state: everything but `send` and `type` is synchronous, so that a snapshot and its
  subscription, or a status and its event, never disagree.

What the user has for the agent, now or later, goes through the outbox (`agentapi.session.outbox`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from agentapi.agents.driver import Driver
from agentapi.model.conversation import (
    Dialog,
    Level,
    Message,
    Notice,
    Phase,
    PhaseState,
    Role,
    Status,
)
from agentapi.model.events import (
    AgentText,
    DriverEvent,
    Exited,
    Forgot,
    Noticed,
    PhaseChanged,
    QuestionPainted,
    ScreenChanged,
    UserText,
)
from agentapi.model.items import ItemSource
from agentapi.session.controls import Controls
from agentapi.session.events import EventHub, Subscription
from agentapi.session.exact import ExactMessages
from agentapi.session.history import History
from agentapi.session.outbox import Outbox
from agentapi.session.question import OpenQuestion
from agentapi.session.queue import MessageQueue, Queued
from agentapi.session.screen_feed import ScreenFeed
from agentapi.session.stats import SessionStats
from agentapi.session.status import StatusLine
from agentapi.session.transcript_events import tell_live
from agentapi.storage.state import NullStore, RestoredState, SavedState, Store, set_aside
from agentapi.transcript.transcript import Transcript

log = logging.getLogger(__name__)


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
        source tells the transcript, as soon as it does (`agentapi.session.exact`)."""
        self.driver = driver
        self.agent_type = agent_type
        self.stats = SessionStats()
        self.hub = EventHub()
        self.screens = ScreenFeed(driver.screen)
        self._store = store if store is not None else NullStore()
        self.clock = clock
        self.about = about
        self._phase_changed = on_phase
        self._restored = history or RestoredState()
        self.resumed = bool(self._restored.messages)
        self._history = History(self.hub, clock, self._save)
        on_terminal = driver.transport == "pty"
        source = ItemSource.SCREEN if on_terminal else ItemSource.ACP
        self.transcript = Transcript(opening=on_terminal, source=source)
        self._opening = True  # no user message yet in this run
        self._phase = PhaseState(Phase.STARTING, "not started yet")
        self.phase_since = self.started_at = self.active_at = clock()
        self._status = StatusLine(self.hub, self._history, self.stats, agent_type)
        self.user_at: datetime | None = None
        self._ended: Exited | None = None
        self._end_seen = asyncio.Event()
        self._exact = ExactMessages(self._history, self.transcript, clock()) if exact else None
        screen_text = on_terminal and not exact
        self._question = OpenQuestion(self._history, self.transcript, terminal=screen_text)
        self._controls = Controls(driver, self._question)
        self._put_back(self._restored)
        self._outbox = Outbox(
            driver,
            self._history,
            self.stats,
            self._restored,
            initial_prompt,
            save=self._save,
            changed=self._publish_status,
        )

    # -- what it is --------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """The wire's status."""
        return self._status.now

    @property
    def phase_state(self) -> PhaseState:
        """The agent's phase, its reason and its open dialog."""
        return self._phase

    @property
    def dialog(self) -> Dialog | None:
        """The open dialog, with all that is known of what it asks."""
        return self._question.dialog

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation, ids from 0; the agent's last message ends with the open question."""
        return self._history.shown

    @property
    def notices(self) -> tuple[Notice, ...]:
        """The last notices, oldest first."""
        return tuple(self._history.notices)

    @property
    def turn(self) -> int:
        """The number of user messages so far, restored ones included."""
        return self._history.turn

    @property
    def ready(self) -> bool:
        """Whether a user message would be taken now."""
        return self._outbox.ready

    @property
    def queue(self) -> MessageQueue:
        """The messages that wait for the agent to be idle."""
        return self._outbox.queue

    def state(self) -> SavedState:
        """What must survive."""
        queue = self.queue.state()
        extra = self._restored.extra
        return SavedState(
            messages=tuple(self._history.messages),
            initial_prompt=self._outbox.prompt.text,
            initial_prompt_sent=self._outbox.prompt.sent,
            extra={**extra, "queue": queue} if queue else extra,
        )

    # -- its life ----------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the agent. Raises `OSError` when its program cannot be started."""
        self._outbox.start()
        try:
            await self.driver.start(self._on_event)
        except OSError as error:
            self._on_event(PhaseChanged(PhaseState(Phase.EXITED, f"could not be started: {error}")))
            raise

    async def stop(self, grace: float = 5.0) -> None:
        """End the agent (SIGINT, SIGKILL after `grace` seconds), keep the state, end the streams.

        Idempotent."""
        self._outbox.stop()
        await self.driver.stop(grace)
        if self._exact is not None:
            self._exact.release()
        self.close_streams()
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
        await self._outbox.send(content)

    async def type(self, keys: str) -> None:
        """Write keystrokes as they are, in any phase, in the order of the calls."""
        self._active()
        self.stats.keystrokes += 1
        await self._controls.type(keys)

    async def interrupt(self) -> None:
        """Stop the agent's turn, and return once it is over; a no-op when there is none.

        Raises `SendError` when it goes on. Of two at once the second finds the turn over."""
        self._active()
        await self._controls.interrupt()

    def enqueue(self, content: str) -> tuple[Queued, int]:
        """Have a message sent when the agent is next idle; returns it and its place, from 1.

        It is kept when this returns. Raises `EmptyMessage`, `QueueFull`, `AgentEnded`."""
        return self._outbox.enqueue(content, self.clock())

    def cancel_queued(self, id: int) -> None:
        """Forget a queued message. Raises `LookupError`, and `BeingSent` when it is too late."""
        self._outbox.cancel(id)

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        """Answer the open dialog; return once it is gone and blocks nothing any more.

        Raises `LookupError` when that dialog or choice is not open, `SendError` when it stays.
        Of two answers at once the second finds the dialog closed: no key is pressed twice."""
        self._active()
        await self._controls.answer(dialog_id, choice_id)

    def subscribe(self) -> Subscription:
        """All that happened, then what happens: the messages, the status, the notices, live."""
        messages, notices = self._history.replay()
        return self.hub.subscribe([*messages, self._status.event, *notices])

    def subscribe_screen(self) -> Subscription:
        """The screen now, then each change of it."""
        return self.screens.subscribe()

    def notice(self, level: Level, message: str) -> None:
        """Tell the clients something besides the conversation."""
        self._history.notice(level, message)

    def warn(self, message: str) -> None:
        """Tell the clients of trouble besides the conversation."""
        self.notice(Level.WARNING, message)

    def save(self) -> None:
        """Keep the state now (SIGUSR1)."""
        self._history.keep_all()

    # -- what the driver reports -------------------------------------------------------------

    def _on_event(self, event: DriverEvent) -> None:
        if self._exact is not None and isinstance(event, PhaseChanged | UserText | Exited):
            self._exact.release()
            if isinstance(event, PhaseChanged) and self._ends_turn(event.state):
                self._exact.hold(event.state, self._on_phase)
                if self._phase.dialog is not None:  # still: it is decided, whatever comes late
                    self._on_phase(PhaseState(Phase.WORKING, event.state.because))
                return
        match event:
            case ScreenChanged():
                self.screens.changed()
            case AgentText(text):
                self._on_agent_text(text)
            case UserText(text):
                self._on_user_text(text)
            case PhaseChanged(state):
                self._on_phase(state)
            case QuestionPainted(text):
                self._question.paint(text)
            case Noticed(level, message):
                self.notice(level, message)
            case Forgot(why):
                self._begin_anew(why)
            case Exited():
                self._on_exit(event)
            case _:
                tell_live(self.transcript, event)

    def _ends_turn(self, state: PhaseState) -> bool:
        return state.phase is Phase.IDLE and self._phase.phase in (Phase.WORKING, Phase.BLOCKED)

    def _on_agent_text(self, text: str) -> None:
        if self._opening and self.resumed:
            return  # a resumed agent paints its history again: the messages are here already
        if self._exact is not None:
            news = self._exact.seen(text, self.clock())
        else:
            news = self._history.agent_text(text)
        if news:
            self._active()
            self._status.text_changed()
            self._transcribe()
            self._question.show()

    def _on_user_text(self, text: str) -> None:
        self._opening = False
        self._outbox.arrived(text)
        self._active()
        self.user_at = self.active_at
        self._history.add(Role.USER, text)
        if self._exact is not None:
            self._exact.asked(self._history.messages[-1])
        self._transcribe(now=True)

    def _on_phase(self, state: PhaseState) -> None:
        self._history.settle()
        if state.phase is not self._phase.phase:
            self.phase_since = self.clock()
            log.info("phase %s: %s", state.phase.value, state.because)
            self._active()
            self._phase_changed(state)
        self._phase = state
        self._controls.follow(state)
        self.transcript.set_dialog(state.dialog, idle=state.phase in (Phase.IDLE, Phase.EXITED))
        self._transcribe()
        if self._exact is not None:
            self._exact.phase(state.phase in (Phase.WORKING, Phase.BLOCKED))
        self._question.follow(state)
        self._outbox.follow(state)
        self._publish_status()

    def _on_exit(self, event: Exited) -> None:
        if self._phase.phase is not Phase.EXITED:
            reason = f"signal {event.signal}" if event.code is None else f"status {event.code}"
            self._on_phase(PhaseState(Phase.EXITED, f"the agent ended with {reason}"))
        self._history.keep_all()
        self._ended = event
        self._end_seen.set()

    def _begin_anew(self, why: str) -> None:
        """Set the conversation aside and begin another. Whoever follows the events has to ask for
        them again: nothing on the wire takes a message back."""
        self._history.keep_all()
        where = set_aside(self._store)
        self._history.clear()
        self.queue.clear()
        self.transcript.clear()
        self.resumed, self._opening, self.user_at = False, True, None
        self._put_back(RestoredState())
        if self._exact is not None:
            self._exact.clear()
        self._history.keep_all()
        self.notice(Level.WARNING, why + where)
        self.hub.end_subscriptions()

    # -- what clients are told ---------------------------------------------------------------

    def _put_back(self, restored: RestoredState) -> None:
        for message in restored.messages:
            self._history.put_back(message)
        if not self.resumed and self.driver.transport == "pty":
            self._history.put_back(Message(0, Role.AGENT, "", self.started_at))
        if self._exact is not None:
            self._exact.screen.extend(self._history.messages)
        self.transcript.restore(self._history.messages)
        for warning in restored.warnings:
            self.notice(Level.WARNING, warning)

    def _transcribe(self, *, now: bool = False) -> None:
        working = self._phase.phase is Phase.WORKING
        shown = self._history.messages if self._exact is None else self._exact.screen
        self.transcript.update_screen(shown, working, now=now)

    def _publish_status(self) -> None:
        waits_for_prompt = self._phase.phase is Phase.IDLE and not self.ready
        status = Status.RUNNING if waits_for_prompt else self._phase.phase.status
        self._status.change(status, in_turn=not self._opening)

    def _save(self) -> None:
        self._store.save(self.state())

    def _active(self) -> None:
        self.active_at = self.clock()
