"""One live agent for its clients: ids, order of sends, phase, history, start and stop.

A driver reports events; the session turns them into messages with ids, saves them, and publishes
them. Three rules hold throughout:

- Save before publishing: a new message is stored before its event is published (and before the send
  that caused it returns). Only updates of an agent's message may lag, by up to a second.
- Text before status: the text that belongs to a phase is published before the phase.
- One loop, one state: everything but `send` and `type` is synchronous. So a snapshot and its
  subscription, or a status and its event, never disagree.

User messages go through the outbox (`agentapi.session.outbox`).
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
    ConversationReset,
    DriverEvent,
    Exited,
    NoticeRaised,
    PhaseChanged,
    QuestionRendered,
    ScreenChanged,
    UserText,
)
from agentapi.model.items import ItemSource
from agentapi.session.controls import Controls
from agentapi.session.events import EventHub, Subscription
from agentapi.session.history import History
from agentapi.session.outbox import Outbox
from agentapi.session.question import OpenQuestion
from agentapi.session.queue import MessageQueue, Queued
from agentapi.session.screen_feed import ScreenFeed
from agentapi.session.stats import SessionStats
from agentapi.session.status import StatusLine
from agentapi.session.transcript_events import apply_event
from agentapi.session.verbatim import VerbatimMessages
from agentapi.storage.state import NullStore, RestoredState, SavedState, Store, set_aside
from agentapi.transcript.transcript import Transcript

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Return the current time."""
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
        verbatim: bool = False,
    ) -> None:
        """`initial_prompt` may be awaitable (standard input that has not ended yet); the status
        stays `running` until it is known. `about` adds members to `info`;
        `on_phase` is called with each new phase. With `verbatim` the agent's messages have the
        transcript's text, once that is there (`agentapi.session.verbatim`)."""
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
        self._verbatim = (
            VerbatimMessages(self._history, self.transcript, clock()) if verbatim else None
        )
        screen_text = on_terminal and not verbatim
        self._question = OpenQuestion(self._history, self.transcript, terminal=screen_text)
        self._controls = Controls(driver, self._question)
        self._restore(self._restored)
        self._outbox = Outbox(
            driver,
            self._history,
            self.stats,
            self._restored,
            initial_prompt,
            save=self._save,
            changed=self._publish_status,
        )

    # -- properties --------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """The status on the wire."""
        return self._status.now

    @property
    def phase_state(self) -> PhaseState:
        """The agent's phase, its reason and its open dialog."""
        return self._phase

    @property
    def dialog(self) -> Dialog | None:
        """The open dialog, with its command or patch as recorded."""
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
        """The number of user messages, including restored ones."""
        return self._history.turn

    @property
    def ready(self) -> bool:
        """Whether a user message would be taken now."""
        return self._outbox.ready

    @property
    def queue(self) -> MessageQueue:
        """The messages that wait until the agent is idle."""
        return self._outbox.queue

    def state(self) -> SavedState:
        """Return the state to save."""
        queue = self.queue.state()
        extra = self._restored.extra
        return SavedState(
            messages=tuple(self._history.messages),
            initial_prompt=self._outbox.prompt.text,
            initial_prompt_sent=self._outbox.prompt.sent,
            extra={**extra, "queue": queue} if queue else extra,
        )

    # -- start and stop ----------------------------------------------------------------------

    async def start(self) -> None:
        """Start the agent. Raises `OSError` when its program cannot be started."""
        self._outbox.start()
        try:
            await self.driver.start(self._on_event)
        except OSError as error:
            self._on_event(PhaseChanged(PhaseState(Phase.EXITED, f"could not be started: {error}")))
            raise

    async def stop(self, grace: float = 5.0) -> None:
        """End the agent (SIGINT, SIGKILL after `grace` seconds), save the state, end the streams.

        Idempotent."""
        self._outbox.stop()
        await self.driver.stop(grace)
        if self._verbatim is not None:
            self._verbatim.release()
        self.close_streams()
        self._history.close()

    def close_streams(self) -> None:
        """End all subscriptions, to let a server shut down."""
        self._history.flush_events()
        self.hub.close()
        self.screens.close()
        self.transcript.close()

    async def wait(self) -> Exited:
        """Wait until the agent has ended."""
        await self._end_seen.wait()
        assert self._ended is not None
        return self._ended

    # -- what clients do ---------------------------------------------------------------------

    async def send(self, content: str) -> None:
        """Send one user message; return once the agent works on it.

        Messages are sent one at a time, in order. Raises `EmptyMessage`, `Busy`, `DialogOpen` or
        another `SendError` of the driver."""
        await self._outbox.send(content)

    async def type(self, keys: str) -> None:
        """Write keystrokes unchanged, in any phase, in the order of the calls."""
        self._touch()
        self.stats.keystrokes += 1
        await self._controls.type(keys)

    async def interrupt(self) -> None:
        """Stop the agent's turn, and return once it has ended; a no-op if there is none.

        Raises `SendError` if it goes on. Of two calls at once, the second is a no-op."""
        self._touch()
        await self._controls.interrupt()

    def enqueue(self, content: str) -> tuple[Queued, int]:
        """Queue a message until the agent is idle; return it and its position, from 1.

        It is saved when this returns. Raises `EmptyMessage`, `QueueFull`, `AgentEnded`."""
        return self._outbox.enqueue(content, self.clock())

    def cancel_queued(self, id: int) -> None:
        """Remove a queued message. Raises `LookupError`, or `BeingSent` if it is too late."""
        self._outbox.cancel(id)

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        """Answer the open dialog; return once it is closed.

        Raises `LookupError` if there is no such dialog or choice, `SendError` if it stays open. Of
        two answers at once, the second finds the dialog closed: no key is pressed twice."""
        self._touch()
        await self._controls.answer(dialog_id, choice_id)

    def subscribe(self) -> Subscription:
        """Subscribe to the messages, the status and the notices so far, then to updates."""
        messages, notices = self._history.replay()
        return self.hub.subscribe([*messages, self._status.event, *notices])

    def subscribe_screen(self) -> Subscription:
        """Subscribe to the current screen and each change of it."""
        return self.screens.subscribe()

    def notice(self, level: Level, message: str) -> None:
        """Publish a notice outside the conversation."""
        self._history.notice(level, message)

    def warn(self, message: str) -> None:
        """Publish a warning."""
        self.notice(Level.WARNING, message)

    def save(self) -> None:
        """Save the state now (SIGUSR1)."""
        self._history.save_now()

    # -- driver events -----------------------------------------------------------------------

    def _on_event(self, event: DriverEvent) -> None:
        if self._verbatim is not None and isinstance(event, PhaseChanged | UserText | Exited):
            self._verbatim.release()
            if isinstance(event, PhaseChanged) and self._ends_turn(event.state):
                self._verbatim.hold(event.state, self._on_phase)
                if self._phase.dialog is not None:  # it is decided, whatever text is still to come
                    self._on_phase(PhaseState(Phase.WORKING, event.state.reason))
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
            case QuestionRendered(text):
                self._question.set_rendered(text)
            case NoticeRaised(level, message):
                self.notice(level, message)
            case ConversationReset(reason):
                self._start_over(reason)
            case Exited():
                self._on_exit(event)
            case _:
                apply_event(self.transcript, event)

    def _ends_turn(self, state: PhaseState) -> bool:
        return state.phase is Phase.IDLE and self._phase.phase in (Phase.WORKING, Phase.BLOCKED)

    def _on_agent_text(self, text: str) -> None:
        if self._opening and self.resumed:
            return  # a resumed agent renders its history again: the messages are here already
        if self._verbatim is not None:
            changed = self._verbatim.update_screen(text, self.clock())
        else:
            changed = self._history.set_agent_text(text)
        if changed:
            self._touch()
            self._status.text_changed()
            self._update_transcript()
            self._question.refresh()

    def _on_user_text(self, text: str) -> None:
        self._opening = False
        self._outbox.arrived(text)
        self._touch()
        self.user_at = self.active_at
        self._history.add(Role.USER, text)
        if self._verbatim is not None:
            self._verbatim.add_user_message(self._history.messages[-1])
        self._update_transcript(now=True)

    def _on_phase(self, state: PhaseState) -> None:
        self._history.flush_events()
        if state.phase is not self._phase.phase:
            self.phase_since = self.clock()
            log.info("phase %s: %s", state.phase.value, state.reason)
            self._touch()
            self._phase_changed(state)
        self._phase = state
        self._controls.on_phase(state)
        self.transcript.set_dialog(state.dialog, idle=state.phase in (Phase.IDLE, Phase.EXITED))
        self._update_transcript()
        if self._verbatim is not None:
            self._verbatim.set_working(state.phase in (Phase.WORKING, Phase.BLOCKED))
        self._question.on_phase(state)
        self._outbox.on_phase(state)
        self._publish_status()

    def _on_exit(self, event: Exited) -> None:
        if self._phase.phase is not Phase.EXITED:
            reason = f"signal {event.signal}" if event.code is None else f"status {event.code}"
            self._on_phase(PhaseState(Phase.EXITED, f"the agent ended with {reason}"))
        self._history.save_now()
        self._ended = event
        self._end_seen.set()

    def _start_over(self, reason: str) -> None:
        """Set the conversation aside and begin another. Subscribers have to subscribe again: the
        wire has no event that removes a message."""
        self._history.save_now()
        where = set_aside(self._store)
        self._history.clear()
        self.queue.clear()
        self.transcript.clear()
        self.resumed, self._opening, self.user_at = False, True, None
        self._restore(RestoredState())
        if self._verbatim is not None:
            self._verbatim.clear()
        self._history.save_now()
        self.notice(Level.WARNING, reason + where)
        self.hub.end_subscriptions()

    # -- publishing --------------------------------------------------------------------------

    def _restore(self, restored: RestoredState) -> None:
        for message in restored.messages:
            self._history.restore(message)
        if not self.resumed and self.driver.transport == "pty":
            self._history.restore(Message(0, Role.AGENT, "", self.started_at))
        if self._verbatim is not None:
            self._verbatim.screen.extend(self._history.messages)
        self.transcript.restore(self._history.messages)
        for warning in restored.warnings:
            self.notice(Level.WARNING, warning)

    def _update_transcript(self, *, now: bool = False) -> None:
        working = self._phase.phase is Phase.WORKING
        shown = self._history.messages if self._verbatim is None else self._verbatim.screen
        self.transcript.update_screen(shown, working, now=now)

    def _publish_status(self) -> None:
        waits_for_prompt = self._phase.phase is Phase.IDLE and not self.ready
        status = Status.RUNNING if waits_for_prompt else self._phase.phase.status
        self._status.change(status, in_turn=not self._opening)

    def _save(self) -> None:
        self._store.save(self.state())

    def _touch(self) -> None:
        self.active_at = self.clock()
