"""Detect the session of a running Codex from the rollout that its processes write.

inotify reports every change below `$CODEX_HOME/sessions`; a rollout is this agent's when one of
its processes has it open for writing. Names and times prove nothing: other Codex processes may
write next to it. Rollouts of sub-agents and hidden threads are recognized by their first line.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from agentapi.agents.codex.resume.session_files import (
    SessionMeta,
    all_rollouts,
    parse_name,
    read_meta,
)
from agentapi.processes.open_files import open_for_writing
from agentapi.processes.tree import family

_USER_MARKS = (b'"user_message"', b'"UserMessage"')
_MAX_CHECKS = 20
"""Checks without a writer among our processes after which a rollout counts as another's: the
kernel reports a file a moment before a process has it open."""
_log = logging.getLogger(__name__)


class SessionWatch:
    """Watches one agent and calls `on_session` with each session that it switches to.

    It is called once Codex could resume the session (it has a user message), and again when the
    session continues in another file."""

    def __init__(self, codex_home: Path, on_session: Callable[[SessionMeta, Path], None]) -> None:
        self._home = codex_home
        self._root = codex_home / "sessions"
        self._on_session = on_session
        self._agent: int | None = None
        self._current: Path | None = None
        self._foreign: Counter[Path] = Counter()
        self._offsets: dict[Path, int] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether the watch is started and not stopped."""
        return self._task is not None

    def start(self) -> None:
        """Start to watch; call it before the agent starts, so that nothing is missed."""
        self._task = asyncio.create_task(self._watch(), name="watch the sessions")

    def follow(self, pid: int) -> None:
        """Watch the rollouts of this process and its descendants."""
        self._agent = pid
        self._current = None
        self._foreign.clear()

    async def stop(self) -> None:
        """Stop watching. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def scan(self) -> None:
        """Check every rollout now."""
        for path in all_rollouts(self._home):
            self._check(path)

    async def _watch(self) -> None:
        from asyncinotify import Inotify, Mask

        grown = Mask.CREATE | Mask.MOVED_TO | Mask.MODIFY | Mask.ONLYDIR
        watched: set[Path] = set()

        def add(folder: Path) -> None:
            """Watch a folder and those below it."""
            if folder in watched:
                return
            with contextlib.suppress(OSError):
                inotify.add_watch(folder, grown)
                watched.add(folder)
                for entry in os.scandir(folder):
                    if entry.is_dir(follow_symlinks=False):
                        add(Path(entry.path))

        try:
            with Inotify() as inotify:
                inotify.add_watch(self._home, Mask.CREATE | Mask.MOVED_TO | Mask.ONLYDIR)
                add(self._root)
                async for event in inotify:
                    if event.path is None:
                        continue
                    path = Path(event.path)
                    if Mask.ISDIR in event.mask:
                        if path == self._root or self._root in path.parents:
                            add(path)
                            self.scan()  # for files that came before the watch
                    elif parse_name(path) is not None:
                        if not event.mask & Mask.MODIFY:
                            self._foreign.clear()
                        self._check(path)
        except OSError as error:
            _log.warning(
                "the sessions in %s cannot be watched: %s; the session is learned when Codex ends",
                self._root,
                error,
            )

    def _check(self, path: Path) -> None:
        """Report the session of this rollout if it is the agent's and new."""
        if self._agent is None or path == self._current or self._foreign[path] > _MAX_CHECKS:
            return
        try:
            if not open_for_writing(path, family(self._agent)):
                self._foreign[path] += 1
                return
            meta = read_meta(path)
            if meta is None:
                return  # not complete yet: the next write triggers another check
            if not meta.by_user:
                self._foreign[path] = _MAX_CHECKS + 1
            elif meta.base is not None or self._has_user_message(path):
                self._current = path
                self._on_session(meta, path)
        except OSError as error:
            _log.debug("cannot look at %s: %s", path, error)

    def _has_user_message(self, path: Path) -> bool:
        """Return whether it has a user message; continues where the last check ended."""
        with path.open("rb") as file:
            file.seek(self._offsets.get(path, 0))
            for line in file:
                if not line.endswith(b"\n"):
                    break
                if b'"event_msg"' in line and any(mark in line for mark in _USER_MARKS):
                    return True
                self._offsets[path] = self._offsets.get(path, 0) + len(line)
        return False
