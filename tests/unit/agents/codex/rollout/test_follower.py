"""A rollout file that grows, shrinks, is replaced, comes late and goes away."""

from __future__ import annotations

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentapi.agents.codex.rollout.follower import CHUNK, Batch, RolloutFollower
from agentapi.model.items import AgentMessage

PATIENCE = 10.0


def line(text: str) -> bytes:
    """A line that becomes one agent message."""
    payload = {"type": "agent_message", "message": text}
    record = {"timestamp": "2026-01-02T03:04:05Z", "type": "event_msg", "payload": payload}
    return json.dumps(record).encode() + b"\n"


class Followed:
    """A follower and its batches so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts: list[str] = []
        self.batches: list[Batch] = []
        self.restarts = 0
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self.follower = RolloutFollower(path, self._on_batch)

    def _on_batch(self, batch: Batch) -> None:
        self.batches.append(batch)
        if batch.restarted:
            self.restarts += 1
            self.texts.clear()
        for entry in batch.entries:
            assert isinstance(entry.item, AgentMessage)
            assert entry.index == len(self.texts)
            self.texts.append(entry.item.text)
        task = asyncio.ensure_future(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, *texts: str) -> None:
        """Wait until exactly these texts were read."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: self.texts == list(texts))

    async def until_caught_up(self) -> None:
        """Wait until the file was read to its end."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: any(b.caught_up for b in self.batches))

    def append(self, data: bytes) -> None:
        """Append to the file."""
        with self.path.open("ab") as file:
            file.write(data)


@pytest.fixture
async def followed(tmp_path: Path) -> AsyncIterator[Followed]:
    """A follower that is not started, of a file that does not exist."""
    made = Followed(tmp_path / "rollout-x.jsonl")
    yield made
    await made.follower.stop()


async def test_existing_content_comes_before_new_content(followed: Followed) -> None:
    followed.append(line("one"))
    followed.follower.start()
    await followed.until("one")
    followed.append(line("two") + line("three"))
    await followed.until("one", "two", "three")
    assert followed.restarts == 0


async def test_an_incomplete_line_is_buffered(followed: Followed) -> None:
    whole = line("schön")
    followed.append(line("one") + whole[:40])
    followed.follower.start()
    await followed.until("one")
    followed.append(whole[40:-1])
    followed.append(b"\n" + line("last"))
    await followed.until("one", "schön", "last")


async def test_a_file_that_comes_later(followed: Followed) -> None:
    followed.follower.start()
    await asyncio.sleep(0)
    followed.append(line("late"))
    await followed.until("late")
    followed.append(line("later"))
    await followed.until("late", "later")


async def test_a_shortened_file_is_read_again(followed: Followed) -> None:
    followed.append(line("one") + line("two"))
    followed.follower.start()
    await followed.until("one", "two")
    followed.path.write_bytes(line("new"))
    await followed.until("new")
    assert followed.restarts >= 1
    followed.append(line("next"))
    await followed.until("new", "next")


async def test_an_emptied_file_is_reported(followed: Followed) -> None:
    followed.append(line("one"))
    followed.follower.start()
    await followed.until("one")
    os.truncate(followed.path, 0)
    await followed.until()
    assert followed.restarts == 1


async def test_a_replaced_file_is_read_again_and_followed(followed: Followed) -> None:
    followed.append(line("one"))
    followed.follower.start()
    await followed.until("one")
    other = followed.path.with_name("other")
    other.write_bytes(line("another, longer than before") + line("and more"))
    other.replace(followed.path)
    await followed.until("another, longer than before", "and more")
    followed.append(line("growing"))
    await followed.until("another, longer than before", "and more", "growing")


async def test_a_removed_files_entries_stay_until_another_comes(followed: Followed) -> None:
    followed.append(line("one"))
    followed.follower.start()
    await followed.until("one")
    followed.path.unlink()
    await asyncio.sleep(0.05)
    assert followed.texts == ["one"]
    followed.append(line("again"))
    await followed.until("again")


async def test_a_long_file_comes_in_parts_and_ends_caught_up(followed: Followed) -> None:
    text = "x" * 1000
    count = 3 * CHUNK // 1000
    followed.append(b"".join(line(text) for _ in range(count)))
    followed.follower.start()
    await followed.until_caught_up()
    assert followed.texts == [text] * count
    assert [batch.caught_up for batch in followed.batches][:3] == [False] * 3
    assert followed.batches[-1].caught_up


async def test_a_long_files_entries_are_frozen_for_the_collector(
    followed: Followed,
) -> None:
    frozen = gc.get_freeze_count()
    followed.append(b"".join(line("x" * 1000) for _ in range(CHUNK // 1000)))
    followed.follower.start()
    await followed.until_caught_up()
    entries = followed.batches[0].entries
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen
    assert not {id(entry) for entry in entries} & {id(one) for one in gc.get_objects()}


async def test_later_entries_are_not_frozen(
    followed: Followed,
) -> None:
    followed.append(line("first"))
    followed.follower.start()
    await followed.until_caught_up()
    frozen = gc.get_freeze_count()
    burst = ["x" * 1000] * (CHUNK // 1000)
    followed.append(b"".join(map(line, burst)))
    await followed.until("first", *burst)
    assert gc.get_freeze_count() <= frozen


async def test_another_sessions_growth_does_not_wake_the_follower(followed: Followed) -> None:
    followed.append(line("one"))
    followed.follower.start()
    await followed.until("one")
    read = len(followed.batches)
    followed.path.with_name("rollout-other.jsonl").write_bytes(line("not ours"))
    followed.append(line("two"))
    await followed.until("one", "two")
    assert len(followed.batches) == read + 1


async def test_a_missing_folder_is_waited_for(followed: Followed) -> None:
    path = followed.path
    followed.follower.path = followed.path = path.parent / "2026/11/21" / path.name
    followed.follower.start()
    await asyncio.sleep(0)
    for folder in (path.parent / "2026", path.parent / "2026/11", path.parent / "2026/11/21"):
        folder.mkdir()
        await asyncio.sleep(0)
    followed.append(line("one"))
    await followed.until("one")


async def test_a_watch_that_fails_is_logged_and_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    no_name = "x" * 300
    follower = RolloutFollower(tmp_path / no_name / "rollout-x.jsonl", lambda _: None)
    follower.start()
    async with asyncio.timeout(PATIENCE):
        await follower.wait()
    assert "cannot be followed" in caplog.text
    await follower.stop()
    await follower.stop()
