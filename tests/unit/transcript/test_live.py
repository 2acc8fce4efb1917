"""Live items of the link: same ids as the recorded items that follow."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.model.conversation import Choice, Dialog
from agentapi.model.events import TurnChanged, UsageChanged
from agentapi.model.items import (
    AgentMessage,
    Approval,
    Entry,
    Error,
    Item,
    ItemSource,
    NoticeItem,
    Plan,
    Reasoning,
    ToolCall,
    Turn,
    Usage,
    UserMessage,
)
from agentapi.session.transcript_events import apply_event
from agentapi.transcript.changes import TranscriptItem
from agentapi.transcript.feed import Feed
from agentapi.transcript.transcript import Transcript
from tests.unit.transcript.test_transcript import NOW, changed, conversation

T = TypeVar("T")
BEGUN, DONE = Turn("started"), Turn("completed")
RUNNING = ToolCall("shell", "ls")
ENDED = ToolCall("shell", "ls", "", "a\n", 0, 12, "completed")
DIALOG = Dialog(
    "request-1", "command", "May I?", "because", "ls", choices=(Choice("1", "Yes", ""),)
)


class Rollout:
    """A record that a test writes."""

    def __init__(self, transcript: Transcript, feed: Feed | None = None) -> None:
        self.feed = feed or transcript.open(ItemSource.ROLLOUT)
        self.entries: list[Entry] = []
        self._turn = 0
        self._places: dict[str, int] = {}

    def put(self, item: Item, key: str = "", *, partial: bool = False) -> int:
        """Record one more item; return its index."""
        self._turn += item == BEGUN
        self.entries.append(Entry(len(self.entries), self._turn, NOW, item, partial, key))
        self.feed.put(self.entries[-1:])
        return len(self.entries) - 1

    def take(self, step: Step) -> None:
        """Record an item, new or in its next version."""
        if step.id in self._places and step.item != BEGUN:
            self.change(self._places[step.id], step.item)
            return
        place = self.put(step.item, step.id, partial=step.partial)
        if step.id:
            self._places[step.id] = place

    def change(self, number: int, item: Item) -> None:
        """Complete an item."""
        self.entries[number] = replace(self.entries[number], item=item, partial=False)
        self.feed.put(self.entries[number : number + 1])


@pytest.fixture
async def transcript() -> Transcript:
    """A transcript of an agent on a terminal that is linked."""
    made = Transcript(opening=True)
    made.update_screen(conversation()[:1], working=False)
    made.link()
    return made


@pytest.fixture
async def rollout(transcript: Transcript) -> Rollout:
    """Its record, within the turn `t`."""
    made = Rollout(transcript)
    made.put(BEGUN, "t")
    made.put(UserMessage("hi"))
    return made


def shown(transcript: Transcript, after: int = 2) -> list[tuple[int, Item, bool, str]]:
    """Return (id, item, partial, source) of the items after an id."""
    page, _ = transcript.page(after)
    return [(item.id, item.item, item.partial, item.source.value) for item in page]


# -- one item from two sides ---------------------------------------------------------------------


async def test_live_text_becomes_the_recorded_item_with_the_same_id(
    transcript: Transcript, rollout: Rollout
) -> None:
    transcript.update_live("t", "m", AgentMessage(""), partial=True)
    assert shown(transcript) == []
    transcript.update_live("t", "m", AgentMessage("**bo"), partial=True)
    assert shown(transcript) == [(3, AgentMessage("**bo"), True, "link")]
    transcript.update_live("t", "m", AgentMessage("**bold**"), partial=False)
    assert shown(transcript) == [(3, AgentMessage("**bold**"), False, "link")]
    rollout.put(AgentMessage("**bold**"), "m")
    assert shown(transcript) == [(3, AgentMessage("**bold**"), False, "rollout")]


async def test_link_updates_do_not_change_a_recorded_item(
    transcript: Transcript, rollout: Rollout
) -> None:
    rollout.put(AgentMessage("whole"))
    for text, partial in (("", True), ("who", True), ("whole", False)):
        transcript.update_live("t", "m", AgentMessage(text), partial=partial)
    assert shown(transcript) == [(3, AgentMessage("whole"), False, "rollout")]


async def test_a_tool_call_streams_and_ends_before_it_is_recorded(
    transcript: Transcript, rollout: Rollout
) -> None:
    transcript.update_live("t", "call", RUNNING, partial=True)
    assert shown(transcript) == [(3, RUNNING, True, "link")]
    growing = replace(RUNNING, output="a")
    transcript.update_live("t", "call", growing, partial=True)
    number = rollout.put(RUNNING, "call", partial=True)
    assert shown(transcript) == [(3, growing, True, "link")]
    ended = replace(ENDED, duration_ms=11)
    transcript.update_live("t", "call", ended, partial=False)
    assert shown(transcript) == [(3, ended, False, "link")]
    rollout.change(number, ENDED)
    assert shown(transcript) == [(3, ENDED, False, "rollout")]


async def test_the_link_updates_a_running_call_that_was_recorded_first(
    transcript: Transcript, rollout: Rollout
) -> None:
    number = rollout.put(RUNNING, "call", partial=True)
    transcript.update_live("t", "call", RUNNING, partial=True)
    assert shown(transcript) == [(3, RUNNING, True, "rollout")]
    growing = replace(RUNNING, output="a")
    transcript.update_live("t", "call", growing, partial=True)
    assert shown(transcript) == [(3, growing, True, "link")]
    rollout.put(DONE)  # a command in the background goes on
    transcript.update_live("t", "call", replace(growing, output="ab"), partial=True)
    assert shown(transcript)[0] == (3, replace(growing, output="ab"), True, "link")
    rollout.change(number, ENDED)
    transcript.update_live("t", "call", growing, partial=False)
    assert shown(transcript)[0] == (3, ENDED, False, "rollout")


async def test_items_move_to_the_order_of_the_record(
    transcript: Transcript, rollout: Rollout
) -> None:
    transcript.update_live("t", "b", replace(RUNNING, command="b"), partial=True)
    transcript.update_live("t", "a", replace(RUNNING, command="a"), partial=True)
    rollout.put(replace(RUNNING, command="a"), "a", partial=True)
    assert [(i, item.command) for i, item, _, _ in shown(transcript)] == [(3, "a"), (4, "b")]  # type: ignore[union-attr]
    rollout.put(replace(RUNNING, command="b"), "b", partial=True)
    assert [(i, item.command) for i, item, _, _ in shown(transcript)] == [(3, "a"), (4, "b")]  # type: ignore[union-attr]


async def test_a_match_ends_when_the_texts_differ(transcript: Transcript, rollout: Rollout) -> None:
    rollout.put(AgentMessage("missed by the link"))
    transcript.update_live("t", "m", AgentMessage("mi"), partial=True)
    assert len(shown(transcript)) == 1
    transcript.update_live("t", "m", AgentMessage("mine"), partial=True)
    assert shown(transcript)[1:] == [(4, AgentMessage("mine"), True, "link")]
    rollout.put(AgentMessage("mine, too"))
    assert [item for _, item, _, _ in shown(transcript)][1:] == [AgentMessage("mine, too")]


@pytest.mark.parametrize(
    ("live", "recorded"),
    [
        (UserMessage("steer"), UserMessage("steer [image]")),
        (Reasoning("**One**\n\n**Two**"), Reasoning("**One**")),
        (Plan("why", [{"step": "a", "status": "pending"}]),) * 2,
        (NoticeItem("compaction", ""), NoticeItem("compaction", "The context was compacted.")),
    ],
)
async def test_items_without_a_common_id(
    transcript: Transcript, rollout: Rollout, live: Item, recorded: Item
) -> None:
    transcript.update_live("t", "x", live, partial=False)
    rollout.put(recorded)
    assert [item for _, item, _, _ in shown(transcript)] == [recorded]
    transcript.update_live("t", "x", live, partial=False)
    assert [item for _, item, _, _ in shown(transcript)] == [recorded]


# -- turns and usage -----------------------------------------------------------------------------


async def test_only_recorded_items_of_an_ended_turn_stay(
    transcript: Transcript, rollout: Rollout
) -> None:
    transcript.update_live("t", "m", AgentMessage("half"), partial=True)
    rollout.put(Turn("aborted"))
    assert len(shown(transcript)) == 1
    transcript.update_live("t", "m", AgentMessage("half of it"), partial=False)
    assert len(shown(transcript)) == 1


async def test_a_turn_without_a_record_is_all_live(transcript: Transcript) -> None:
    apply_event(transcript, TurnChanged("t", "started"))
    transcript.update_live("t", "u", UserMessage("hi"), partial=False)
    apply_event(transcript, UsageChanged({"total": {"total_tokens": 5}}))
    apply_event(transcript, TurnChanged("t", "interrupted", "", 7))
    transcript.update_live("t2", "u", UserMessage("more"), partial=False)
    live = [BEGUN, UserMessage("hi"), Usage({"total": {"total_tokens": 5}})]
    live += [Turn("aborted", "interrupted", 7), BEGUN, UserMessage("more")]
    assert [item for _, item, _, _ in shown(transcript, 0)] == live
    assert [item.turn for item in transcript.items_after(0)] == [1, 1, 1, 1, 2, 2]
    assert {item.source for item in transcript.items_after(0)} == {ItemSource.LINK}
    rollout = Rollout(transcript)
    rollout.put(BEGUN, "t")
    assert [item for _, item, _, _ in shown(transcript, 0)] == live
    rollout.put(UserMessage("hi"))
    rollout.put(Usage({"total": {"total_tokens": 5}, "model": "m"}))
    rollout.put(Turn("aborted", "interrupted", 8))
    assert [item.item for item in transcript.items_after(0)][3:] == [
        rollout.entries[3].item,
        *live[4:],
    ]


async def test_a_failed_turn_has_an_error_item(transcript: Transcript) -> None:
    apply_event(transcript, TurnChanged("t", "failed", "no such model"))
    assert [item for _, item, _, _ in shown(transcript, 0)] == [
        BEGUN,  # missed, but it must have
        Error("no such model"),
        Turn("failed"),
    ]


async def test_partial_items_end_with_an_aborted_turn(transcript: Transcript) -> None:
    for turn, event in (("t1", "interrupted"), ("t2", "completed")):
        transcript.update_live(turn, "m", AgentMessage("half"), partial=True)
        transcript.update_live(turn, "c", RUNNING, partial=True)
        apply_event(transcript, TurnChanged(turn, event))
    live = [(item, partial) for _, item, partial, _ in shown(transcript, 0)]
    half = (AgentMessage("half"), False)
    assert live[1:3] == [half, (replace(RUNNING, status="aborted"), False)]
    assert live[5:7] == [half, (RUNNING, True)]  # in the background
    transcript.update_live("t2", "c", ENDED, partial=False)
    assert next(item for _, item, _, _ in shown(transcript, 6)) == ENDED


async def test_repeated_usage_is_no_item(transcript: Transcript, rollout: Rollout) -> None:
    usage = {"total": {"total_tokens": 5}}
    rollout.put(Usage(usage))
    apply_event(transcript, UsageChanged(usage))  # as after an interrupt
    assert len(shown(transcript)) == 1


# -- the screen beside it ------------------------------------------------------------------------


async def test_the_screen_is_ignored_while_there_is_a_link(transcript: Transcript) -> None:
    transcript.update_screen(conversation("hi", "• bo"), working=True, now=True)
    assert shown(transcript, 0) == []
    rollout = Rollout(transcript)
    rollout.put(BEGUN, "t")
    transcript.update_screen(conversation("hi", "• bold"), working=True, now=True)
    assert shown(transcript, 1) == []


async def test_messages_from_before_the_link_stay() -> None:
    transcript = Transcript(opening=True)
    transcript.restore(conversation("one", "two"))
    transcript.link()
    transcript.update_live("t", "u", UserMessage("three"), partial=False)
    transcript.update_screen(conversation("one", "two", "three", "• fo"), working=True, now=True)
    assert [
        (i, getattr(item, "text", ""), source) for i, item, _, source in shown(transcript, 0)
    ] == [
        (1, "one", "screen"),
        (2, "two", "screen"),
        (3, "", "link"),
        (4, "three", "link"),
    ]


async def test_the_screen_is_used_again_when_the_link_is_lost(
    transcript: Transcript, rollout: Rollout
) -> None:
    number = rollout.put(RUNNING, "call", partial=True)
    transcript.update_live("t", "call", replace(RUNNING, output="a"), partial=True)
    transcript.update_live("t", "m", AgentMessage("one"), partial=True)
    transcript.unlink()
    transcript.update_screen(conversation("hi", "• two"), working=True, now=True)
    assert shown(transcript) == [
        (3, RUNNING, True, "rollout"),
        (4, AgentMessage("• two"), True, "screen"),
    ]
    transcript.link()
    rollout.change(number, replace(RUNNING, status="aborted"))
    rollout.put(BEGUN, "t2")
    transcript.update_live("t2", "m", AgentMessage("three"), partial=True)
    assert shown(transcript, 4) == [(5, AgentMessage("three"), True, "link")]


async def test_a_link_that_is_lost_before_anything_is_recorded(transcript: Transcript) -> None:
    transcript.update_live("t", "u", UserMessage("hi"), partial=False)
    transcript.update_live("t", "m", AgentMessage("hel"), partial=True)
    transcript.unlink()
    transcript.update_screen(conversation("hi", "• hel"), working=False, now=True)
    assert [getattr(item, "text", "") for _, item, _, _ in shown(transcript, 0)] == ["hi", "• hel"]


async def test_the_listener_gets_the_path_of_the_record() -> None:
    transcript = Transcript()
    found: list[Path] = []
    transcript.on_record(found.append)
    transcript.link(Path("/a"))
    transcript.link(None)
    transcript.link(Path("/b"))
    assert found == [Path("/a"), Path("/b")]


async def test_a_record_that_is_read_again_is_matched_again(
    transcript: Transcript, rollout: Rollout
) -> None:
    transcript.update_live("t", "m", AgentMessage("one"), partial=False)
    rollout.put(AgentMessage("one"), "m")
    rollout.feed.replace(())
    assert [item for _, item, _, _ in shown(transcript, 0)] == [AgentMessage("one")]
    rollout.feed.put(rollout.entries)
    assert [item for _, item, _, _ in shown(transcript)] == [AgentMessage("one")]


# -- dialogs -------------------------------------------------------------------------------------


async def test_a_dialog_opens_and_closes(transcript: Transcript, rollout: Rollout) -> None:
    transcript.set_dialog(DIALOG, idle=False)
    asked = Approval("ls", "because", "pending", "May I?", "request-1")
    assert shown(transcript) == [(3, asked, True, "link")]
    transcript.set_dialog(DIALOG, idle=False)
    transcript.set_dialog(None, idle=False)
    assert shown(transcript) == [(3, replace(asked, decision="answered"), False, "link")]
    rollout.put(DONE)
    assert len(shown(transcript)) == 1


async def test_a_dialog_matches_the_approval_of_its_command(
    transcript: Transcript, rollout: Rollout
) -> None:
    number = rollout.put(Approval("ls", "because"), partial=True)
    transcript.set_dialog(replace(DIALOG, command="l\ns"), idle=False)  # as a screen may wrap it
    asked = Approval("ls", "because", "pending", "May I?", "request-1")
    assert shown(transcript) == [(3, asked, True, "link")]
    transcript.set_dialog(None, idle=False)
    assert shown(transcript) == [(3, replace(asked, decision="answered"), False, "link")]
    rollout.change(number, Approval("ls", "because", "approved"))
    assert shown(transcript)[0] == (3, Approval("ls", "because", "approved"), False, "rollout")


async def test_a_dialog_may_be_rendered_in_parts(transcript: Transcript, rollout: Rollout) -> None:
    transcript.set_dialog(replace(DIALOG, reason=""), idle=False)
    transcript.set_dialog(DIALOG, idle=False)
    [(_, item, partial, _)] = shown(transcript)
    assert isinstance(item, Approval)
    assert (item.reason, partial) == ("because", True)


async def test_the_same_command_needs_approval_again(
    transcript: Transcript, rollout: Rollout
) -> None:
    rollout.put(Approval("ls", "", "approved"))  # by a rule
    number = rollout.put(Approval("ls"), partial=True)
    rollout.change(number, Approval("ls", "", "approved"))
    transcript.set_dialog(DIALOG, idle=False)
    assert [partial for _, _, partial, _ in shown(transcript)] == [False, False, True]


async def test_a_dialog_outside_of_turns_lives_until_the_agent_is_idle() -> None:
    transcript = Transcript(opening=True)
    transcript.update_screen(conversation(), working=False)
    key = replace(DIALOG, choices=(Choice("1", "Yes", "y"),))
    transcript.set_dialog(key, idle=False)
    assert [(i, partial, source) for i, _, partial, source in shown(transcript, 0)] == [
        (1, True, "screen")
    ]
    transcript.set_dialog(None, idle=True)
    assert shown(transcript, 0) == []


async def test_an_answered_dialog_may_be_gone_before_the_agent_is_idle(
    transcript: Transcript, rollout: Rollout
) -> None:
    transcript.set_dialog(dialog_of("one"), idle=False)
    transcript.set_dialog(None, idle=False)
    rollout.take(Step("t", "t", Turn("started"), False))
    rollout.take(Step("t", "", Turn("completed"), False))
    transcript.set_dialog(dialog_of("two"), idle=False)
    transcript.set_dialog(None, idle=True)
    transcript.flush()
    assert [i.item for i in transcript.items_after(0) if isinstance(i.item, Approval)] == []


async def test_a_new_dialog_means_that_the_first_was_answered(
    transcript: Transcript, rollout: Rollout
) -> None:
    transcript.set_dialog(DIALOG, idle=False)
    transcript.set_dialog(replace(DIALOG, id="request-2", command="rm"), idle=False)
    decisions = [item.decision for _, item, _, _ in shown(transcript) if isinstance(item, Approval)]
    assert decisions == ["answered", "pending"]


# -- changes -------------------------------------------------------------------------------------


async def test_a_listener_gets_all_changed_ids_at_once(
    transcript: Transcript, rollout: Rollout
) -> None:
    live: list[list[int]] = []
    transcript.watch(live.append)
    entries = [Entry(2, 1, NOW, RUNNING), Entry(3, 1, NOW, AgentMessage("done"))]
    rollout.feed.put(entries)
    assert live == [[3, 4]]
    rollout.feed.put(entries)
    assert live == [[3, 4]]


async def test_a_replay_has_items_recorded_meanwhile(
    transcript: Transcript, rollout: Rollout
) -> None:
    transcript.update_live("t", "call", RUNNING, partial=True)
    transcript.flush()
    *_, (last, _, data) = changed(await transcript.subscribe().take())
    assert (data["id"], data["status"], data["source"]) == (3, "running", "link")
    transcript.update_live("t", "call", ENDED, partial=False)
    rollout.put(ENDED, "call")
    [(_, _, data)] = changed(await transcript.subscribe(last).take())
    assert (data["id"], data["status"], data["source"]) == (3, "completed", "rollout")


# -- any interleaving ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One update from one of the two sides."""

    turn: str
    id: str
    item: Item
    partial: bool = False


def versions(turn: str, id: str, item: Item) -> list[Step]:
    """Return the states of an item as the link streams it."""
    match item:
        case ToolCall():
            begun = replace(item, output="", exit_code=None, duration_ms=None, status="running")
            half = replace(begun, output=item.output[:1])
            return [Step(turn, id, begun, True), Step(turn, id, half, True), Step(turn, id, item)]
        case AgentMessage(text):
            grown = [AgentMessage(text[:length]) for length in (0, len(text) // 2)]
            return [*(Step(turn, id, part, True) for part in grown), Step(turn, id, item)]
    return [Step(turn, id, item)]


@st.composite
def turns(draw: st.DrawFn) -> tuple[list[Step], list[Step]]:
    """Draw some turns as the rollout records and as the link reports them. Texts come in the same
    order on both sides, tools in any."""
    recorded: list[Step] = []
    live: list[Step] = []
    keyed = draw(st.booleans())
    for number in range(draw(st.integers(1, 3))):
        turn = f"t{number}"
        kinds = draw(st.lists(st.sampled_from(["say", "think", "run"]), max_size=5))
        texts: list[Step] = [Step(turn, f"{turn}u", UserMessage(f"ask {number}"))]
        tools: list[Step] = []
        everything = list(texts)
        for place, kind in enumerate(kinds):
            name = f"{turn}.{place}"
            item: Item = AgentMessage(f"{name} says")
            if kind == "think":
                item = Reasoning(f"{name} thinks")
            if kind == "run":
                item = ToolCall("shell", name, "", f"{name} out", 0, 1, "completed")
            (tools if kind == "run" else texts).append(Step(turn, name, item))
            everything.append(Step(turn, name, item))
        recorded.append(Step(turn, turn, BEGUN))
        for step in everything:
            if isinstance(step.item, ToolCall):
                recorded.append(versions(step.turn, step.id, step.item)[0])
                recorded.append(step)
            else:
                recorded.append(step if keyed else replace(step, id=""))
        recorded.append(Step(turn, "", DONE))
        threads = [
            [v for step in texts for v in versions(step.turn, step.id, step.item)],
            *(versions(step.turn, step.id, step.item) for step in tools),
        ]
        live += draw(interleaved(threads))
    return recorded, live


@st.composite
def interleaved(draw: st.DrawFn, lists: Sequence[Sequence[T]]) -> list[T]:
    """Merge the lists at random; keep the order of each."""
    order = [number for number, steps in enumerate(lists) for _ in steps]
    iterators = [iter(steps) for steps in lists]
    return [next(iterators[number]) for number in draw(st.permutations(order))]


@given(turns(), st.data())
def test_any_interleaving_ends_in_the_record(
    sides: tuple[list[Step], list[Step]], data: st.DataObject
) -> None:
    recorded, live = sides
    order = data.draw(st.permutations([True] * len(recorded) + [False] * len(live)))

    async def play() -> None:
        transcript = Transcript()
        transcript.link()
        rollout = Rollout(transcript)
        subscription = transcript.subscribe()
        seen: dict[int, tuple[object, ...]] = {}
        record, link = iter(recorded), iter(live)
        for is_recorded in order:
            step = next(record if is_recorded else link)
            if not is_recorded:
                transcript.update_live(step.turn, step.id, step.item, partial=step.partial)
            else:
                rollout.take(step)
            page, _ = transcript.page()
            assert [item.id for item in page] == list(range(1, len(page) + 1))
            names = [name(item.item) for item in page]
            assert len(names) == len(set(names)), names
            final = [(e.item, e.partial) for e in rollout.entries if not e.partial]
            kept = [(i.item, i.partial) for i in page[: len(rollout.entries)]]
            assert [pair for pair in kept if pair in final] == final
            if transcript._changes.latest > subscription._after:
                for _, event, body in changed(await subscription.take()):
                    seen.pop(body["id"], None)
                    if event == "item":
                        seen[body["id"]] = (body["kind"], body["partial"], body["source"])
            assert [seen[number] for number in sorted(seen)] == [
                (i.item.kind.value, i.partial, i.source.value) for i in page
            ]
        assert [item.item for item in transcript.items_after(0)] == [
            e.item for e in rollout.entries
        ]
        assert {item.source for item in transcript.items_after(0)} == {ItemSource.ROLLOUT}
        transcript.close()

    asyncio.run(play())


def dialog_of(number: str) -> Dialog:
    """A question about a command."""
    return replace(DIALOG, id=number, command=number)


@given(turns(), st.data())
def test_incremental_updates_equal_a_full_layout(
    sides: tuple[list[Step], list[Step]], data: st.DataObject
) -> None:
    recorded, live = sides
    on_record = data.draw(st.booleans())
    asked = data.draw(st.lists(st.sampled_from(["", "idle", "t0.1", "other"]), max_size=4))
    ends = {step.turn: Step(step.turn, "turn ended", DONE) for step in live}
    steps: list[Step | str] = data.draw(
        interleaved([recorded if on_record else [], live, asked, ["screen"] * 3, ["unlink"]])
    )
    steps += ends.values()

    async def play() -> None:
        transcript = Transcript(opening=True)
        transcript.update_screen(conversation("before"), working=False)
        transcript.link()
        rollout = Rollout(transcript) if on_record else None
        transcript._refresh()  # a record that is open but empty
        for place, step in enumerate(steps):
            if step == "screen":
                words = [str(n) for n in range(place)]
                transcript.update_screen(conversation(*words), working=True, now=True)
            elif step == "unlink":
                transcript.unlink()
            elif isinstance(step, str):
                dialog = dialog_of(step) if step not in ("", "idle") else None
                transcript.set_dialog(dialog, idle=step == "idle")
            elif rollout is not None and any(step is other for other in recorded):
                rollout.take(step)
            else:
                transcript.update_live(step.turn, step.id, step.item, partial=step.partial)
            transcript.flush()
            items, changes = transcript.items_after(0), transcript._changes.latest
            transcript._live.rearranged = True
            transcript._refresh()
            assert transcript.items_after(0) == items
            assert transcript._changes.latest == changes
        transcript.close()

    asyncio.run(play())


async def test_an_update_does_not_visit_every_item_without_a_record(
    transcript: Transcript, monkeypatch: pytest.MonkeyPatch
) -> None:
    for turn in range(20):
        for number in range(20):
            transcript.update_live(
                f"t{turn}", f"m{number}", AgentMessage(f"{number}"), partial=False
            )
        apply_event(transcript, TurnChanged(f"t{turn}", "completed"))
    transcript.update_live("last", "m", AgentMessage("hel"), partial=True)
    looks = 0

    def look(*members: Any) -> TranscriptItem:
        nonlocal looks
        looks += 1
        return TranscriptItem(*members)

    monkeypatch.setattr("agentapi.transcript.transcript.TranscriptItem", look)
    transcript.update_live("last", "m", AgentMessage("hello"), partial=True)
    transcript.update_live("last", "call", RUNNING, partial=True)
    transcript.update_screen(conversation("hi", "hello"), working=True, now=True)
    transcript.set_dialog(None, idle=True)
    assert looks == 2
    assert [item for _, item, _, _ in shown(transcript)[-2:]] == [AgentMessage("hello"), RUNNING]


names_of_turns = iter(range(10**9))


def name(item: Item) -> object:
    """Return what identifies an item, however partial."""
    match item:
        case ToolCall():
            return item.command
        case AgentMessage(text) | Reasoning(text):
            return text.split(" ")[0]
        case UserMessage(text):
            return text
    return next(names_of_turns)  # turns look alike
