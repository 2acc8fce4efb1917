"""Live items: the state of a turn while it runs, until the record has it.

The same item arrives from two sides: from Codex's link as it starts, streams and ends, and from the
rollout when it is written there. Either may be first. Two items match if

- they belong to the same turn: the live turn id is the key of the recorded turn's start; and
- they have the same id: a tool's call id, and from Codex 0.158 on the id of every item; or
- the recorded item has no key, and the live one is the first unmatched item of its kind with the
  same beginning: both sides report the texts of a turn in the same order.

A live item with a match is shown at the recorded item's index; while that is partial, the live
state is merged into it. A live item without a match is shown after all recorded items, in the order
of arrival. It is dropped when the record ends its turn, or a later one: the record is final.

An open dialog is a live item, too. It matches the approval of the same command, if the rollout has
one; otherwise it is shown until the agent is idle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from agentapi.model.conversation import Dialog
from agentapi.model.items import Approval, Entry, Item, ItemSource, ToolCall, Turn, Usage
from agentapi.transcript.matching import LiveItem, is_empty, matches, total_tokens

STARTED, ENDED = "turn started", "turn ended"
"""The ids of the live items for a turn's start and end."""
_NO_TURN = ""
"""The turn of items outside of any turn."""


@dataclass(slots=True)
class _LiveTurn:
    number: int = 0
    """The recorded turn's number; 0 until it is recorded."""
    items: dict[str, LiveItem] = field(default_factory=dict)
    keyed: dict[str, int] = field(default_factory=dict)
    """The indices of recorded items by their keys."""
    unmatched: dict[int, Item] = field(default_factory=dict)
    """Recorded items with neither a key nor a match, by their indices."""


class LiveItems:
    """The live items of turns that have not ended, and the live state of partial recorded items."""

    def __init__(self) -> None:
        self._turns: dict[str, _LiveTurn] = {}
        self._ended_turns: set[str] = set()
        self._recorded_turn = _NO_TURN  # the one that is open
        self._partial: dict[int, LiveItem | None] = {}  # partial recorded items and their matches
        self._total: object = None
        self._dialog: LiveItem | None = None
        self._dialog_count = 0
        self._answered: list[LiveItem] = []  # dialogs to remove when the agent is idle
        self._updated: list[LiveItem] = []
        self.rearranged = True
        """Whether the items after the recorded ones must be laid out again. Updates in place and
        items added to the last turn do not need that. Without a record all items of a day are
        live: one more word must not visit each of them."""

    # -- live updates ------------------------------------------------------------------------

    def update(self, update: LiveItem) -> None:
        """Add an item, or replace its state."""
        if is_empty(update.item):
            return
        if update.turn in self._ended_turns:
            known = next((t for t in self._partial.values() if t and _same(t, update)), None)
        else:
            turn = self._turn(update)
            self.rearranged |= update.id not in turn.items and not self._is_last(turn)
            known = turn.items.setdefault(update.id, update)
        if known is None:
            return
        known.item, known.partial = update.item, update.partial
        if known.turn not in self._ended_turns:
            self._match_live(self._turns[known.turn], known)
        self._updated.append(known)
        if isinstance(update.item, Turn) and update.id == ENDED:
            self._end_partial(update.turn, aborted=update.item.event == "aborted")

    def update_usage(self, usage: Mapping[str, object], time: datetime) -> None:
        """Add the token usage after another model response to the current turn."""
        total = total_tokens(Usage(usage))
        turn = self._current_turn()
        id = f"usage {total}"
        if turn == _NO_TURN or (total == self._total and id not in self._turns[turn].items):
            return  # a repetition, as after an interrupt
        self._total = total
        self.update(LiveItem(turn, id, Usage(usage), False, ItemSource.LINK, time))

    def set_dialog(self, dialog: Dialog | None, source: ItemSource, time: datetime) -> bool:
        """Set the open dialog; None: it was answered. Return whether anything changed."""
        known = self._dialog
        if known is None and dialog is None:
            return False
        if known is not None and isinstance(known.item, Approval):
            if dialog is not None and dialog.id == known.item.dialog:
                changed = _approval(dialog) != known.item
                self.update(replace(known, item=_approval(dialog)))
                return changed or self.rearranged  # it may have gone with a recorded turn
            answered = replace(known.item, decision="answered")
            self.update(replace(known, item=answered, partial=False))
            self._answered.append(known)
            self._dialog = None
        if dialog is not None:
            self._dialog_count += 1
            turn = self._current_turn()
            id = f"dialog {self._dialog_count}"
            self._dialog = LiveItem(turn, id, _approval(dialog), True, source, time)
            self.update(self._dialog)
        return True

    def remove_answered(self) -> bool:
        """Remove answered dialogs without a match. Return whether there were any."""
        answered = [live for live in self._answered if self._is_present(live)]
        removed = [live for live in answered if live.record_index is None]
        self._answered = [live for live in answered if live.record_index is not None]
        for live in removed:
            del self._turns[live.turn].items[live.id]
        self.rearranged |= bool(removed)
        return bool(removed)

    def _is_present(self, live: LiveItem) -> bool:
        """Whether an item was not removed with its turn, which may have begun anew since."""
        return live.turn in self._turns and live.id in self._turns[live.turn].items

    def clear(self) -> None:
        """Remove all live items: their source is gone."""
        self.rearranged = True
        self._dialog = None
        self._answered.clear()
        self._partial = dict.fromkeys(self._partial)
        for turn in self._turns.values():
            turn.items.clear()

    def _turn(self, update: LiveItem) -> _LiveTurn:
        """Return the turn of an update; add a start if none was reported."""
        turn = self._turns.get(update.turn)
        if turn is None:
            self.rearranged = True
            turn = self._turns[update.turn] = _LiveTurn()
            if update.turn != _NO_TURN and update.id != STARTED:
                start = replace(update, id=STARTED, item=Turn("started"), partial=False)
                turn.items[STARTED] = start
        return turn

    def _end_partial(self, turn: str, *, aborted: bool) -> None:
        """Mark a turn's items complete. A command may run on in the background, unless the turn
        was aborted."""
        self.rearranged = True
        for live in self._turns[turn].items.values() if turn in self._turns else ():
            if not live.partial or live.record_index is not None or isinstance(live.item, Approval):
                continue
            if isinstance(live.item, ToolCall):
                if not aborted:
                    continue
                live.item = replace(live.item, status="aborted")
            live.partial = False

    # -- recorded items ----------------------------------------------------------------------

    def add_recorded(self, index: int, turn: int, entry: Entry) -> None:
        """Match a new recorded item; `turn` is the number of its turn."""
        self.rearranged = True
        item, key = entry.item, entry.key
        if isinstance(item, Turn):
            if item.event != "started":
                self._drop_turns(self._recorded_turn)
                return
            self._drop_turns(self._recorded_turn)
            self._recorded_turn, key = key or f"turn {turn}", STARTED
            self._turns.setdefault(self._recorded_turn, _LiveTurn()).number = turn
        elif isinstance(item, Usage):
            self._total = total_tokens(item)
        if entry.partial:
            self._partial[index] = None
        if live := self._turns.get(self._recorded_turn):
            self._match_recorded(live, index, item, key)

    def update_recorded(self, index: int, *, partial: bool) -> None:
        """Note that a recorded item changed."""
        if partial:
            return
        self._partial.pop(index, None)
        for turn in self._turns.values():
            if isinstance(turn.unmatched.get(index), Approval):
                del turn.unmatched[index]  # decided: the next dialog is about something else

    def reset_recorded(self) -> None:
        """Discard all matches: the recorded items are put again."""
        self.rearranged = True
        self._partial.clear()
        self._recorded_turn = _NO_TURN
        for turn in self._turns.values():
            turn.number = 0
            turn.keyed.clear()
            turn.unmatched.clear()
            for live in turn.items.values():
                live.record_index = live.recorded = None

    # -- reading -----------------------------------------------------------------------------

    def match_of(self, index: int) -> LiveItem | None:
        """Return the live match of the recorded item at an index, as long as that is partial."""
        return self._partial.get(index)

    def unrecorded(self) -> Iterator[tuple[int, LiveItem]]:
        """Yield the items without a match, in order, each with its recorded turn's number or 0.

        Resets `rearranged`, and what `take_updated` would return."""
        self.rearranged = False
        self._updated.clear()
        for turn in self._turns.values():
            for live in turn.items.values():
                if live.record_index is None:
                    yield turn.number, live

    def take_updated(self) -> list[LiveItem]:
        """Return the items without a match that changed since the last call of this or of
        `unrecorded`."""
        updated, self._updated = self._updated, []
        return [live for live in updated if live.record_index is None]

    def _is_last(self, turn: _LiveTurn) -> bool:
        """Whether the last item shown is of this turn."""
        last = next(reversed(turn.items.values()), None)
        latest = next(reversed(self._turns.values()))
        return turn is latest and last is not None and last.record_index is None

    def _current_turn(self) -> str:
        """Return the latest turn that has not ended."""
        return next((turn for turn in reversed(self._turns) if turn != _NO_TURN), _NO_TURN)

    # -- matching ----------------------------------------------------------------------------

    def _match_live(self, turn: _LiveTurn, live: LiveItem) -> None:
        """Find the recorded item of a live one. A match by content ends when the contents part."""
        if live.record_index is not None:
            if live.recorded is None or matches(live.recorded, live.item):
                return
            self._unmatch(turn, live)
        index = turn.keyed.get(live.id)
        if index is None:
            candidates = (
                n for n in sorted(turn.unmatched) if matches(turn.unmatched[n], live.item)
            )
            index = next(candidates, None)
        if index is not None:
            self._match(live, index, turn.unmatched.pop(index, None))

    def _match_recorded(self, turn: _LiveTurn, index: int, item: Item, key: str) -> None:
        """Find the live item of a recorded one."""
        if key:
            turn.keyed[key] = index
            live = turn.items.get(key)
            if live is not None:
                self._unmatch(turn, live)
        else:
            candidates = (
                t for t in turn.items.values() if t.record_index is None and matches(item, t.item)
            )
            live = next(candidates, None)
            if live is None and not (isinstance(item, Approval) and index not in self._partial):
                turn.unmatched[index] = item
        if live is not None:
            self._match(live, index, None if key else item)

    def _match(self, live: LiveItem, index: int, recorded: Item | None) -> None:
        self.rearranged = True
        live.record_index, live.recorded = index, recorded
        if index in self._partial:
            self._partial[index] = live

    def _unmatch(self, turn: _LiveTurn, live: LiveItem) -> None:
        self.rearranged = True
        if live.record_index is not None and live.recorded is not None:
            turn.unmatched[live.record_index] = live.recorded
            if live.record_index in self._partial:
                self._partial[live.record_index] = None
        live.record_index = live.recorded = None

    def _drop_turns(self, last: str) -> None:
        """Drop a turn that ended, and all before it."""
        self._recorded_turn = _NO_TURN
        if last not in self._turns:
            return
        while self._turns:
            first = next(iter(self._turns))
            del self._turns[first]
            if first != _NO_TURN:
                self._ended_turns.add(first)
            if first == last:
                return


def _approval(dialog: Dialog) -> Approval:
    command = dialog.command or dialog.diff
    return Approval(command, dialog.reason, title=dialog.title, dialog=dialog.id)


def _same(first: LiveItem, second: LiveItem) -> bool:
    return (first.turn, first.id) == (second.turn, second.id)
