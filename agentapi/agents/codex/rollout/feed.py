"""Feeds a transcript from the rollout that the agent writes now; see `TranscriptSource`.

Whoever drives the agent is told, too: the turns of the record are evidence of its phase, and what
it has of the agent's words is what the screen will show.
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
from agentapi.agents.codex.rollout.rollout import Batch, RolloutFollower
from agentapi.model.items import AgentMessage, Entry, ItemSource, Turn
from agentapi.transcript.transcript import Feed, Transcript

_log = logging.getLogger(__name__)

COPYING = timedelta(seconds=5)
"""How long a fork may be busy repeating another session (two turns take 14 ms): with the time of
the copy, so that nothing else tells an old turn, perhaps one that was cut, from one of now."""


class Recorded(Protocol):
    """Takes turns and the agent's messages in the order of a rollout; `anew`: what was told before
    is void."""

    def __call__(self, entries: Sequence[Entry], anew: bool = False) -> None: ...


class RolloutFeed:
    """Follows one rollout at a time: whoever learns its path calls `found`."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self.session_id: str | None = None
        self.agent_version: str | None = None
        self._transcript: Transcript | None = None
        self._feed: Feed | None = None
        self._last: Feed | None = None  # what told of `session_id`
        self._feeds: dict[Path, Feed] = {}
        self._path: Path | None = None
        self._follower: RolloutFollower | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def bind(self, transcript: Transcript) -> None:
        """Tell this transcript, also what the link says is recorded."""
        self._transcript = transcript
        transcript.when_recorded(self.found)
        self._follow()

    def found(self, path: Path) -> None:
        """The agent's session is in this rollout now, or will be; the same path again changes
        nothing."""
        path = uncompressed_path(path).resolve()  # Codex unpacks a session that it goes on with
        if path != self._path:
            self._path = path
            self._follow()

    def forget(self) -> None:
        """The session is given up: tell nothing of it any more, and another from its beginning."""
        self._path = self._feed = self._last = self.session_id = None
        self._feeds.clear()
        self._end_follower()

    async def stop(self) -> None:
        """End. Idempotent."""
        if self._follower is not None:
            await self._follower.stop()
        await asyncio.gather(*self._ending)

    def _follow(self) -> None:
        if self._transcript is None or self._path is None:
            return
        self._end_follower()
        _log.info("the transcript comes from %s", self._path)
        self._feed = None
        follower = RolloutFollower(self._path, lambda batch: self._take(follower, batch))
        self._follower = follower
        self._recorded((), anew=True)
        follower.start()

    def _end_follower(self) -> None:
        follower, self._follower = self._follower, None
        if follower is not None:
            task = asyncio.create_task(follower.stop())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def _take(self, follower: RolloutFollower, batch: Batch) -> None:
        if self._transcript is None or follower is not self._follower:
            return
        parser = follower.parser
        moved = False
        if self._feed is None:  # not before there is something to put in the screen's place
            before = self._going_on(follower.session_id)
            moved = before is not None
            self._feed = before or self._open(self._transcript, follower.path)
            self._last = self._feeds[follower.path] = self._feed
        if batch.restarted or moved:
            self._feed.replace(batch.entries)
        else:
            self._feed.put(batch.entries)
        self.session_id, self.agent_version = follower.session_id, parser.version
        entries = () if batch.inherited else batch.entries
        news = [entry for entry in entries if _is_news(entry, parser.copied)]
        if news or batch.restarted:
            self._recorded(news, anew=batch.restarted)
        self._feed.tell_usage(parser.usage.snapshot())

    def _going_on(self, session: str | None) -> Feed | None:
        """What told of this session, when that goes on in another file, as after a rewind. A feed
        that left out what another had told cannot tell that this was taken back."""
        same = session is not None and session == self.session_id
        return self._last if same and self._last is not None and not self._last.known else None

    def _open(self, transcript: Transcript, path: Path) -> Feed:
        again = self._feeds.get(path)  # as by `/resume`, back from another session
        return transcript.open(ItemSource.ROLLOUT, again)


class WatchedRolloutFeed(RolloutFeed):
    """The same, learning by itself which rollout our own descendants write: Codex on its terminal,
    or the app-server beside it."""

    def __init__(self, codex_home: Path, recorded: Recorded) -> None:
        super().__init__(recorded)
        self._watch = SessionWatch(codex_home, self._on_session)

    def bind(self, transcript: Transcript) -> None:
        """Tell this transcript, and begin to watch."""
        super().bind(transcript)
        self._watch.start()
        self._watch.follow(os.getpid())

    async def stop(self) -> None:
        """End. Idempotent."""
        await self._watch.stop()
        await super().stop()

    def _on_session(self, meta: SessionMeta, rollout: Path) -> None:
        self.found(rollout)


def _is_news(entry: Entry, copied: datetime | None) -> bool:
    """Whether an entry tells of a turn, and is not one that was copied at that time."""
    if not isinstance(entry.item, Turn | AgentMessage) or entry.time is None:
        return False
    return copied is None or entry.time >= copied + COPYING
