"""The composition of `agentapi codex`: Codex with what the folder's past decides, and what is
learnt of its session while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from agentapi.agents.codex.drive import NO_LINK, outliving
from agentapi.agents.codex.driver import NOT_STARTED, CodexDriver
from agentapi.agents.codex.home import codex_home
from agentapi.agents.codex.launch import NO_ALT_SCREEN, known_flags
from agentapi.agents.codex.link.option import link_wanted
from agentapi.agents.codex.options import CodexSettings
from agentapi.agents.codex.resume.driver import ResumingDriver, RunPlan
from agentapi.agents.codex.resume.past import Past
from agentapi.agents.codex.resume.recall import known, recall
from agentapi.agents.codex.resume.session_files import (
    SessionMeta,
    find_rollout,
    read_meta,
    stems_from,
)
from agentapi.agents.codex.resume.sessions import session_in_exit_text
from agentapi.agents.codex.resume.watch import SessionWatch
from agentapi.agents.codex.rollout.feed import RolloutFeed
from agentapi.agents.codex.screen.profile import CODEX
from agentapi.agents.generic.console import Console
from agentapi.agents.generic.drive import terminal
from agentapi.agents.generic.tui import TuiDriver
from agentapi.agents.offers.parts import Parts, StdinPrompt
from agentapi.model.comparison import letters
from agentapi.model.events import Exited
from agentapi.processes.open_files import open_for_writing, wait_for_end
from agentapi.terminal import child_environment
from agentapi.terminal.recording import Tape

_HELD = ("open in another app", "already has an active writer")
_GONE = "No saved session found"
_RETRY_KEY = "r"
_TAIL = 40
"""Letters of a message's end that are looked for on the screen."""


class CodexRun:
    """One `agentapi codex`."""

    def __init__(self, settings: CodexSettings, say: Callable[[str], None]) -> None:
        """`say` prints a line for operators."""
        self._settings = settings
        self._say = say
        self._environment = child_environment(os.environ)
        self._home = codex_home()
        self._past = Past(settings, self._home, say)
        self._tracker = self._past.tracker
        self._session = self._past.session
        self._resumed = False
        self._prompt_known: asyncio.Future[str | None] | None = None
        self._driver: ResumingDriver
        self._codex: CodexDriver | None = None
        self._tape = Tape(settings.server.record) if settings.server.record else None
        self._watch = SessionWatch(self._home, self._on_session)
        self._transcript = RolloutFeed(
            lambda entries, anew=False: self._driver.recorded(entries, anew)
        )

    def parts(self, of_stdin: StdinPrompt) -> Parts:
        """What the server is made of. Call it on the event loop."""
        past = self._past
        meta = past.decide()
        prompt: str | Awaitable[str | None] | None
        if meta is not None:
            self._say("Resuming existing session...")
            self._prompt_known = asyncio.get_running_loop().create_future()
            prompt = self._prompt_known
        else:
            prompt = self._settings.prompt or past.unsent_prompt or of_stdin()
        self._driver = ResumingDriver(self._plan(meta is not None))
        if self._session.rollout is not None:
            self._transcript.found(self._session.rollout)
        return Parts(
            driver=self._driver,
            store=past.store,
            history=past.history,
            initial_prompt=prompt,
            about=self._about,
            transcript=self._transcript,
            outlives=outliving(self._settings.server),
            close=self._close,
        )

    # -- running -----------------------------------------------------------------------------

    def _plan(self, resume: bool) -> RunPlan:
        return RunPlan(
            make=self._make,
            resume=resume,
            free=self._free,
            held_key=_held_key,
            painted=self._painted,
            gone=lambda screen: _GONE in " ".join(screen.split()),
            started=self._started,
            ready=self._ready,
            ended=self._ended,
            refused=self._refused,
            forgotten=self._session.forget,
        )

    def _program(self, command: list[str]) -> TuiDriver | CodexDriver:
        server = self._settings.server
        place = terminal(server) | {"cwd": self._settings.workdir, "record": self._tape}
        if server.verbatim:
            return TuiDriver(CODEX, Console(command, **place))
        self._codex = CodexDriver(
            CODEX,
            command,
            link=link_wanted(server),
            session=self._session,
            restarted=self._started,
            **place,
        )
        return self._codex

    async def _make(self, resume: bool) -> TuiDriver | CodexDriver:
        settings = self._settings
        words = [*settings.arguments]
        if not settings.server.verbatim and NO_ALT_SCREEN not in words:
            known = await known_flags(settings.codex, self._environment)
            words = [NO_ALT_SCREEN, *words] if NO_ALT_SCREEN in known else words
        if resume:
            assert self._session.recorded_id is not None
            words += ["resume", self._session.recorded_id]
        else:
            self._session.begin_afresh()
        self._say(f"Starting Codex with arguments: {' '.join(words)}")
        if not self._watch.running:
            self._watch.start()
        return self._program([*settings.wrap, settings.codex, *words])

    async def _free(self, tell: Callable[[str], None]) -> None:
        """Wait until no program that we can see writes the session."""
        while self._session.rollout is not None:
            holders = open_for_writing(self._session.rollout)
            if not holders:
                return
            numbers = ", ".join(str(pid) for pid in sorted(holders))
            tell(f"process {numbers}")
            await wait_for_end(holders)

    def _started(self, pid: int) -> None:
        self._watch.follow(pid)
        with contextlib.suppress(OSError):
            self._tracker.note_agent(pid)
        if self._session.recorded_id is None:
            self._say("Capturing new session ID...")

    def _ready(self, resumed: bool) -> None:
        self._resumed = resumed
        if resumed:
            self._session.remember()
        if self._prompt_known is not None and not self._prompt_known.done():
            fresh = self._settings.prompt or self._past.unsent_prompt
            self._prompt_known.set_result(self._past.prompt_after_resume if resumed else fresh)

    def _refused(self) -> None:
        """Codex cannot go on with the session."""
        self._session.give_up()
        self._transcript.forget()

    def _painted(self, screen: str) -> bool:
        """Whether the last words of either side show; how Codex renders them does not matter."""
        shown = letters(screen)
        last = {one.role: letters(one.text)[-_TAIL:] for one in known(self._past.recalled)}
        return any(words in shown for words in last.values())

    def _ended(self, event: Exited) -> None:
        session = session_in_exit_text(event.screen)
        rollout = find_rollout(self._home, session) if session else None
        if rollout is None:
            return
        with contextlib.suppress(OSError):
            meta = read_meta(rollout)
            if meta is not None and meta.by_user and recall(rollout):
                self._on_session(meta, rollout)

    def _on_session(self, meta: SessionMeta, rollout: Path) -> None:
        self._transcript.found(rollout)
        before = self._session.turn_to(meta, rollout)
        with contextlib.suppress(OSError):
            if before is None or stems_from(rollout, before):
                return
            self._driver.warn(
                f"the agent is in another session now, {meta.id}: it knows nothing of what was said"
                f" before in {before}, which the next start sets aside"
            )

    def _about(self) -> dict[str, object]:
        """What `GET /session` shows of Codex."""
        linked = self._codex
        return {
            "session_id": self._session.id,
            "agent_version": self._session.version,
            "workdir": str(self._settings.workdir),
            "resumed": self._resumed,
            "usage": linked.usage if linked is not None else None,
            "link": linked.link if linked is not None else self._no_link,
        }

    @property
    def _no_link(self) -> str:
        return NO_LINK if self._settings.server.verbatim else NOT_STARTED

    async def _close(self) -> None:
        await self._watch.stop()
        self._tracker.release()


def _held_key(screen: str) -> str:
    return _RETRY_KEY if any(words in screen for words in _HELD) else ""
