"""Restore what an earlier run left in the folder: the session, messages and prompt.

Nothing is lost silently: a fresh start moves the old conversation aside and reports where to.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

from agentapi.agents.codex.options import CodexSettings
from agentapi.agents.codex.resume.history import (
    MergedHistory,
    Utterance,
    in_context,
    merge,
    read_history,
)
from agentapi.agents.codex.resume.session_files import (
    SessionMeta,
    all_rollouts,
    find_rollout,
    read_meta,
    session_start,
)
from agentapi.agents.codex.resume.sessions import SessionTracker
from agentapi.agents.codex.session import CurrentSession
from agentapi.agents.offers.store import open_store
from agentapi.model.conversation import Role
from agentapi.processes.identity import Process
from agentapi.settings.settings import SettingsError
from agentapi.storage.state import RestoredState
from agentapi.storage.state_file import StateStore

ORPHAN_LIMIT = 0.5
"""Seconds that the agent of a killed daemon gets to exit before its files are read."""

_FOLDER = "folder"
"""The state's key for the folder that it was saved in: any folder can use any state file."""
_REQUESTED = "a fresh session is started, as asked for"

_log = logging.getLogger(__name__)


class PreviousRun:
    """The session, messages and prompt that an earlier run left in the folder."""

    def __init__(self, settings: CodexSettings, home: Path, log: Callable[[str], None]) -> None:
        """`home` is Codex's; `log` prints a line for operators."""
        self._settings = settings
        self._home = home
        self._log = log
        self._warnings: list[str] = []
        self._failure = ""
        """Why a session is not resumed."""
        self.tracker = SessionTracker(settings.session_file, settings.workdir)
        self.session = CurrentSession(self.tracker, log)
        """The session that this run is in."""
        self._owns = self._acquire()
        self.store = self._open_store()
        self._saved = self.store.load() if self.store is not None else RestoredState()
        self._messages = self._saved.messages
        self._extra = self._saved.extra
        self.rollout: Path | None = None
        """The rollout of the session to resume."""
        self.utterances: list[Utterance] = []
        """The conversation in the rollout."""
        self.prompt_after_resume = ""
        """The prompt still to send in a resumed session."""

    def choose_session(self) -> SessionMeta | None:
        """Return the session that Codex should resume; None for a fresh one. Call it once."""
        self._await_orphan()
        meta = self._session_to_resume()
        if meta is None:
            self._start_fresh()
        else:
            self.session.resume(meta, self.rollout)
        return meta

    @property
    def unsent_prompt(self) -> str:
        """The initial prompt of an earlier run in this folder that was never sent."""
        done = self._saved.initial_prompt_sent or self._is_of_another_folder()
        return "" if done else self._saved.initial_prompt

    @property
    def history(self) -> RestoredState:
        """The state to show to clients."""
        warnings = (*self._saved.warnings, *self._warnings)
        extra = {**self._extra, _FOLDER: self.tracker.workdir}
        return RestoredState(messages=self._messages, extra=extra, warnings=warnings)

    # -- taking the folder over --------------------------------------------------------------

    def _acquire(self) -> bool:
        try:
            if self.tracker.acquire():
                return True
            self._warn(
                f"another agentapi codex runs in {self._settings.workdir} ({self.tracker.owner}):"
                " it alone keeps the folder's session and state; this one keeps none while that"
                " one lives"
            )
        except OSError as error:
            self._warn(f"the session cannot be tracked: {error}")
        return False

    def _open_store(self) -> StateStore | None:
        server = self._settings.server
        if server.state_file is None or (self._settings.default_state and not self._owns):
            return None
        try:
            return open_store(server)
        except SettingsError as error:
            if not self._settings.default_state:
                raise
            self._warn(f"the conversation is not kept: {error}")
            return None

    def _await_orphan(self) -> None:
        """Wait for the Codex of a killed daemon, which still writes the session; kill it if needed.

        It usually exits at once, but an app-server finishes its turn first."""
        pid = self.tracker.previous_agent() if self._owns else None
        if pid is None:
            return
        try:
            with Process(pid) as orphan:
                if self.tracker.previous_agent() != pid:
                    return  # it ended before its pidfd was opened
                ended = orphan.ended_within(ORPHAN_LIMIT)
                if not ended:
                    self._log(f"Ending the Codex of a killed daemon (process {pid})")
                    orphan.signal_group(signal.SIGKILL)  # it leads its process group
                    ended = orphan.ended_within(ORPHAN_LIMIT)
        except OSError as error:
            _log.debug("process %d: %s", pid, error)
            return
        if not ended:
            self._warn(f"the Codex of an earlier run still runs (process {pid})")

    # -- which session -----------------------------------------------------------------------

    def _session_to_resume(self) -> SessionMeta | None:
        settings = self._settings
        if settings.session:
            meta = self._resumable(settings.session)
            return self._restore(meta) if meta is not None else None
        if not settings.resume:
            self._log("Starting a fresh session (continue is off)")
            self._failure = _REQUESTED
            return None
        tracked = self._tracked()
        if tracked is not None:
            self._log(f"Found existing task session for this directory: {tracked}")
            meta = self._resumable(tracked)
            if meta is not None and self._merged().same_session:
                return self._restore(meta)
            newer = self._untracked()
            if newer is not None:
                return self._restore(newer)
            return self._restore(meta) if meta is not None else None
        newer = self._untracked()
        if newer is None:
            self._log("No earlier session is known for this directory")
            return None
        self._log(f"Found the session of the kept conversation: {newer.id}")
        return self._restore(newer)

    def _tracked(self) -> str | None:
        try:
            return self.tracker.lookup()
        except OSError as error:
            self._warn(f"the session file {self.tracker.file} cannot be read: {error}")
            return None

    def _resumable(self, session: str) -> SessionMeta | None:
        """Return the session's metadata; None when Codex could not resume it."""
        failure = f"Codex has no record of it in {self._home}"
        rollout = None
        try:
            rollout = find_rollout(self._home, session)
            if rollout is not None:
                meta = read_meta(rollout)
                if meta is not None and meta.id == session and (found := read_history(rollout)):
                    self.rollout, self.utterances = rollout, found
                    return meta
                failure = f"its record {rollout} is empty or broken"
        except OSError as error:
            failure = f"its record {rollout} cannot be read: {error.strerror}"
        self._failure = (
            f"the session {session} cannot be resumed, a fresh one is started: {failure}"
        )
        return None

    def _untracked(self) -> SessionMeta | None:
        """Find the session of the saved conversation if the daemon was killed before it was
        tracked: it has the same folder, start time and first message."""
        users = [m for m in self._saved.messages if m.role is Role.USER]
        if not users:
            return None
        found = []
        for path in all_rollouts(self._home):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < users[0].time.timestamp() - 60:
                    continue
                meta = read_meta(path)
                if meta is None or not meta.by_user or meta.base is not None:
                    continue  # the session's first file leads to its segments
                if os.path.realpath(meta.cwd) != self.tracker.workdir:
                    continue
                rollout = find_rollout(self._home, meta.id) or path
                utterances = read_history(rollout)
                first = next((u for u in utterances if u.role is Role.USER), None)
                if first is None or abs((first.time - users[0].time).total_seconds()) >= 60:
                    continue
                if first.text.split() == users[0].content.split():
                    found.append((meta, rollout, utterances))
        if len(found) != 1:
            return None
        meta, self.rollout, self.utterances = found[0]
        return meta

    # -- which messages ----------------------------------------------------------------------

    def _merged(self) -> MergedHistory:
        started = None
        with contextlib.suppress(OSError):
            started = session_start(self.rollout) if self.rollout is not None else None
        return merge(self._saved.messages, self.utterances, started)

    def _restore(self, meta: SessionMeta) -> SessionMeta:
        """Restore this session's messages, and the prompt if it is still to be sent."""
        merged = self._merged()
        if not merged.same_session:
            self._set_state_aside(f"another session goes on ({meta.id})")
        elif merged.earlier_session:
            self._set_state_aside(f"it began before the session that goes on ({meta.id})")
        if merged.unrecorded:
            self._warn(
                f"Codex has no record of the last {merged.unrecorded} user message(s): it was"
                " ended before it kept them; send them again if they still count"
            )
        self._messages = merged.messages
        unsent = self.unsent_prompt
        users = [u for u in in_context(self.utterances) if u.role is Role.USER]
        recorded = {" ".join(utterance.text.split()) for utterance in users}
        self.prompt_after_resume = "" if " ".join(unsent.split()) in recorded else unsent
        return meta

    def _start_fresh(self) -> None:
        """Start a new conversation and move the old one aside, unless Codex was killed before it
        recorded any of it: then it continues, and its initial prompt is sent again."""
        saved = self._saved.messages
        users = [message.content for message in saved if message.role is Role.USER]
        self._messages = ()
        if self._failure:
            self._set_state_aside(self._failure, always_warn=self._failure != _REQUESTED)
        elif self._is_of_another_folder():
            self._set_state_aside("a fresh session is started in this folder", always_warn=False)
        elif not users:
            return
        elif users == [self._settings.prompt]:
            self._messages = saved[: [message.role for message in saved].index(Role.USER)]
        else:
            self._messages = saved
            self._warn("Codex has no record of the conversation so far: it cannot refer to it")

    def _is_of_another_folder(self) -> bool:
        return self._saved.extra.get(_FOLDER) not in (None, self.tracker.workdir)

    def _set_state_aside(self, reason: str, *, always_warn: bool = True) -> None:
        """Move the saved conversation aside and warn clients why and where to; `always_warn`
        also when there is none."""
        self._extra = {}  # drops the other session's queue, too
        where = ""
        if self.store is not None and any(m.role is Role.USER for m in self._saved.messages):
            try:
                aside = self.store.set_aside()
                where = f". The conversation so far is kept in {aside}" if aside else ""
            except OSError as error:
                where = f". The conversation so far could not be kept: {error}"
        if where or always_warn:
            self._warn(f"{reason}{where}")

    def _warn(self, message: str) -> None:
        self._warnings.append(message)
