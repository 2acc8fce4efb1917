"""What `agentapi codex` goes on with in its folder: which session, messages and prompt.

Nothing is lost without a word: what a fresh start leaves behind is moved aside, and the log and the
clients are told where.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

from agentapi.agents.codex.options import CodexSettings
from agentapi.agents.codex.resume.recall import MergedHistory, Utterance, known, merge, recall
from agentapi.agents.codex.resume.session_files import (
    SessionMeta,
    all_rollouts,
    begun,
    find_rollout,
    read_meta,
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
"""Seconds that the agent of a killed daemon has to end before the next one looks at its files."""

_FOLDER = "folder"
"""Where the state says in which folder it was made: a state file may be given for any."""
_ASKED_FOR = "a fresh session is started, as asked for"

_log = logging.getLogger(__name__)


class Past:
    """What an earlier run left in the folder, taken over by this one."""

    def __init__(self, settings: CodexSettings, home: Path, say: Callable[[str], None]) -> None:
        """`home` is Codex's; `say` prints a line for operators."""
        self._settings = settings
        self._home = home
        self._say = say
        self._warnings: list[str] = []
        self._trouble = ""
        """Why a session is not resumed."""
        self.tracker = SessionTracker(settings.session_file, settings.workdir)
        self.session = CurrentSession(self.tracker, say)
        """The session that this run is in."""
        self._owns = self._own()
        self.store = self._open_store()
        self._kept = self.store.load() if self.store is not None else RestoredState()
        self._messages = self._kept.messages
        self._extra = self._kept.extra
        self.rollout: Path | None = None
        """Codex's record of the session that goes on."""
        self.recalled: list[Utterance] = []
        """What it says."""
        self.prompt_after_resume = ""
        """What is still to be sent in a resumed session."""

    def decide(self) -> SessionMeta | None:
        """The session that Codex shall resume; None for a fresh one. Call it once."""
        self._await_orphan()
        meta = self._session_to_resume()
        if meta is None:
            self._begin_afresh()
        else:
            self.session.resume(meta, self.rollout)
        return meta

    @property
    def unsent_prompt(self) -> str:
        """The prompt that an earlier run was given here and could not send."""
        done = self._kept.initial_prompt_sent or self._is_of_another_folder()
        return "" if done else self._kept.initial_prompt

    @property
    def history(self) -> RestoredState:
        """What the clients see of it."""
        warnings = (*self._kept.warnings, *self._warnings)
        extra = {**self._extra, _FOLDER: self.tracker.workdir}
        return RestoredState(messages=self._messages, extra=extra, warnings=warnings)

    # -- taking the folder over --------------------------------------------------------------

    def _own(self) -> bool:
        try:
            if self.tracker.own():
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
        """The Codex of a daemon that was killed writes the session until it ends: at once as a
        rule, but an app-server finishes its turn first, which nobody can follow any more."""
        pid = self.tracker.last_agent() if self._owns else None
        if pid is None:
            return
        try:
            with Process(pid) as orphan:
                if self.tracker.last_agent() != pid:
                    return  # it ended before we held it
                ended = orphan.ended_within(ORPHAN_LIMIT)
                if not ended:
                    self._say(f"Ending the Codex of a killed daemon (process {pid})")
                    orphan.signal_group(signal.SIGKILL)  # it leads a group of its own
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
            meta = self._usable(settings.session)
            return self._take(meta) if meta is not None else None
        if not settings.resume:
            self._say("Starting a fresh session (continue is off)")
            self._trouble = _ASKED_FOR
            return None
        known = self._tracked()
        if known is not None:
            self._say(f"Found existing task session for this directory: {known}")
            meta = self._usable(known)
            if meta is not None and self._merged().belongs:
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
            return self.tracker.known()
        except OSError as error:
            self._warn(f"the session file {self.tracker.file} cannot be read: {error}")
            return None

    def _usable(self, session: str) -> SessionMeta | None:
        """The session's first line; None when Codex could not resume it."""
        trouble = f"Codex has no record of it in {self._home}"
        rollout = None
        try:
            rollout = find_rollout(self._home, session)
            if rollout is not None:
                meta = read_meta(rollout)
                said = recall(rollout) if meta is not None and meta.id == session else []
                if said:
                    self.rollout, self.recalled = rollout, said
                    return meta
                trouble = f"its record {rollout} is empty or broken"
        except OSError as error:
            trouble = f"its record {rollout} cannot be read: {error.strerror}"
        self._trouble = (
            f"the session {session} cannot be resumed, a fresh one is started: {trouble}"
        )
        return None

    def _unlearned(self) -> SessionMeta | None:
        """The session of the kept conversation, when the daemon was killed before it learned the
        id: the one that began after the conversation, here, with the same words."""
        users = [m for m in self._kept.messages if m.role is Role.USER]
        if not users:
            return None
        found = []
        for path in all_rollouts(self._home):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < users[0].time.timestamp() - 60:
                    continue
                meta = read_meta(path)
                if meta is None or not meta.by_user or meta.base is not None:
                    continue  # a segment is found by the file that the session began with
                if os.path.realpath(meta.cwd) != self.tracker.workdir:
                    continue
                rollout = find_rollout(self._home, meta.id) or path
                said = recall(rollout)
                first = next((one for one in said if one.role is Role.USER), None)
                if first is None or abs((first.time - users[0].time).total_seconds()) >= 60:
                    continue
                if first.text.split() == users[0].content.split():
                    found.append((meta, rollout, said))
        if len(found) != 1:
            return None
        meta, self.rollout, self.recalled = found[0]
        return meta

    # -- which messages ----------------------------------------------------------------------

    def _merged(self) -> MergedHistory:
        since = None
        with contextlib.suppress(OSError):
            since = begun(self.rollout) if self.rollout is not None else None
        return merge(self._kept.messages, self.recalled, since)

    def _take(self, meta: SessionMeta) -> SessionMeta:
        """Go on with this session: its messages, and whether the prompt is still to be sent."""
        merged = self._merged()
        if not merged.belongs:
            self._set_state_aside(f"another session goes on ({meta.id})")
        elif merged.earlier:
            self._set_state_aside(f"it began before the session that goes on ({meta.id})")
        if merged.unrecorded:
            self._warn(
                f"Codex has no record of the last {merged.unrecorded} user message(s): it was"
                " ended before it kept them; send them again if they still count"
            )
        self._messages = merged.messages
        unsent = self.unsent_prompt
        users = [one for one in known(self.recalled) if one.role is Role.USER]
        recorded = {" ".join(one.text.split()) for one in users}
        self.prompt_after_resume = "" if " ".join(unsent.split()) in recorded else unsent
        return meta

    def _begin_afresh(self) -> None:
        """A conversation of its own. The one before is moved aside, unless Codex was killed before
        it recorded anything of it: then it goes on, and a prompt among it is sent again."""
        kept = self._kept.messages
        users = [message.content for message in kept if message.role is Role.USER]
        self._messages = ()
        if self._trouble:
            self._set_state_aside(self._trouble, tell=self._trouble != _ASKED_FOR)
        elif self._is_of_another_folder():
            self._set_state_aside("a fresh session is started in this folder", tell=False)
        elif not users:
            return
        elif users == [self._settings.prompt]:
            self._messages = kept[: [message.role for message in kept].index(Role.USER)]
        else:
            self._messages = kept
            self._warn("Codex has no record of the conversation so far: it cannot refer to it")

    def _is_of_another_folder(self) -> bool:
        return self._kept.extra.get(_FOLDER) not in (None, self.tracker.workdir)

    def _set_state_aside(self, why: str, *, tell: bool = True) -> None:
        """Another conversation begins. Clients are told why, and where what was said so far is;
        `tell` them also when there is none."""
        self._extra = {}  # what was queued for the other session, too
        where = ""
        if self.store is not None and any(m.role is Role.USER for m in self._kept.messages):
            try:
                aside = self.store.set_aside()
                where = f". The conversation so far is kept in {aside}" if aside else ""
            except OSError as error:
                where = f". The conversation so far could not be kept: {error}"
        if where or tell:
            self._warn(f"{why}{where}")

    def _warn(self, message: str) -> None:
        self._warnings.append(message)
