"""Drive an agent that resumes a session, and fall back to a fresh one.

    wait (another writer has the session) → resume → ready
                                              ↓ refused: no such session, or twice
                                            fresh

Wraps a driver that runs one command line; callers see one agent. If the agent refuses to resume,
the old conversation is set aside and a fresh one starts. A killed agent did not refuse, and an
exit after the start is final. Nothing starts while another program writes the session: two writers
would corrupt it, and a fresh start would lose it silently.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agentapi.agents.codex.relay import Program, Relay
from agentapi.agents.codex.resume.failure import failure_reason
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
RENDER_QUIET = 0.1
"""Seconds without a new frame after which a resumed history whose end shows is rendered."""
RENDER_TIMEOUT = 3.0
"""Seconds after which it counts as rendered in any case."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """How to start a run, read its screen and report its events."""

    make_program: Callable[[bool], Awaitable[Program]]
    """Make the driver of a run that resumes the session (True) or starts a fresh one (False)."""
    resume: bool
    """Whether there is a session to resume."""
    wait_until_free: Callable[[Callable[[str], None]], Awaitable[None]]
    """Wait until no other program writes the session; the argument is called with its writer."""
    retry_key: Callable[[str], str]
    """Return the key that makes the agent retry if the screen says that another program holds the
    session; else an empty string."""
    is_rendered: Callable[[str], bool]
    """Return whether the screen shows the end of the resumed conversation."""
    is_missing: Callable[[str], bool]
    """Return whether the last screen of a failed resume says that there is no such session."""
    on_started: Callable[[int], None]
    """Called with the process id of every run."""
    on_ready: Callable[[bool], None]
    """Called once, when a run waits for the user, with whether it is the resumed one."""
    on_exited: Callable[[Exited], None]
    """Called at the end of every run."""
    on_refused: Callable[[], None]
    """Called when the session is abandoned, before its conversation is set aside."""
    on_set_aside: Callable[[], None]
    """Called after the session's conversation was set aside."""


class ResumingDriver(Relay[Program]):
    """One agent, in as many runs as it takes to be ready."""

    def __init__(self, plan: RunPlan) -> None:
        super().__init__()
        self._plan = plan
        self._resuming = plan.resume
        self._ready = False
        self._stopping = False
        self._wait_reported = False
        self._failed_before = False
        self._idle: PhaseChanged | None = None
        self._idle_since = 0.0
        self._rendering = Timer(RENDER_QUIET, self._on_quiet, limit=RENDER_TIMEOUT)
        self._sink: Sink = lambda event: None
        self._restart: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None

    # -- the driver's interface --------------------------------------------------------------

    async def start(self, sink: Sink) -> None:
        """Start the agent once no other program writes its session. Raises `OSError`."""
        self._sink = sink
        if self._resuming:
            await self._plan.wait_until_free(self._report_wait)
            self._wait_reported = False
        await self._run_next()

    @property
    def holds_messages(self) -> bool:
        """True while a resumed agent renders its history: what it renders after a message would
        be taken for the answer."""
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

    # -- runs --------------------------------------------------------------------------------

    async def _run_next(self) -> None:
        program = await self._plan.make_program(self._resuming)
        if self.size is not None:
            await program.resize(*self.size)
        await self.run(program, self._on_event)
        if program.pid is not None:
            self._plan.on_started(program.pid)

    def _on_event(self, event: DriverEvent) -> None:
        if isinstance(event, Exited):
            self._on_exit(event)
            return
        if self._resuming and not self._ready:
            if isinstance(event, PhaseChanged) and event.state.phase is Phase.EXITED:
                return  # `Exited` follows, and perhaps a fresh start
            if isinstance(event, UserText | AgentText):
                return  # the rendered history, which is already known
            if isinstance(event, ScreenChanged):
                self._detect_other_writer()
            if self._hold_idle(event):
                return
        self._sink(event)
        if isinstance(event, PhaseChanged) and event.state.phase is Phase.IDLE:
            self._became_ready()

    def _hold_idle(self, event: DriverEvent) -> bool:
        """Hold back a resumed agent's idle event until its history is rendered; return whether
        this event is held."""
        if isinstance(event, ScreenChanged):
            if self._idle is not None:
                self._rendering.restart()
            return False
        if not isinstance(event, PhaseChanged):
            return False
        self._idle = event if event.state.phase is Phase.IDLE else None
        if self._idle is None:
            self._rendering.cancel()
            return False
        self._idle_since = asyncio.get_running_loop().time()
        self._rendering.restart()
        return True

    def _on_quiet(self) -> None:
        """Emit the held event if the screen shows the history, or the timeout has passed."""
        if self._idle is None:
            return
        waited = asyncio.get_running_loop().time() - self._idle_since
        if waited < RENDER_TIMEOUT and not self._plan.is_rendered(self.screen()):
            self._rendering.restart()
            return
        event, self._idle = self._idle, None
        self._sink(event)
        self._became_ready()

    def _became_ready(self) -> None:
        if not self._ready:
            self._ready = True
            self._end_retries()
            self._plan.on_ready(self._resuming)

    def _on_exit(self, event: Exited) -> None:
        self._end_retries()
        self._plan.on_exited(event)
        if self._stopping or self._ready or not self._resuming or not _failed(event):
            self._sink(event)
            return
        reason = failure_reason(event.screen)
        if self._failed_before or self._plan.is_missing(event.screen):
            self._resuming = False
            self._plan.on_refused()
            self._sink(
                ConversationReset(
                    f"the session could not be resumed, a fresh one is started ({reason})"
                )
            )
            self._plan.on_set_aside()  # last: a daemon that is killed before this starts over
            self._phase("starting afresh: the session could not be resumed")
        else:
            self._failed_before = True
            _log.warning("the session could not be resumed, it is tried once more: %s", reason)
            self._phase("resuming once more")
        self._restart = asyncio.create_task(self._run_again(event), name="run the agent again")

    async def _run_again(self, failed: Exited) -> None:
        if self.program is not None:
            await self.program.stop(0)  # it has exited; this stops its companion
        try:
            await self._run_next()
        except OSError as error:
            _log.error("the agent could not be started again: %s", error)
            self._sink(Exited(failed.code, failed.signal, f"{failed.screen}\n{error}"))

    # -- a session that another program writes ------------------------------------------------

    def _detect_other_writer(self) -> None:
        if self._retry is not None:
            return
        if key := self._plan.retry_key(self.screen()):
            self._report_wait("another program that this one cannot see")
            loop = asyncio.get_running_loop()
            self._retry = loop.call_later(RETRY_INTERVAL, self._try_again, key)

    def _try_again(self, key: str) -> None:
        self._retry = None
        if self._plan.retry_key(self.screen()):
            self._restart = asyncio.create_task(self.keys(key), name="retry the resume")
            loop = asyncio.get_running_loop()
            self._retry = loop.call_later(RETRY_INTERVAL, self._try_again, key)

    def _end_retries(self) -> None:
        self._rendering.cancel()
        self._idle = None
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _report_wait(self, writer: str) -> None:
        self._phase(f"the session is in use by {writer}")
        if not self._wait_reported:
            self._wait_reported = True
            self.warn(
                f"the session is in use by {writer}: it is resumed as soon as that one ends;"
                " nothing is started until then"
            )

    def _phase(self, reason: str) -> None:
        self._sink(PhaseChanged(PhaseState(Phase.STARTING, reason)))

    def warn(self, message: str) -> None:
        """Send a warning to the clients."""
        self._sink(NoticeRaised(Level.WARNING, message))


def _failed(event: Exited) -> bool:
    """Return whether the agent failed by itself: a status over 128 stands for a signal."""
    return event.code is not None and 0 < event.code <= 128
