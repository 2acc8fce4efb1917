"""The feed passes the turns of the agent's rollout to the driver, and no others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agentapi.agents.codex.rollout.feed import COPY_TIME, RolloutFeed
from agentapi.agents.codex.rollout.follower import read_rollout
from agentapi.model.items import AgentMessage, Entry, NoticeItem, Turn, UserMessage
from agentapi.transcript.transcript import Transcript
from tests.support.codex import PROJECT
from tests.support.rollout_files import BEGIN as BEGUN
from tests.support.rollout_files import cut, end_after, pack, write_rollout

PATIENCE = 10.0
ROLLOUTS = PROJECT / "tests/recordings/rollouts"
BEGIN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ANEW = "anew"
LATER = BEGUN + timedelta(minutes=1)


class Fed:
    """A feed, and the turns and messages that it passed on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.turns: list[str] = []
        self.messages: list[str] = []
        self._changed = asyncio.Event()
        self.feed = RolloutFeed(self._record)
        self.transcript = Transcript()
        self.transcript.watch(lambda ids: self._changed.set())
        self.feed.bind(self.transcript)

    def _record(self, entries: Sequence[Entry], anew: bool = False) -> None:
        self.turns += [ANEW] * anew
        for entry in entries:
            if isinstance(entry.item, Turn):
                self.turns.append(f"{entry.turn} {entry.item.event}")
            else:
                assert isinstance(entry.item, AgentMessage)
                self.messages.append(entry.item.text)
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of what was fed."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def write(self, name: str, *lines: str) -> Path:
        """Append to a rollout."""
        path = self.folder / f"rollout-{name}.jsonl"
        with path.open("a", encoding="utf-8") as file:
            file.writelines(lines)
        return path


@pytest.fixture
async def fed(tmp_path: Path) -> AsyncIterator[Fed]:
    """A feed that follows nothing yet."""
    made = Fed(tmp_path)
    yield made
    await made.feed.stop()


def meta(session: str, seconds: float = 0) -> str:
    """The first line of a session."""
    return _line("session_meta", {"id": session, "cli_version": "0.125.0"}, seconds)


def event(kind: str, seconds: float = 1) -> str:
    """An event's line."""
    return _line("event_msg", {"type": kind}, seconds)


def _line(kind: str, payload: dict[str, str], seconds: float) -> str:
    time = (BEGIN + timedelta(seconds=seconds)).isoformat()
    return json.dumps({"timestamp": time, "type": kind, "payload": payload}) + "\n"


async def test_turns_are_reported_as_they_are_written(fed: Fed) -> None:
    path = fed.write("a", meta("a"), event("task_started"))
    fed.feed.follow(path)
    await fed.until(lambda: fed.turns == [ANEW, "1 started"])
    fed.write("a", event("agent_message"), event("task_complete"), event("task_started"))
    await fed.until(lambda: fed.turns[2:] == ["1 completed", "2 started"])
    assert fed.messages == [""]  # the message without words, before its turn's end
    fed.feed.follow(path)  # the same again
    fed.write("a", event("turn_aborted"))
    await fed.until(lambda: fed.turns[4:] == ["2 aborted"])


async def test_a_restarted_rollout_is_reported(fed: Fed) -> None:
    path = fed.write("a", meta("a"), event("task_started"), event("task_complete"))
    fed.feed.follow(path)
    await fed.until(lambda: fed.turns == [ANEW, "1 started", "1 completed"])
    path.write_text(meta("a") + event("task_started"), encoding="utf-8")
    await fed.until(lambda: fed.turns[3:] == [ANEW, "1 started"])


async def test_another_session_replaces_the_previous_one(fed: Fed) -> None:
    fed.feed.follow(fed.write("a", meta("a"), event("task_started")))
    await fed.until(lambda: fed.turns == [ANEW, "1 started"])
    fed.feed.follow(fed.write("b", meta("b")))
    fed.write("a", event("task_complete"))
    fed.write("b", event("task_started"))
    await fed.until(lambda: fed.turns[2:] == [ANEW, "1 started"])


async def test_turns_that_a_fork_copied_are_not_new(fed: Fed) -> None:
    """0.80 and 0.125 write them again with the time of the copy, and 0.80 may cut the last."""
    path = fed.write("fork", meta("fork"), meta("origin"), event("task_started", 0.01))
    fed.feed.follow(path)
    fed.write("fork", event("task_complete", 0.02), event("task_started", 0.02))
    later = COPY_TIME.total_seconds() + 1
    fed.write("fork", event("task_started", later), event("task_complete", later))
    await fed.until(lambda: fed.turns == [ANEW, "3 started", "3 completed"])


ONE, TWO, THREE, FOUR = (f"01a1fddc-2eb3-7532-99ae-a2decbc73a2{digit}" for digit in "abcd")


def shown(fed: Fed) -> list[tuple[int, str]]:
    """The ids and texts of the messages in the transcript."""
    items = fed.transcript.items_after(0)
    kinds = (UserMessage, AgentMessage)
    return [(item.id, item.item.text) for item in items if isinstance(item.item, kinds)]


NOTICE = "What came after this was taken back."


async def test_a_rewind_continues_from_its_target(fed: Fed) -> None:
    """Items that stay keep their ids and do not change; rolled-back ones are withdrawn; the turns
    that stay are not new."""
    first = write_rollout(fed.folder, ONE, ["one", "two", "three"])
    fed.feed.follow(first)
    await fed.until(lambda: fed.turns[-1] == "3 started")
    assert shown(fed) == [
        (2, "one"),
        (3, "ONE"),
        (5, "two"),
        (6, "TWO"),
        (8, "three"),
        (9, "THREE"),
    ]
    count = len(fed.turns)
    subscription = fed.transcript.subscribe()
    await subscription.take()
    base = (ONE, end_after(2))
    fed.feed.follow(write_rollout(fed.folder, ONE, ["four"], segment=TWO, base=base))
    await fed.until(lambda: fed.turns[count:] == [ANEW, "3 started"])
    expected = [(2, "one"), (3, "ONE"), (5, "two"), (6, "TWO"), (9, "four"), (10, "FOUR")]
    assert shown(fed) == expected
    notice = fed.transcript.items_after(0)[6]
    assert (notice.id, notice.item) == (7, NoticeItem("rollback", NOTICE))
    changes = (await subscription.take()).decode()
    assert [f'"id":{number},' in changes for number in range(5, 10)] == [False, False, *[True] * 3]
    # Another one, behind the first exchange; and what a new run tells is the same.
    base = (ONE, end_after(1))
    last = write_rollout(fed.folder, ONE, ["five"], segment=THREE, base=base, begun=LATER)
    fed.feed.follow(last)
    await fed.until(lambda: fed.turns[-1] == "2 started")
    assert shown(fed) == [(2, "one"), (3, "ONE"), (6, "five"), (7, "FIVE")]
    entries, parser = read_rollout(last)
    assert [entry.item for entry in entries] == [
        item.item for item in fed.transcript.items_after(0)
    ]
    assert parser.session_id == ONE


async def test_a_rewind_without_a_turn_rolls_back_at_once(fed: Fed) -> None:
    fed.feed.follow(write_rollout(fed.folder, ONE, ["one", "two"]))
    await fed.until(lambda: fed.turns[-1] == "2 started")
    base = (ONE, end_after(1))
    fed.feed.follow(write_rollout(fed.folder, ONE, [], segment=TWO, base=base))
    await fed.until(lambda: fed.turns[-1] == ANEW and len(fed.transcript.items_after(0)) == 4)
    assert shown(fed) == [(2, "one"), (3, "ONE")]


async def test_a_fork_shows_its_inherited_items_after_the_earlier_ones(fed: Fed) -> None:
    fed.feed.follow(write_rollout(fed.folder, ONE, ["one", "two"]))
    await fed.until(lambda: fed.turns[-1] == "2 started")
    fork = write_rollout(fed.folder, TWO, ["three"], base=(ONE, end_after(1)))
    fed.feed.follow(fork)
    await fed.until(lambda: fed.turns[-2:] == [ANEW, "2 started"])
    texts = [text for _, text in shown(fed)]
    assert texts == ["one", "ONE", "two", "TWO", "one", "ONE", "three", "THREE"]
    assert fed.feed.session_id == TWO


async def test_a_compressed_session_is_fed_once_it_is_decompressed(fed: Fed) -> None:
    path = write_rollout(fed.folder, ONE, ["one"])
    data = path.read_bytes()
    fed.feed.follow(pack(path))
    path.write_bytes(data)
    await fed.until(lambda: fed.turns[-1] == "1 started")
    assert shown(fed) == [(2, "one"), (3, "ONE")]


async def test_a_damaged_base_loses_only_its_own_items(
    fed: Fed, caplog: pytest.LogCaptureFixture
) -> None:
    base = write_rollout(fed.folder, ONE, ["one"] * 20)
    last = write_rollout(fed.folder, ONE, ["two"], segment=TWO, base=(ONE, end_after(9)))
    cut(pack(base))
    fed.feed.follow(last)
    await fed.until(lambda: fed.turns[-1] == "1 started")
    assert [text for _, text in shown(fed)] == ["two", "TWO"]
    assert "damaged" in caplog.text


async def test_an_abandoned_session_is_no_longer_fed(fed: Fed) -> None:
    path = write_rollout(fed.folder, ONE, ["one"])
    fed.feed.follow(path)
    await fed.until(lambda: fed.turns[-1] == "1 started")
    fed.feed.reset()
    fed.transcript.clear()
    assert fed.transcript.items_after(0) == []
    fed.feed.follow(write_rollout(fed.folder, TWO, ["two"]))
    await fed.until(lambda: fed.turns[-2:] == [ANEW, "1 started"])
    assert shown(fed) == [(2, "two"), (3, "TWO")]
    fed.feed.follow(path)  # gone back to, after all
    await fed.until(lambda: fed.turns[-2:] == [ANEW, "1 started"] and len(shown(fed)) == 4)


@pytest.mark.parametrize("version", sorted(path.name for path in ROLLOUTS.glob("0.*")))
@pytest.mark.parametrize("session", ["turns", "endings", "approvals"])
async def test_every_versions_turns_are_fed(fed: Fed, version: str, session: str) -> None:
    """0.80 writes only the ends of interrupted turns; all others write every start and end, except
    the end of a turn in which Codex itself was stopped."""
    count = len(json.loads((ROLLOUTS / version / f"{session}.json").read_text())["typed"])
    fed.feed.follow(ROLLOUTS / version / f"{session}.jsonl")
    await fed.until(lambda: any(turn.startswith(f"{count} ") for turn in fed.turns))
    events = [turn.split() for turn in fed.turns[1:]]
    assert [turn for turn, event in events if event == "started"] == sorted(
        {turn for turn, _ in events}, key=int
    )
    ends = [event for _, event in events if event != "started"]
    if version == "0.80.0":
        assert set(ends) <= {"aborted"}
    else:
        assert [event == "started" for _, event in events] == [
            number % 2 == 0 for number in range(len(events))
        ]
        assert ends.count("completed") >= count - 2
