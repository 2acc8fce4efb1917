"""Which rollout is the agent's own: the agent here is the test itself, which has the files open."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from agentapi.agents.codex.resume.session_files import SessionMeta
from agentapi.agents.codex.resume.watch import SessionWatch
from tests.support.rollout_files import end_after, pack, write_rollout

ONE, TWO, THREE = (f"01a1fddc-2eb3-7532-99ae-a2decbc73a2{digit}" for digit in "abc")


class Watched:
    """A watch and the sessions that it reported."""

    def __init__(self, home: Path) -> None:
        self.found: list[tuple[str, str]] = []
        self._changed = asyncio.Event()
        self.watch = SessionWatch(home, self._record)

    def _record(self, meta: SessionMeta, path: Path) -> None:
        self.found.append((meta.id, path.name))
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    (tmp_path / "sessions/2026/11/30").mkdir(parents=True)
    made = Watched(tmp_path)
    made.watch.start()
    made.watch.follow(os.getpid())
    await asyncio.sleep(0)
    yield made
    await made.watch.stop()


async def test_a_rewind_is_reported_before_its_first_turn(watched: Watched, tmp_path: Path) -> None:
    first = write_rollout(tmp_path, ONE, ["one", "two"])
    with first.open("ab"):
        watched.watch.scan()
    assert watched.found == [(ONE, first.name)]
    second = write_rollout(tmp_path, ONE, [], segment=TWO, base=(ONE, end_after(1)))
    with second.open("ab") as file:
        file.write(b"{}\n")
        file.flush()
        await watched.until(lambda: len(watched.found) == 2)
    assert watched.found[1] == (ONE, second.name)


async def test_others_files_and_compressed_ones_are_not_reported(
    watched: Watched, tmp_path: Path
) -> None:
    other = write_rollout(tmp_path, ONE, ["one"])
    packed = pack(write_rollout(tmp_path, TWO, ["two"]))
    empty = write_rollout(tmp_path, THREE, [])
    with empty.open("ab") as file:
        watched.watch.scan()
        assert watched.found == []
        with other.open("ab"):
            watched.watch.scan()
        file.write(b"{}\n")
    assert watched.found == [(ONE, other.name)]
    assert packed.exists()
