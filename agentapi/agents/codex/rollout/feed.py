"""Feed a transcript from the rollout that the agent writes; see `TranscriptSource`.

The driver gets its turns and messages, too: turns are evidence of the agent's phase, and messages
are what the screen will show.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from agentapi.agents.codex.resume.session_files import SessionMeta, uncompressed_path
from agentapi.agents.codex.resume.watch import SessionWatch
from agentapi.agents.codex.rollout.follower import Batch, RolloutFollower
from agentapi.model.items import AgentMessage, Entry, ItemSource, Turn
from agentapi.transcript.feed import Feed
from agentapi.transcript.transcript import Transcript

_log = logging.getLogger(__name__)

COPY_TIME = timedelta(seconds=5)
"""How long a fork may take to copy its parent session (two turns take 14 ms). Copied lines have the
time of the copy: only that tells an old turn, which may be incomplete, from a new one."""


class RecordSink(Protocol):
    """Receives turns and the agent's messages in rollout order; `anew` voids all earlier ones."""

    def __call__(self, entries: Sequence[Entry], anew: bool = False) -> None: ...


class RolloutFeed:
    """Follows one rollout at a time; call `follow` with its path."""

    def __init__(self, sink: RecordSink) -> None:
        self._sink = sink
        self.session_id: str | None = None
        self.agent_version: str | None = None
        self._transcript: Transcript | None = None
        self._feed: Feed | None = None
        self._last: Feed | None = None  # the feed of `session_id`
        self._feeds: dict[Path, Feed] = {}
        self._path: Path | None = None
        self._follower: RolloutFollower | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def bind(self, transcript: Transcript) -> None:
        """Feed this transcript, also from rollouts that the link announces to it."""
        self._transcript = transcript
        transcript.on_record(self.follow)
        self._start_follower()

    def follow(self, path: Path) -> None:
        """Follow the rollout that the agent's session is, or will be, in. Does nothing when it is
        already followed."""
        path = uncompressed_path(path).resolve()  # Codex decompresses a session that it resumes
        if path != self._path:
            self._path = path
            self._start_follower()

    def reset(self) -> None:
        """Stop following the session; the next one is fed from its beginning."""
        self._path = self._feed = self._last = self.session_id = None
        self._feeds.clear()
        self._stop_follower()

    async def stop(self) -> None:
        """Stop feeding. Idempotent."""
        if self._follower is not None:
            await self._follower.stop()
        await asyncio.gather(*self._ending)

    def _start_follower(self) -> None:
        if self._transcript is None or self._path is None:
            return
        self._stop_follower()
        _log.info("the transcript comes from %s", self._path)
        self._feed = None
        follower = RolloutFollower(self._path, lambda batch: self._on_batch(follower, batch))
        self._follower = follower
        self._sink((), anew=True)
        follower.start()

    def _stop_follower(self) -> None:
        follower, self._follower = self._follower, None
        if follower is not None:
            task = asyncio.create_task(follower.stop())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def _on_batch(self, follower: RolloutFollower, batch: Batch) -> None:
        if self._transcript is None or follower is not self._follower:
            return
        parser = follower.parser
        moved = False
        if self._feed is None:  # until there is something to replace the screen's text with
            before = self._continued(follower.session_id)
            moved = before is not None
            self._feed = before or self._open(self._transcript, follower.path)
            self._last = self._feeds[follower.path] = self._feed
        if batch.restarted or moved:
            self._feed.replace(batch.entries)
        else:
            self._feed.put(batch.entries)
        self.session_id, self.agent_version = follower.session_id, parser.version
        entries = () if batch.inherited else batch.entries
        new = [entry for entry in entries if _is_new(entry, parser.copied_at)]
        if new or batch.restarted:
            self._sink(new, anew=batch.restarted)
        self._feed.set_usage(parser.usage.snapshot())

    def _continued(self, session: str | None) -> Feed | None:
        """Return the session's feed when it continues in another file, as after a rewind.

        A feed that skipped what another had fed cannot roll that back."""
        same = session is not None and session == self.session_id
        return self._last if same and self._last is not None and not self._last.known else None

    def _open(self, transcript: Transcript, path: Path) -> Feed:
        earlier = self._feeds.get(path)  # as after `/resume` back from another session
        return transcript.open(ItemSource.ROLLOUT, earlier)


class WatchedRolloutFeed(RolloutFeed):
    """A feed that detects which rollout our own descendants write: Codex on its terminal, or the
    app-server beside it."""

    def __init__(self, codex_home: Path, sink: RecordSink) -> None:
        super().__init__(sink)
        self._watch = SessionWatch(codex_home, self._on_session)

    def bind(self, transcript: Transcript) -> None:
        """Feed this transcript, and start to watch."""
        super().bind(transcript)
        self._watch.start()
        self._watch.follow(os.getpid())

    async def stop(self) -> None:
        """Stop feeding. Idempotent."""
        await self._watch.stop()
        await super().stop()

    def _on_session(self, meta: SessionMeta, rollout: Path) -> None:
        self.follow(rollout)


def _is_new(entry: Entry, copied_at: datetime | None) -> bool:
    """Return whether an entry is a turn or message that was not copied by a fork."""
    if not isinstance(entry.item, Turn | AgentMessage) or entry.time is None:
        return False
    return copied_at is None or entry.time >= copied_at + COPY_TIME
