"""Drive Codex: its TUI on a terminal, and the link to its app-server where available.

    link off, or Codex too old  ->  the TUI alone (with --no-daemon where supported)
    link                        ->  app-server, TUI with --remote, ourselves as a second client
    the link is lost            ->  both are restarted with the same session; when that happens too
                                    often, the TUI alone

A TUI that has lost its app-server stays on the screen and does nothing, so it is always replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentapi.agents.codex.launch import known_flags, without_daemon
from agentapi.agents.codex.link.command import CodexCommand
from agentapi.agents.codex.link.companion import LinkCompanion
from agentapi.agents.codex.link.events import EventBuffer
from agentapi.agents.codex.relay import Relay
from agentapi.agents.codex.session import CurrentSession
from agentapi.agents.codex.trust import is_undecided
from agentapi.agents.codex.versions import REMOTE
from agentapi.agents.driver import Sink
from agentapi.agents.generic.console import Console
from agentapi.agents.generic.tui import TuiDriver
from agentapi.conversation.profile import AgentProfile
from agentapi.model.conversation import Level, Phase, PhaseState
from agentapi.model.events import (
    AgentText,
    DriverEvent,
    Exited,
    LinkEnded,
    NoticeRaised,
    PhaseChanged,
    SessionKnown,
    UserText,
)

if TYPE_CHECKING:
    from agentapi.terminal.recording import Tape

RESTARTS = 2
"""How often a lost link is restored within `RESTART_SPAN` seconds."""
RESTART_SPAN = 3600.0
RESTART_GRACE = 1.0
"""Seconds that a TUI gets to exit after its app-server has exited."""

NOT_STARTED = "off: not started yet"
UNTRUSTED = (
    "Codex was never told whether to trust this folder, and with the link it does not ask: it may"
    " only read. Start it once without the link, or set sandbox_mode"
)

log = logging.getLogger(__name__)


class CodexDriver(Relay[TuiDriver]):
    """One Codex. `link` is `auto` (where available), `on` (or the start fails) or `off`;
    `restarted` is called with the new `pid` after a restart."""

    def __init__(
        self,
        profile: AgentProfile,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str],
        columns: int = 80,
        rows: int = 1000,
        record: Path | Tape | None = None,
        spare: Callable[[int], bool] = lambda pid: False,
        link: str = "off",
        session: CurrentSession | None = None,
        restarted: Callable[[int], None] = lambda pid: None,
    ) -> None:
        super().__init__()
        self._profile, self._command = profile, list(command)
        self._cwd, self._env, self._spare = cwd, env, spare
        self._record = _tape(record)
        self._restarted = restarted
        self._first_size = (columns, rows)
        self._wanted = link
        self.companion: LinkCompanion | None = None
        """The link beside the TUI that runs now."""
        self._sink: Sink = lambda event: None
        self._restarting: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._lost_at: list[float] = []
        """When the link was lost, within `RESTART_SPAN`."""
        self._muted = False
        """Whether to drop the agent's text: after a loss of the app-server the TUI renders that
        error, and then the old conversation."""
        self._stopping = False
        self.session = session or CurrentSession()
        """The session, updated by the link."""
        self.link = NOT_STARTED
        """`on`, or `off` and the reason."""

    # -- the driver's interface ------------------------------------------------------------------

    async def start(self, sink: Sink) -> None:
        """Start Codex. Raises `OSError`."""
        self._sink = sink
        self.session.run_started()
        command = CodexCommand.parse(self._command)
        obstacle = await self._obstacle(command)
        if not obstacle and command is not None:
            try:
                await self._start_linked(command)
            except OSError as error:
                obstacle = str(error)
            else:
                return
        if self._wanted == "on":
            raise OSError(f"--codex-link on: {obstacle}")
        if self._wanted == "auto":
            log.warning("Codex runs without the link to its app-server: %s", obstacle)
        await self._start_alone(self._command, obstacle)

    @property
    def holds_messages(self) -> bool:
        """True while Codex restarts."""
        return self._restarting is not None

    async def stop(self, grace: float) -> None:
        """Stop the TUI and the app-server and wait for their exit. Idempotent."""
        self._stopping = True
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
        if self.program is not None:
            await self.program.stop(grace)
            await _end_link(self.companion)
        if self._ending is not None:
            await self._ending

    @property
    def pid(self) -> int | None:
        """The process that, with its children, writes the session: the app-server if there is one,
        else the TUI."""
        if self.companion is not None:
            return self.companion.link.pid
        return self.program.pid if self.program is not None else None

    @property
    def session_id(self) -> str | None:
        """Codex's id of the session, if known."""
        return self.session.id

    @property
    def agent_version(self) -> str | None:
        """Codex's version, if known."""
        return self.session.version

    @property
    def usage(self) -> Mapping[str, object] | None:
        """The token usage so far, if the link reports it."""
        return self.companion.usage if self.companion is not None else None

    # -- starting ----------------------------------------------------------------------------------

    async def _obstacle(self, command: CodexCommand | None) -> str:
        """Return why the link is not possible; empty when it is."""
        if self._wanted == "off":
            return "switched off"
        if command is None:
            return "the command line does not name codex"
        if reason := command.obstacle():
            return reason
        if REMOTE.sign not in await known_flags(command.program, self._env):
            return "this version of Codex has no --remote unix://"
        if is_undecided(command, self._cwd or Path.cwd(), self._env):
            if self._wanted != "on":
                return "Codex has to ask first whether to trust this folder"
            self._sink(NoticeRaised(Level.WARNING, UNTRUSTED))
        return ""

    async def _start_alone(self, command: Sequence[str], reason: str) -> None:
        self.link = f"off: {reason}"
        self.session.link_lost()
        self._sink(LinkEnded())
        words = await without_daemon(command, self._env)
        await self._start(TuiDriver(self._profile, Console(words, **self._place())))

    async def _start_linked(self, command: CodexCommand) -> None:
        """Start Codex with the link. Raises `OSError`, also when it is lost before the TUI runs."""
        from agentapi.agents.codex.link.link import CodexLink

        events = EventBuffer()
        link = CodexLink(events)
        socket = await link.start(command, cwd=self._cwd, env=self._env)
        companion = LinkCompanion(link, lambda reason: self._on_link_lost(tui, companion, reason))
        console = Console(command.tui(socket), **self._place())
        tui = TuiDriver(self._profile, console, companion=companion)
        self.session.link_started(link.version)
        try:
            await self._start(tui, companion)
            if events.lost_reason:
                raise OSError(events.lost_reason)
        except BaseException:
            self.program = self.companion = None  # so that its exit is not reported
            await tui.stop(RESTART_GRACE)
            await link.end()
            raise
        events.forward_to(companion.handle)
        self.link = "on"
        log.info("linked to Codex's app-server, version %s", link.version)

    def _place(self) -> dict[str, Any]:
        columns, rows = self.size or self._first_size
        return {
            "cwd": self._cwd,
            "env": self._env,
            "columns": columns,
            "rows": rows,
            "record": self._record,
            "spare": self._spare,
        }

    async def _start(self, tui: TuiDriver, companion: LinkCompanion | None = None) -> None:
        self.companion = companion
        await self.run(tui, lambda event: self._on_event(tui, event))

    # -- events ------------------------------------------------------------------------------------

    def _on_event(self, tui: TuiDriver, event: DriverEvent) -> None:
        """Forward an event of the current TUI."""
        if tui is not self.program or (self._restarting is not None and _is_end(event)):
            return
        match event:
            case UserText():
                self._muted = False
            case AgentText() if self._muted:
                return
            case SessionKnown(number):
                self.session.link_opened(number)
            case Exited():  # the app-server is of no use without its TUI
                ending = _end_link(self.companion)
                self._ending = asyncio.create_task(ending, name="codex: end")
        self._sink(event)

    # -- losing the link ---------------------------------------------------------------------------

    def _on_link_lost(self, tui: TuiDriver, companion: LinkCompanion, reason: str) -> None:
        """Restart Codex, unless it is stopping or has exited."""
        if self._stopping or tui is not self.program or tui.phase is Phase.EXITED:
            return
        log.warning("the link to Codex's app-server is lost: %s", reason)
        self._sink(LinkEnded())
        first = reason.partition("\n")[0]
        self._sink(NoticeRaised(Level.WARNING, f"Codex is started again, because {first}"))
        self._muted = True  # the TUI now renders its own error
        self._restarting = asyncio.create_task(self._restart(tui, companion), name="codex: restart")
        self._sink(PhaseChanged(PhaseState(Phase.STARTING, f"started again: {first}")))

    async def _restart(self, tui: TuiDriver, companion: LinkCompanion) -> None:
        """Stop what is left and restart; if that fails in any way, report an exit."""
        try:
            await self._restart_session(tui, companion)
        except Exception as error:
            log.exception("Codex could not be started again")
            reason = f"Codex could not be started again: {error or type(error).__name__}"
            self._sink(PhaseChanged(PhaseState(Phase.EXITED, reason)))
            self._sink(Exited(1, None, reason))
        finally:
            self._restarting = None

    async def _restart_session(self, tui: TuiDriver, companion: LinkCompanion) -> None:
        """Restart with the same session, if it can be resumed."""
        await tui.stop(RESTART_GRACE)
        await _end_link(companion)
        command = CodexCommand.parse(self._command)
        assert command is not None
        link = companion.link
        if link.resumable and link.thread:
            command = command.resuming(link.thread)
        self.program = self.companion = None
        now = asyncio.get_running_loop().time()
        self._lost_at = [at for at in self._lost_at if now - at < RESTART_SPAN] + [now]
        await self._start_linked_or_alone(command)
        if self.pid is not None:
            self._restarted(self.pid)

    async def _start_linked_or_alone(self, command: CodexCommand) -> None:
        if len(self._lost_at) <= RESTARTS:
            try:
                await self._start_linked(command)
            except OSError as error:
                log.warning("no new link: %s", error)
            else:
                return
        alone = [*command.prefix, command.program, *command.arguments]
        await self._start_alone(alone, "it was lost")


async def _end_link(companion: LinkCompanion | None) -> None:
    if companion is not None:
        with contextlib.suppress(OSError):
            await companion.link.end()


def _tape(record: Path | Tape | None) -> Tape | None:
    """Open the tape that all runs are recorded on."""
    if record is None:
        return None
    from agentapi.terminal.recording import Tape

    return Tape.of(record)


def _is_end(event: DriverEvent) -> bool:
    ended = isinstance(event, PhaseChanged) and event.state.phase is Phase.EXITED
    return ended or isinstance(event, Exited)
