"""The composition of `agentapi codex`: which session goes on, with which messages and which prompt.

Nothing is lost without a word: what a fresh start leaves behind is moved aside, and the log and the
clients are told where.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agentapi.agents import profile_for
from agentapi.cli.server import Parts
from agentapi.cli.stdin_prompt import read_prompt, stdin_may_hold_prompt
from agentapi.codex.launch import INLINE, known_flags
from agentapi.codex.options import CodexSettings
from agentapi.codex.processes import ended_within, open_for_writing, wait_for_end
from agentapi.codex.recall import Said, merge, recall
from agentapi.codex.rollout_feed import RolloutFeed
from agentapi.codex.session_watch import SessionWatch
from agentapi.codex.sessions import (
    SessionMeta,
    Tracker,
    find_rollout,
    read_meta,
    session_in_exit_text,
)
from agentapi.conversation.model import Role
from agentapi.drivers.base import Exited
from agentapi.drivers.codex import CodexDriver
from agentapi.drivers.resuming import Plan, ResumingDriver
from agentapi.drivers.tui import TuiDriver
from agentapi.state import RestoredState
from agentapi.storage import StateStore
from agentapi.terminal import child_environment
from agentapi.terminal.recording import Tape

ORPHAN_LIMIT = 0.5
"""Seconds that the agent of a killed daemon has to end before the next one looks at its files."""
_HELD = ("open in another app", "already has an active writer")
_GONE = "No saved session found"
_RETRY_KEY = "r"
_TAIL = 40
"""Letters of a message's end that are looked for on the screen."""

_log = logging.getLogger(__name__)


class CodexRun:
    """Everything that one `agentapi codex` decides before its agent runs, and learns after."""

    def __init__(self, settings: CodexSettings, say: Callable[[str], None]) -> None:
        """`say` prints a line for operators."""
        self._settings = settings
        self._say = say
        self._environment = child_environment(os.environ)
        self._home = Path(os.environ.get("CODEX_HOME") or "~/.codex").expanduser().absolute()
        self._tracker = Tracker(settings.session_file, settings.workdir)
        self._warnings: list[str] = []
        self._owns = self._own()
        self._store = self._open_store()
        self._kept = self._store.load() if self._store is not None else RestoredState()
        self._rollout: Path | None = None
        self._messages = self._kept.messages
        self._extra = self._kept.extra
        self._prompt_after_resume = ""
        self._resumed = False
        self._recalled: list[Said] = []
        self._prompt_known: asyncio.Future[str | None] | None = None
        self._driver: ResumingDriver
        self._codex: CodexDriver | None = None
        self._tape = Tape(settings.server.record) if settings.server.record else None
        self._watch = SessionWatch(self._home, self._on_session)
        self._transcript = RolloutFeed(
            lambda entries, anew=False: self._driver.recorded(entries, anew)
        )

    # -- deciding ----------------------------------------------------------------------------

    def parts(self) -> Parts:
        """What the server is made of. Call it on the event loop."""
        self._await_orphan()
        meta = self._session_to_resume()
        prompt: str | Awaitable[str | None] | None
        if meta is not None:
            self._say("Resuming existing session...")
            self._prompt_known = asyncio.get_running_loop().create_future()
            prompt = self._prompt_known
        else:
            self._begin_afresh()
            prompt = self._settings.prompt or self._unsent_prompt() or _prompt_of_stdin()
        self._driver = ResumingDriver(self._plan(meta is not None), self._program([]))
        if meta is not None:
            self._driver.session_id, self._driver.agent_version = meta.id, meta.version or None
        warnings = (*self._kept.warnings, *self._warnings)
        return Parts(
            driver=self._driver,
            store=self._store,
            history=RestoredState(messages=self._messages, extra=self._extra, warnings=warnings),
            initial_prompt=prompt,
            about=self._about,
            transcript=self._transcript,
            close=self._close,
        )

    def _own(self) -> bool:
        try:
            if self._tracker.own():
                return True
            self._warn(
                f"another agentapi codex runs in {self._settings.workdir}: it alone keeps the"
                " folder's session and state; this one keeps none while that one lives"
            )
        except OSError as error:
            self._warn(f"the session cannot be tracked: {error}")
        return False

    def _open_store(self) -> StateStore | None:
        server = self._settings.server
        if server.state_file is None or (self._settings.default_state and not self._owns):
            return None
        return StateStore(server.state_file, load=server.load_state, save=server.save_state)

    def _await_orphan(self) -> None:
        """The Codex of a daemon that was killed writes the session until it ends: at once as a
        rule, but an app-server finishes its turn first, which nobody can follow any more."""
        pid = self._tracker.last_agent() if self._owns else None
        if pid is None:
            return
        try:
            ended = ended_within(pid, ORPHAN_LIMIT)
            if not ended:
                self._say(f"Ending the Codex of a killed daemon (process {pid})")
                os.killpg(pid, signal.SIGKILL)  # it leads a group of its own
                ended = ended_within(pid, ORPHAN_LIMIT)
        except OSError as error:
            _log.debug("process %d: %s", pid, error)
            return
        if not ended:
            self._warn(f"the Codex of an earlier run still runs (process {pid})")

    def _session_to_resume(self) -> SessionMeta | None:
        settings = self._settings
        if settings.session:
            meta = self._usable(settings.session)
            return self._take(meta) if meta is not None else None
        if not settings.resume:
            self._say("Starting a fresh session (continue is off)")
            return None
        known = self._tracked()
        if known is not None:
            self._say(f"Found existing task session for this directory: {known}")
            meta = self._usable(known)
            if meta is not None and merge(self._kept.messages, self._said()).belongs:
                return self._take(meta)
            newer = self._unlearned()
            if newer is not None:
                return self._take(newer)
            return self._take(meta) if meta is not None else None
        newer = self._unlearned()
        if newer is None:
            self._say("No earlier session is known for this directory")
            return None
        self._say(f"Found the session of the kept conversation: {newer.id}")
        return self._take(newer)

    def _tracked(self) -> str | None:
        try:
            return self._tracker.known()
        except OSError as error:
            self._warn(f"the session file {self._tracker.file} cannot be read: {error}")
            return None

    def _usable(self, session: str) -> SessionMeta | None:
        """The session's first line; None, with a warning, when Codex could not resume it."""
        rollout = find_rollout(self._home, session)
        trouble = f"Codex has no record of it in {self._home}"
        if rollout is not None:
            try:
                meta = read_meta(rollout)
                if meta is not None and meta.id == session and recall(rollout):
                    self._rollout = rollout
                    return meta
                trouble = f"its record {rollout} is empty or broken"
            except OSError as error:
                trouble = f"its record {rollout} cannot be read: {error.strerror}"
        self._warn(f"the session {session} cannot be resumed: {trouble}. A fresh one is started")
        return None

    def _unlearned(self) -> SessionMeta | None:
        """The session of the kept conversation, when the daemon was killed before it learned the
        id: the one that began after the conversation, here, with the same words."""
        users = [m for m in self._kept.messages if m.role is Role.USER]
        if not users:
            return None
        found = []
        day = users[0].time.strftime("%Y/%m")
        for rollout in (self._home / "sessions").glob(f"{day[:4]}/*/*/rollout-*.jsonl"):
            with contextlib.suppress(OSError):
                if rollout.stat().st_mtime < users[0].time.timestamp() - 60:
                    continue
                meta = read_meta(rollout)
                if meta is None or not meta.by_user:
                    continue
                if os.path.realpath(meta.cwd) != self._tracker.workdir:
                    continue
                said = [one for one in recall(rollout) if one.role is Role.USER]
                near = said and abs((said[0].time - users[0].time).total_seconds()) < 60
                if near and said[0].text.split() == users[0].content.split():
                    found.append((meta, rollout))
        if len(found) != 1:
            return None
        meta, self._rollout = found[0]
        return meta

    def _said(self) -> list[Said]:
        return recall(self._rollout) if self._rollout is not None else []

    def _take(self, meta: SessionMeta) -> SessionMeta:
        """Go on with this session: its messages, and whether the prompt is still to be sent."""
        self._recalled = said = self._said()
        merged = merge(self._kept.messages, said)
        if not merged.belongs:
            self._set_state_aside("it is of another session")
        if merged.unrecorded:
            self._warn(
                f"Codex has no record of the last {merged.unrecorded} user message(s): it was"
                " ended before it kept them; send them again if they still count"
            )
        self._messages = merged.messages
        unsent = self._unsent_prompt()
        recorded = {" ".join(one.text.split()) for one in said if one.role is Role.USER}
        self._prompt_after_resume = "" if " ".join(unsent.split()) in recorded else unsent
        if self._rollout is not None:
            self._transcript.found(self._rollout)
        return meta

    def _unsent_prompt(self) -> str:
        """The prompt that an earlier run was given and could not send."""
        return "" if self._kept.initial_prompt_sent else self._kept.initial_prompt

    def _begin_afresh(self) -> None:
        """A conversation of its own. The one before is moved aside, unless Codex was killed before
        it recorded anything of it: then it goes on, and a prompt among it is sent again."""
        kept = self._kept.messages
        users = [message.content for message in kept if message.role is Role.USER]
        self._messages = ()
        if not users:
            return
        if not self._settings.resume or self._settings.session or self._tracked() is not None:
            self._set_state_aside("a fresh session begins")
        elif users == [self._settings.prompt]:
            self._messages = kept[: [message.role for message in kept].index(Role.USER)]
        else:
            self._messages = kept
            self._warn("Codex has no record of the conversation so far: it cannot refer to it")

    def _set_state_aside(self, why: str) -> None:
        self._extra = {}  # what was queued for the other session, too
        file = self._settings.server.state_file
        if file is None or self._store is None or not file.exists():
            return
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        aside = file.with_name(f"{file.name}.{stamp}")
        try:
            for end in ("", ".extra.json"):
                source = file.with_name(file.name + end)
                if source.exists():
                    copy = aside.with_name(aside.name + end)
                    copy.write_bytes(source.read_bytes())
                    copy.chmod(0o600)
        except OSError as error:
            self._warn(f"the conversation so far could not be copied to {aside}: {error}")
            return
        self._warn(f"the conversation so far is kept in {aside}: {why}")

    def _warn(self, message: str) -> None:
        self._warnings.append(message)

    # -- running -----------------------------------------------------------------------------

    def _plan(self, resume: bool) -> Plan:
        return Plan(
            make=self._make,
            resume=resume,
            free=self._free,
            held_key=_held_key,
            painted=self._painted,
            gone=lambda screen: _GONE in " ".join(screen.split()),
            started=self._started,
            ready=self._ready,
            ended=self._ended,
        )

    def _program(self, command: list[str]) -> TuiDriver | CodexDriver:
        server = self._settings.server
        terminal: dict[str, Any] = {
            "cwd": self._settings.workdir,
            "env": self._environment,
            "columns": server.term_width,
            "rows": server.term_height,
            "record": self._tape,
        }
        if server.verbatim:
            return TuiDriver(profile_for("codex"), command, **terminal)
        self._codex = CodexDriver(
            profile_for("codex"),
            command,
            link=server.codex_link,
            restarted=self._started,
            **terminal,
        )
        return self._codex

    async def _make(self, resume: bool) -> TuiDriver | CodexDriver:
        settings = self._settings
        words = [*settings.arguments]
        if not settings.server.verbatim and INLINE not in words:
            known = await known_flags(settings.codex, self._environment)
            words = [INLINE, *words] if INLINE in known else words
        if resume:
            assert self._driver.session_id is not None
            words += ["resume", self._driver.session_id]
        else:
            self._driver.session_id = None
        self._say(f"Starting Codex with arguments: {' '.join(words)}")
        if not self._watch.running:
            self._watch.start()
        return self._program([*settings.wrap, settings.codex, *words])

    async def _free(self, tell: Callable[[str], None]) -> None:
        """Wait until no program that we can see writes the session."""
        while self._rollout is not None:
            holders = open_for_writing(self._rollout)
            if not holders:
                return
            numbers = ", ".join(str(pid) for pid in sorted(holders))
            tell(f"process {numbers}")
            await wait_for_end(holders)

    def _started(self, pid: int) -> None:
        self._watch.follow(pid)
        with contextlib.suppress(OSError):
            self._tracker.note_agent(pid)
        if self._driver.session_id is None:
            self._say("Capturing new session ID...")

    def _ready(self, resumed: bool) -> None:
        self._resumed = resumed
        if resumed and self._driver.session_id is not None:
            self._remember(self._driver.session_id)
        if self._prompt_known is not None and not self._prompt_known.done():
            self._prompt_known.set_result(
                self._prompt_after_resume if resumed else self._settings.prompt
            )

    def _painted(self, screen: str) -> bool:
        """Whether the last words of either side show; how Codex renders them does not matter."""
        shown = _letters(screen)
        last = {one.role: _letters(one.text)[-_TAIL:] for one in self._recalled}
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
        self._rollout = rollout
        self._transcript.found(rollout)
        known = self._driver.session_id == meta.id
        self._driver.session_id = meta.id
        self._driver.agent_version = meta.version or None
        if not known:
            self._remember(meta.id)

    def _remember(self, session: str) -> None:
        try:
            if not self._tracker.own():
                _log.warning("session %s is not tracked: another agentapi codex runs here", session)
                return
            before = self._tracker.remember(session)
        except (OSError, ValueError) as error:
            _log.warning(
                "session %s cannot be tracked in %s: %s", session, self._tracker.file, error
            )
            return
        if before is not None:
            _log.info("the folder's session before was %s", before)
        self._say(f"✓ Session tracked: {session}")

    def _about(self) -> dict[str, object]:
        return {
            "session_id": self._driver.session_id,
            "agent_version": self._driver.agent_version,
            "workdir": str(self._settings.workdir),
            "resumed": self._resumed,
            "usage": self._codex.usage if self._codex is not None else None,
            "link": self._codex.link if self._codex is not None else "off: --verbatim",
        }

    async def _close(self) -> None:
        await self._watch.stop()
        self._tracker.release()


def _prompt_of_stdin() -> Awaitable[str | None] | None:
    return read_prompt() if stdin_may_hold_prompt() else None


def _letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def _held_key(screen: str) -> str:
    return _RETRY_KEY if any(words in screen for words in _HELD) else ""
