"""Hold the session that Codex is in: its id, its version and its rollout.

This is the single source of truth. The link reports a session as soon as Codex opens it, the
rollout once something is recorded in it. Only this class writes it to the tracking file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from agentapi.agents.codex.resume.session_files import SessionMeta
from agentapi.agents.codex.resume.sessions import SessionTracker

_log = logging.getLogger(__name__)


class CurrentSession:
    """One agent's session. Without a `tracker` nothing is written to disk."""

    def __init__(
        self,
        tracker: SessionTracker | None = None,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`log` prints a line for operators."""
        self._tracker, self._log = tracker, log
        self._link_id: str | None = None
        self._link_version: str | None = None
        self._recorded: SessionMeta | None = None
        self._rollout: Path | None = None

    @property
    def id(self) -> str | None:
        """Codex's id of the session, even before it has a rollout."""
        return self._link_id or self.recorded_id

    @property
    def recorded_id(self) -> str | None:
        """The id of a session that has a rollout and can be resumed."""
        return self._recorded.id if self._recorded is not None else None

    @property
    def version(self) -> str | None:
        """The version of Codex."""
        recorded = self._recorded.version if self._recorded is not None else ""
        return self._link_version or recorded or None

    @property
    def rollout(self) -> Path | None:
        """The rollout that was resumed, or that Codex switched to last."""
        return self._rollout

    # -- reported by the link ----------------------------------------------------------------

    def run_started(self) -> None:
        """Reset what the link of the last Codex reported: another one starts."""
        self._link_id = self._link_version = None

    def link_started(self, version: str | None) -> None:
        """Record the version of the app-server that runs now."""
        self._link_version = version

    def link_opened(self, session: str) -> None:
        """Record the session that the TUI has opened."""
        self._link_id = session

    def link_lost(self) -> None:
        """Drop the session that only the link reported."""
        self._link_id = None

    # -- reported by the rollout -------------------------------------------------------------

    def resume(self, meta: SessionMeta, rollout: Path | None) -> None:
        """Set the session of an earlier run, which Codex resumes."""
        self._recorded, self._rollout = meta, rollout

    def start_fresh(self) -> None:
        """Reset the session: Codex opens another one."""
        self._recorded = None

    def discard(self) -> None:
        """Drop the session: Codex cannot resume it."""
        self._recorded = self._rollout = None

    def switch_to(self, meta: SessionMeta, rollout: Path) -> str | None:
        """Set and track the session that Codex is in; return the previous id if it differs."""
        before, self._recorded, self._rollout = self.recorded_id, meta, rollout
        if before == meta.id:
            return None
        self.track()
        return before

    # -- the tracking file -------------------------------------------------------------------

    def track(self) -> None:
        """Save the recorded session for the next start. Errors are logged."""
        session, tracker = self.recorded_id, self._tracker
        if session is None or tracker is None:
            return
        try:
            if not tracker.acquire():
                _log.warning("session %s is not tracked: another agentapi codex runs here", session)
                return
            before = tracker.save(session)
        except (OSError, ValueError) as error:
            _log.warning("session %s cannot be tracked in %s: %s", session, tracker.file, error)
            return
        if before is not None:
            _log.info("the folder's session before was %s", before)
        self._log(f"✓ Session tracked: {session}")

    def untrack(self) -> None:
        """Clear the mapping, so that the next start does not resume the session."""
        if self._tracker is not None and self._tracker.owned:
            try:
                self._tracker.clear()
            except OSError as error:
                _log.warning("%s cannot be written: %s", self._tracker.file, error)
