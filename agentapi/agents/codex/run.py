"""Compose `agentapi codex`: resume the folder's session, and track the session that Codex is in."""

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
from agentapi.agents.codex.resume.history import in_context, read_history
from agentapi.agents.codex.resume.previous_run import PreviousRun
from agentapi.agents.codex.resume.session_files import (
    SessionMeta,
    descends_from,
    find_rollout,
    read_meta,
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
_MISSING = "No saved session found"
_RETRY_KEY = "r"
_TAIL = 40
"""Letters of a message's end that are searched for on the screen."""


class CodexRun:
    """One `agentapi codex`."""

    def __init__(self, settings: CodexSettings, log: Callable[[str], None]) -> None:
        """`log` prints a line for operators."""
        self._settings = settings
        self._log = log
        self._environment = child_environment(os.environ)
        self._home = codex_home()
        self._previous = PreviousRun(settings, self._home, log)
        self._tracker = self._previous.tracker
        self._session = self._previous.session
        self._resumed = False
        self._initial_prompt: asyncio.Future[str | None] | None = None
        self._driver: ResumingDriver
        self._codex: CodexDriver | None = None
        self._tape = Tape(settings.server.record) if settings.server.record else None
        self._watch = SessionWatch(self._home, self._on_session)
        self._transcript = RolloutFeed(
            lambda entries, anew=False: self._driver.recorded(entries, anew)
        )

    def parts(self, read_stdin: StdinPrompt) -> Parts:
        """Return the parts of the server. Call it on the event loop."""
        previous = self._previous
        meta = previous.choose_session()
        prompt: str | Awaitable[str | None] | None
        if meta is not None:
            self._log("Resuming existing session...")
            self._initial_prompt = asyncio.get_running_loop().create_future()
            prompt = self._initial_prompt
        else:
            prompt = self._settings.prompt or previous.unsent_prompt or read_stdin()
        self._driver = ResumingDriver(self._plan(meta is not None))
        if self._session.rollout is not None:
            self._transcript.follow(self._session.rollout)
        return Parts(
            driver=self._driver,
            store=previous.store,
            history=previous.history,
            initial_prompt=prompt,
            about=self._about,
            transcript=self._transcript,
            outlives=outliving(self._settings.server),
            close=self._close,
        )

    # -- running -----------------------------------------------------------------------------

    def _plan(self, resume: bool) -> RunPlan:
        return RunPlan(
            make_program=self._make_program,
            resume=resume,
            wait_until_free=self._wait_until_free,
            retry_key=_retry_key,
            is_rendered=self._is_rendered,
            is_missing=lambda screen: _MISSING in " ".join(screen.split()),
            on_started=self._on_started,
            on_ready=self._on_ready,
            on_exited=self._on_exited,
            on_refused=self._on_refused,
            on_set_aside=self._session.untrack,
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
            restarted=self._on_started,
            **place,
        )
        return self._codex

    async def _make_program(self, resume: bool) -> TuiDriver | CodexDriver:
        settings = self._settings
        words = [*settings.arguments]
        if not settings.server.verbatim and NO_ALT_SCREEN not in words:
            flags = await known_flags(settings.codex, self._environment)
            words = [NO_ALT_SCREEN, *words] if NO_ALT_SCREEN in flags else words
        if resume:
            assert self._session.recorded_id is not None
            words += ["resume", self._session.recorded_id]
        else:
            self._session.start_fresh()
        self._log(f"Starting Codex with arguments: {' '.join(words)}")
        if not self._watch.running:
            self._watch.start()
        return self._program([*settings.wrap, settings.codex, *words])

    async def _wait_until_free(self, report: Callable[[str], None]) -> None:
        """Wait until no program that we can see writes the session."""
        while self._session.rollout is not None:
            holders = open_for_writing(self._session.rollout)
            if not holders:
                return
            numbers = ", ".join(str(pid) for pid in sorted(holders))
            report(f"process {numbers}")
            await wait_for_end(holders)

    def _on_started(self, pid: int) -> None:
        self._watch.follow(pid)
        with contextlib.suppress(OSError):
            self._tracker.record_agent(pid)
        if self._session.recorded_id is None:
            self._log("Capturing new session ID...")

    def _on_ready(self, resumed: bool) -> None:
        self._resumed = resumed
        if resumed:
            self._session.track()
        if self._initial_prompt is not None and not self._initial_prompt.done():
            previous = self._previous
            fresh = self._settings.prompt or previous.unsent_prompt
            self._initial_prompt.set_result(previous.prompt_after_resume if resumed else fresh)

    def _on_refused(self) -> None:
        """Drop the session: Codex cannot resume it."""
        self._session.discard()
        self._transcript.reset()

    def _is_rendered(self, screen: str) -> bool:
        """Return whether the screen shows the end of either side's last message, comparing only
        letters: Codex may render the rest differently."""
        displayed = letters(screen)
        utterances = in_context(self._previous.utterances)
        last = {utterance.role: letters(utterance.text)[-_TAIL:] for utterance in utterances}
        return any(ending in displayed for ending in last.values())

    def _on_exited(self, event: Exited) -> None:
        session = session_in_exit_text(event.screen)
        rollout = find_rollout(self._home, session) if session else None
        if rollout is None:
            return
        with contextlib.suppress(OSError):
            meta = read_meta(rollout)
            if meta is not None and meta.by_user and read_history(rollout):
                self._on_session(meta, rollout)

    def _on_session(self, meta: SessionMeta, rollout: Path) -> None:
        self._transcript.follow(rollout)
        before = self._session.switch_to(meta, rollout)
        with contextlib.suppress(OSError):
            if before is None or descends_from(rollout, before):
                return
            self._driver.warn(
                f"the agent is in another session now, {meta.id}: it knows nothing of what was said"
                f" before in {before}, which the next start sets aside"
            )

    def _about(self) -> dict[str, object]:
        """Return Codex's part of `GET /session`."""
        codex = self._codex
        return {
            "session_id": self._session.id,
            "agent_version": self._session.version,
            "workdir": str(self._settings.workdir),
            "resumed": self._resumed,
            "usage": codex.usage if codex is not None else None,
            "link": codex.link if codex is not None else self._no_link,
        }

    @property
    def _no_link(self) -> str:
        return NO_LINK if self._settings.server.verbatim else NOT_STARTED

    async def _close(self) -> None:
        await self._watch.stop()
        self._tracker.release()


def _retry_key(screen: str) -> str:
    return _RETRY_KEY if any(text in screen for text in _HELD) else ""
