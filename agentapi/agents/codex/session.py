"""The session that Codex is in: its id, its version and its record.

This is the only holder. The link reports the session as soon as Codex opens it, the rollout once
something is recorded in it. All others read it here, and only this class writes it to the tracking
file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from agentapi.agents.codex.resume.session_files import SessionMeta
from agentapi.agents.codex.resume.sessions import SessionTracker

_log = logging.getLogger(__name__)


class CurrentSession:
    """One agent's session. Without a `tracker` nothing of it is kept on the disk."""

    def __init__(
        self,
        tracker: SessionTracker | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`say` prints a line for operators."""
        self._tracker, self._say = tracker, say
        self._link_id: str | None = None
        self._link_version: str | None = None
        self._recorded: SessionMeta | None = None
        self._rollout: Path | None = None

    @property
    def id(self) -> str | None:
        """Codex's own id of it, also of one that has no record yet."""
        return self._link_id or self.recorded_id

    @property
    def recorded_id(self) -> str | None:
        """The same of one that has a record, and can be resumed."""
        return self._recorded.id if self._recorded is not None else None

    @property
    def version(self) -> str | None:
        """The version of Codex."""
        recorded = self._recorded.version if self._recorded is not None else ""
        return self._link_version or recorded or None

    @property
    def rollout(self) -> Path | None:
        """The record of the session that was resumed, or that Codex turned to last."""
        return self._rollout

    # -- what the link reports -------------------------------------------------------------------

    def run_begins(self) -> None:
        """Another Codex starts: what the link of the last one reported no longer holds."""
        self._link_id = self._link_version = None

    def link_starts(self, version: str | None) -> None:
        """An app-server of this version runs."""
        self._link_version = version

    def link_opens(self, session: str) -> None:
        """The TUI works on this session now."""
        self._link_id = session

    def link_ends(self) -> None:
        """A session without a record is not known any more."""
        self._link_id = None

    # -- what the record reports -----------------------------------------------------------------

    def resume(self, meta: SessionMeta, rollout: Path | None) -> None:
        """Codex is to go on with this session, which an earlier run was in."""
        self._recorded, self._rollout = meta, rollout

    def begin_afresh(self) -> None:
        """Codex is to open another session."""
        self._recorded = None

    def give_up(self) -> None:
        """Codex cannot go on with the session."""
        self._recorded = self._rollout = None

    def turn_to(self, meta: SessionMeta, rollout: Path) -> str | None:
        """Codex is in this session, with this record, and it is remembered; the id of the session
        that it was in before, if that was another one."""
        before, self._recorded, self._rollout = self.recorded_id, meta, rollout
        if before == meta.id:
            return None
        self.remember()
        return before

    # -- the tracking file -----------------------------------------------------------------------

    def remember(self) -> None:
        """Keep the recorded session for the next start. What goes wrong is logged."""
        session, tracker = self.recorded_id, self._tracker
        if session is None or tracker is None:
            return
        try:
            if not tracker.own():
                _log.warning("session %s is not tracked: another agentapi codex runs here", session)
                return
            before = tracker.remember(session)
        except (OSError, ValueError) as error:
            _log.warning("session %s cannot be tracked in %s: %s", session, tracker.file, error)
            return
        if before is not None:
            _log.info("the folder's session before was %s", before)
        self._say(f"✓ Session tracked: {session}")

    def forget(self) -> None:
        """The next start shall not go on with it: its conversation is set aside."""
        if self._tracker is not None and self._tracker.owned:
            try:
                self._tracker.forget()
            except OSError as error:
                _log.warning("%s cannot be written: %s", self._tracker.file, error)
