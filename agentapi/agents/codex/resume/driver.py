"""Drive an agent that shall go on with a session: which command line runs next, and when.

    wait (another writer has the session) → resume → ready
                                              ↓ refused: no such session, or twice
                                            fresh

Around a driver that runs one command line; for its user it is one agent. A resume that the agent
refuses is followed by a fresh start, and what was said before is set aside; an agent that was
killed did not refuse it, and an end after the start is the agent's own. While another program
writes the session nothing is started: two writers would spoil it, and a fresh start would be a
silent loss.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agentapi.agents.codex.relay import Program, Relay
from agentapi.agents.codex.resume.reason import reason_on
from agentapi.agents.driver import Sink
from agentapi.model.conversation import Level, Phase, PhaseState
from agentapi.model.events import (
    AgentText,
    ConversationReset,
    DriverEvent,
    Exited,
    NoticeRaised,
    PhaseChanged,
    ScreenChanged,
    UserText,
)
from agentapi.timing.timer import Timer

RETRY_INTERVAL = 3.0
"""Seconds between two attempts while a program that we cannot see has the session."""
PAINTING_GAP = 0.1
"""Seconds without a new frame after which a resumed history that shows its end is painted."""
PAINTING_LIMIT = 3.0
"""Seconds after which it counts as painted all the same."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What to run, and whom to tell."""

    make: Callable[[bool], Awaitable[Program]]
    """The driver of a run that resumes the session (True) or starts a fresh one (False)."""
    resume: bool
    """Whether there is a session to resume."""
    free: Callable[[Callable[[str], None]], Awaitable[None]]
    """Returns when no other program writes the session; tells by its argument who does."""
    held_key: Callable[[str], str]
    """The key that makes the agent try again, if its screen says that the session is held by
    another program; else nothing."""
    painted: Callable[[str], bool]
    """Whether the screen shows the end of the resumed conversation."""
    gone: Callable[[str], bool]
    """Whether the last screen of a failed resume says that there is no such session."""
    started: Callable[[int], None]
    """Told the process of every run."""
    ready: Callable[[bool], None]
    """Told once, when a run waits for the user: whether it is the resumed one."""
    ended: Callable[[Exited], None]
    """Told the end of every run."""
    refused: Callable[[], None]
    """Told that the session is given up: nothing that is told of it counts any more."""
    forgotten: Callable[[], None]
    """Told when the conversation of the session is set aside."""


class ResumingDriver(Relay[Program]):
    """One agent, in as many runs as it takes to be ready."""

    def __init__(self, plan: RunPlan) -> None:
        super().__init__()
        self._plan = plan
        self._resuming = plan.resume
        self._ready = False
        self._stopping = False
        self._held_told = False
        self._failed_before = False
        self._idle: PhaseChanged | None = None
        self._idle_since = 0.0
        self._painting = Timer(PAINTING_GAP, self._painted, limit=PAINTING_LIMIT)
        self._sink: Sink = lambda event: None
        self._restart: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None

    # -- the driver's face -------------------------------------------------------------------

    async def start(self, sink: Sink) -> None:
        """Start the agent; waits while another program writes its session. Raises `OSError`."""
        self._sink = sink
        if self._resuming:
            await self._plan.free(self._tell_held)
            self._held_told = False
        await self._run_next()

    @property
    def holds_messages(self) -> bool:
        """While a resumed agent paints its history: what it paints after a message would be taken
        for that one's answer."""
        return self._idle is not None

    async def stop(self, grace: float) -> None:
        """See `Driver.stop`."""
        self._stopping = True
        self._end_retries()
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.gather(self._restart, return_exceptions=True)
        if self.program is not None:
            await self.program.stop(grace)

    # -- one run after the other -------------------------------------------------------------

    async def _run_next(self) -> None:
        program = await self._plan.make(self._resuming)
        if self.size is not None:
            await program.resize(*self.size)
        await self.run(program, self._on_event)
        if program.pid is not None:
            self._plan.started(program.pid)

    def _on_event(self, event: DriverEvent) -> None:
        if isinstance(event, Exited):
            self._on_exit(event)
            return
        if self._resuming and not self._ready:
            if isinstance(event, PhaseChanged) and event.state.phase is Phase.EXITED:
                return  # the end follows, and perhaps a fresh start
            if isinstance(event, UserText | AgentText):
                return  # the history that a resumed agent paints again is no news
            if isinstance(event, ScreenChanged):
                self._look_for_another_writer()
            if self._hold(event):
                return
        self._sink(event)
        if isinstance(event, PhaseChanged) and event.state.phase is Phase.IDLE:
            self._became_ready()

    def _hold(self, event: DriverEvent) -> bool:
        """Keep back that a resumed agent waits for the user until its history stands on the
        screen: what it paints after the next message would be taken for that one's answer."""
        if isinstance(event, ScreenChanged):
            if self._idle is not None:
                self._painting.restart()
            return False
        if not isinstance(event, PhaseChanged):
            return False
        self._idle = event if event.state.phase is Phase.IDLE else None
        if self._idle is None:
            self._painting.cancel()
            return False
        self._idle_since = asyncio.get_running_loop().time()
        self._painting.restart()
        return True

    def _painted(self) -> None:
        """The screen stands still: pass on what was kept back."""
        if self._idle is None:
            return
        waited = asyncio.get_running_loop().time() - self._idle_since
        if waited < PAINTING_LIMIT and not self._plan.painted(self.screen()):
            self._painting.restart()
            return
        event, self._idle = self._idle, None
        self._sink(event)
        self._became_ready()

    def _became_ready(self) -> None:
        if not self._ready:
            self._ready = True
            self._end_retries()
            self._plan.ready(self._resuming)

    def _on_exit(self, event: Exited) -> None:
        self._end_retries()
        self._plan.ended(event)
        if self._stopping or self._ready or not self._resuming or not _refused(event):
            self._sink(event)
            return
        reason = reason_on(event.screen)
        if self._failed_before or self._plan.gone(event.screen):
            self._resuming = False
            self._plan.refused()
            self._sink(
                ConversationReset(
                    f"the session could not be resumed, a fresh one is started ({reason})"
                )
            )
            self._plan.forgotten()  # last: a daemon that is killed before tries all of it again
            self._phase("starting afresh: the session could not be resumed")
        else:
            self._failed_before = True
            _log.warning("the session could not be resumed, it is tried once more: %s", reason)
            self._phase("resuming once more")
        self._restart = asyncio.create_task(self._run_again(event), name="run the agent again")

    async def _run_again(self, failed: Exited) -> None:
        if self.program is not None:
            await self.program.stop(0)  # it has ended; what runs beside it ends, too
        try:
            await self._run_next()
        except OSError as error:
            _log.error("the agent could not be started again: %s", error)
            self._sink(Exited(failed.code, failed.signal, f"{failed.screen}\n{error}"))

    # -- a session that another program writes ------------------------------------------------

    def _look_for_another_writer(self) -> None:
        if self._retry is not None:
            return
        if key := self._plan.held_key(self.screen()):
            self._tell_held("another program that this one cannot see")
            loop = asyncio.get_running_loop()
            self._retry = loop.call_later(RETRY_INTERVAL, self._try_again, key)

    def _try_again(self, key: str) -> None:
        self._retry = None
        if self._plan.held_key(self.screen()):
            self._restart = asyncio.create_task(self.keys(key), name="retry the resume")
            loop = asyncio.get_running_loop()
            self._retry = loop.call_later(RETRY_INTERVAL, self._try_again, key)

    def _end_retries(self) -> None:
        self._painting.cancel()
        self._idle = None
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _tell_held(self, who: str) -> None:
        self._phase(f"the session is in use by {who}")
        if not self._held_told:
            self._held_told = True
            self.warn(
                f"the session is in use by {who}: it is resumed as soon as that one ends;"
                " nothing is started until then"
            )

    def _phase(self, because: str) -> None:
        self._sink(PhaseChanged(PhaseState(Phase.STARTING, because)))

    def warn(self, message: str) -> None:
        """Tell the clients something."""
        self._sink(NoticeRaised(Level.WARNING, message))


def _refused(event: Exited) -> bool:
    """Whether the agent failed by itself: a status over 128 is how a shell tells a signal."""
    return event.code is not None and 0 < event.code <= 128
