"""What the feed tells the driver: the turns of the rollout that the agent writes, and no others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agentapi.agents.codex.rollout.feed import COPYING, RolloutFeed
from agentapi.agents.codex.rollout.rollout import read_rollout
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


class Told:
    """A feed, and what it told of turns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heard: list[str] = []
        self.said: list[str] = []
        self._changed = asyncio.Event()
        self.feed = RolloutFeed(self._recorded)
        self.transcript = Transcript()
        self.transcript.watch(lambda ids: self._changed.set())
        self.feed.bind(self.transcript)

    def _recorded(self, entries: Sequence[Entry], anew: bool = False) -> None:
        self.heard += [ANEW] * anew
        for entry in entries:
            if isinstance(entry.item, Turn):
                self.heard.append(f"{entry.turn} {entry.item.event}")
            else:
                assert isinstance(entry.item, AgentMessage)
                self.said.append(entry.item.text)
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of what was told."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def write(self, name: str, *lines: str) -> Path:
        """Write at the end of a rollout."""
        path = self.folder / f"rollout-{name}.jsonl"
        with path.open("a", encoding="utf-8") as file:
            file.writelines(lines)
        return path


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    """A feed that follows nothing yet."""
    made = Told(tmp_path)
    yield made
    await made.feed.stop()


def meta(session: str, seconds: float = 0) -> str:
    """The first line of a session."""
    return _line("session_meta", {"id": session, "cli_version": "0.125.0"}, seconds)


def event(kind: str, seconds: float = 1) -> str:
    """A line of an event."""
    return _line("event_msg", {"type": kind}, seconds)


def _line(kind: str, payload: dict[str, str], seconds: float) -> str:
    time = (BEGIN + timedelta(seconds=seconds)).isoformat()
    return json.dumps({"timestamp": time, "type": kind, "payload": payload}) + "\n"


async def test_turns_are_told_as_they_are_written(told: Told) -> None:
    path = told.write("a", meta("a"), event("task_started"))
    told.feed.found(path)
    await told.until(lambda: told.heard == [ANEW, "1 started"])
    told.write("a", event("agent_message"), event("task_complete"), event("task_started"))
    await told.until(lambda: told.heard[2:] == ["1 completed", "2 started"])
    assert told.said == [""]  # the message without words, before its turn's end
    told.feed.found(path)  # the same again
    told.write("a", event("turn_aborted"))
    await told.until(lambda: told.heard[4:] == ["2 aborted"])


async def test_a_rollout_that_is_read_anew_says_so(told: Told) -> None:
    path = told.write("a", meta("a"), event("task_started"), event("task_complete"))
    told.feed.found(path)
    await told.until(lambda: told.heard == [ANEW, "1 started", "1 completed"])
    path.write_text(meta("a") + event("task_started"), encoding="utf-8")
    await told.until(lambda: told.heard[3:] == [ANEW, "1 started"])


async def test_another_session_takes_the_place_of_the_one_before(told: Told) -> None:
    told.feed.found(told.write("a", meta("a"), event("task_started")))
    await told.until(lambda: told.heard == [ANEW, "1 started"])
    told.feed.found(told.write("b", meta("b")))
    told.write("a", event("task_complete"))
    told.write("b", event("task_started"))
    await told.until(lambda: told.heard[2:] == [ANEW, "1 started"])


async def test_the_turns_that_a_fork_repeats_are_not_told_as_news(told: Told) -> None:
    """0.80 and 0.125 write them again with the time of the copy, and 0.80 may cut the last."""
    path = told.write("fork", meta("fork"), meta("origin"), event("task_started", 0.01))
    told.feed.found(path)
    told.write("fork", event("task_complete", 0.02), event("task_started", 0.02))
    later = COPYING.total_seconds() + 1
    told.write("fork", event("task_started", later), event("task_complete", later))
    await told.until(lambda: told.heard == [ANEW, "3 started", "3 completed"])


ONE, TWO, THREE, FOUR = (f"01a1fddc-2eb3-7532-99ae-a2decbc73a2{digit}" for digit in "abcd")


def shown(told: Told) -> list[tuple[int, str]]:
    """The ids and texts of the messages in the transcript."""
    items = told.transcript.items_after(0)
    kinds = (UserMessage, AgentMessage)
    return [(item.id, item.item.text) for item in items if isinstance(item.item, kinds)]


NOTICE = "What came after this was taken back."


async def test_a_rewind_goes_on_where_it_leads_to(told: Told) -> None:
    """What stays has the same ids and is no change; what was taken back is withdrawn; the turns
    that stay are no news."""
    first = write_rollout(told.folder, ONE, ["one", "two", "three"])
    told.feed.found(first)
    await told.until(lambda: told.heard[-1] == "3 started")
    assert shown(told) == [
        (2, "one"),
        (3, "ONE"),
        (5, "two"),
        (6, "TWO"),
        (8, "three"),
        (9, "THREE"),
    ]
    count = len(told.heard)
    subscription = told.transcript.subscribe()
    await subscription.take()
    base = (ONE, end_after(2))
    told.feed.found(write_rollout(told.folder, ONE, ["four"], segment=TWO, base=base))
    await told.until(lambda: told.heard[count:] == [ANEW, "3 started"])
    expected = [(2, "one"), (3, "ONE"), (5, "two"), (6, "TWO"), (9, "four"), (10, "FOUR")]
    assert shown(told) == expected
    notice = told.transcript.items_after(0)[6]
    assert (notice.id, notice.item) == (7, NoticeItem("rollback", NOTICE))
    changes = (await subscription.take()).decode()
    assert [f'"id":{number},' in changes for number in range(5, 10)] == [False, False, *[True] * 3]
    # Another one, behind the first exchange; and what a new run tells is the same.
    base = (ONE, end_after(1))
    last = write_rollout(told.folder, ONE, ["five"], segment=THREE, base=base, begun=LATER)
    told.feed.found(last)
    await told.until(lambda: told.heard[-1] == "2 started")
    assert shown(told) == [(2, "one"), (3, "ONE"), (6, "five"), (7, "FIVE")]
    entries, parser = read_rollout(last)
    assert [entry.item for entry in entries] == [
        item.item for item in told.transcript.items_after(0)
    ]
    assert parser.session_id == ONE


async def test_a_rewind_that_has_no_turn_yet_takes_back_at_once(told: Told) -> None:
    told.feed.found(write_rollout(told.folder, ONE, ["one", "two"]))
    await told.until(lambda: told.heard[-1] == "2 started")
    base = (ONE, end_after(1))
    told.feed.found(write_rollout(told.folder, ONE, [], segment=TWO, base=base))
    await told.until(lambda: told.heard[-1] == ANEW and len(told.transcript.items_after(0)) == 4)
    assert shown(told) == [(2, "one"), (3, "ONE")]


async def test_a_fork_shows_what_it_inherited_behind_what_was(told: Told) -> None:
    told.feed.found(write_rollout(told.folder, ONE, ["one", "two"]))
    await told.until(lambda: told.heard[-1] == "2 started")
    fork = write_rollout(told.folder, TWO, ["three"], base=(ONE, end_after(1)))
    told.feed.found(fork)
    await told.until(lambda: told.heard[-2:] == [ANEW, "2 started"])
    texts = [text for _, text in shown(told)]
    assert texts == ["one", "ONE", "two", "TWO", "one", "ONE", "three", "THREE"]
    assert told.feed.session_id == TWO


async def test_a_packed_session_is_told_once_it_is_unpacked(told: Told) -> None:
    path = write_rollout(told.folder, ONE, ["one"])
    data = path.read_bytes()
    told.feed.found(pack(path))
    path.write_bytes(data)
    await told.until(lambda: told.heard[-1] == "1 started")
    assert shown(told) == [(2, "one"), (3, "ONE")]


async def test_a_base_that_is_damaged_costs_only_what_it_has(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    base = write_rollout(told.folder, ONE, ["one"] * 20)
    last = write_rollout(told.folder, ONE, ["two"], segment=TWO, base=(ONE, end_after(9)))
    cut(pack(base))
    told.feed.found(last)
    await told.until(lambda: told.heard[-1] == "1 started")
    assert [text for _, text in shown(told)] == ["two", "TWO"]
    assert "damaged" in caplog.text


async def test_a_session_that_is_given_up_is_told_no_more(told: Told) -> None:
    path = write_rollout(told.folder, ONE, ["one"])
    told.feed.found(path)
    await told.until(lambda: told.heard[-1] == "1 started")
    told.feed.forget()
    told.transcript.clear()
    assert told.transcript.items_after(0) == []
    told.feed.found(write_rollout(told.folder, TWO, ["two"]))
    await told.until(lambda: told.heard[-2:] == [ANEW, "1 started"])
    assert shown(told) == [(2, "two"), (3, "TWO")]
    told.feed.found(path)  # gone back to, after all
    await told.until(lambda: told.heard[-2:] == [ANEW, "1 started"] and len(shown(told)) == 4)


@pytest.mark.parametrize("version", sorted(path.name for path in ROLLOUTS.glob("0.*")))
@pytest.mark.parametrize("session", ["turns", "endings", "approvals"])
async def test_what_a_version_writes_is_told(told: Told, version: str, session: str) -> None:
    """0.80 writes no end but that of an interrupted turn; all others write each beginning and each
    end, but the end of a turn in which Codex itself was ended."""
    turns = len(json.loads((ROLLOUTS / version / f"{session}.json").read_text())["typed"])
    told.feed.found(ROLLOUTS / version / f"{session}.jsonl")
    await told.until(lambda: any(one.startswith(f"{turns} ") for one in told.heard))
    heard = [one.split() for one in told.heard[1:]]
    assert [turn for turn, event in heard if event == "started"] == sorted(
        {turn for turn, _ in heard}, key=int
    )
    ends = [event for _, event in heard if event != "started"]
    if version == "0.80.0":
        assert set(ends) <= {"aborted"}
    else:
        assert [event == "started" for _, event in heard] == [
            number % 2 == 0 for number in range(len(heard))
        ]
        assert ends.count("completed") >= turns - 2
