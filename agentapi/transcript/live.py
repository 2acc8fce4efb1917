"""What is told of a turn while it happens, until the exact source has recorded it.

The same item comes from two sides: from Codex's link as it starts, grows and ends, and from the
rollout when it is written there. Either may be first. What is the same:

- the turn, when both call it by one id, which is the key of the exact turn's beginning;
- in one turn, two items of one id: a tool's call id, and from Codex 0.158 on every item's;
- where the exact item has no key, the first of its kind that nothing else is the counterpart of,
  and that begins as it does: both sides tell a turn's texts in one order.

What has a counterpart is shown in its place: while that still grows, with what was told beyond it.
What has none comes behind all exact items, in the order in which it was told, and is void when the
exact turn ends, or a later one: what is recorded is all that stays.

A dialog that waits for the user is told, too. Its counterpart is the approval of the same command,
where the rollout has one; others live until the agent is idle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from agentapi.model.comparison import squeeze
from agentapi.model.conversation import Dialog
from agentapi.model.items import (
    AgentMessage,
    Approval,
    Entry,
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
from agentapi.transcript.changes import TranscriptItem

STARTED, ENDED = "turn started", "turn ended"
"""The ids under which a turn's beginning and end are told."""
_NO_TURN = ""
"""The turn of what is told outside of turns."""


@dataclass(slots=True)
class Told:
    """One item as it was told last."""

    turn: str
    id: str
    item: Item
    partial: bool
    source: ItemSource
    time: datetime
    """When it was told first."""
    number: int | None = None
    """The place of its exact counterpart."""
    exact: Item | None = None
    """The counterpart itself, where only its looks speak for it."""
    place: int = -1
    """Where it is shown without a counterpart; -1 before it is."""


@dataclass(slots=True)
class _LiveTurn:
    number: int = 0
    """The exact turn's; 0 before that is there."""
    told: dict[str, Told] = field(default_factory=dict)
    keyed: dict[str, int] = field(default_factory=dict)
    """The places of exact items by their keys."""
    loose: dict[int, Item] = field(default_factory=dict)
    """Exact items without a key and without a counterpart, by their places."""


class Live:
    """What was told of the turns that are not over, and of exact items that still grow."""

    def __init__(self) -> None:
        self._turns: dict[str, _LiveTurn] = {}
        self._over: set[str] = set()
        self._recorded = _NO_TURN  # the exact turn that is open
        self._growing: dict[int, Told | None] = {}  # exact items, with their counterparts
        self._total: object = None
        self._dialog: Told | None = None
        self._dialogs = 0
        self._answered: list[Told] = []  # dialogs that are to be gone when the agent is idle
        self._grown: list[Told] = []
        self.moved = True
        """Whether anything changed since it was shown last but items that grew, each in its place,
        or came behind the last one, in its turn. Without a record all of a day's items are live:
        a word more of one must not cost a look at each."""

    # -- what is told ------------------------------------------------------------------------

    def tell(self, told: Told) -> None:
        """How far an item has come."""
        if _is_empty(told.item):
            return
        if told.turn in self._over:
            known = next((t for t in self._growing.values() if t and _same(t, told)), None)
        else:
            turn = self._turn(told)
            self.moved |= told.id not in turn.told and not self._ends_with(turn)
            known = turn.told.setdefault(told.id, told)
        if known is None:
            return
        known.item, known.partial = told.item, told.partial
        if known.turn not in self._over:
            self._pair(self._turns[known.turn], known)
        self._grown.append(known)
        if isinstance(told.item, Turn) and told.id == ENDED:
            self._stop(told.turn, aborted=told.item.event == "aborted")

    def tell_usage(self, usage: Mapping[str, object], time: datetime) -> None:
        """The tokens after one more answer of the model, in the turn that was told last."""
        total = _total(Usage(usage))
        turn = self._latest()
        number = f"usage {total}"
        if turn == _NO_TURN or (total == self._total and number not in self._turns[turn].told):
            return  # the same again, as after an interrupt
        self._total = total
        self.tell(Told(turn, number, Usage(usage), False, ItemSource.LINK, time))

    def ask(self, dialog: Dialog | None, source: ItemSource, time: datetime) -> bool:
        """A dialog is open, still or newly; None: it was answered. Whether that is news."""
        known = self._dialog
        if known is None and dialog is None:
            return False
        if known is not None and isinstance(known.item, Approval):
            if dialog is not None and dialog.id == known.item.dialog:
                news = _asked(dialog) != known.item
                self.tell(replace(known, item=_asked(dialog)))
                return news or self.moved  # it may have gone with a turn that was recorded
            answered = replace(known.item, decision="answered")
            self.tell(replace(known, item=answered, partial=False))
            self._answered.append(known)
            self._dialog = None
        if dialog is not None:
            self._dialogs += 1
            turn = self._latest()
            number = f"dialog {self._dialogs}"
            self._dialog = Told(turn, number, _asked(dialog), True, source, time)
            self.tell(self._dialog)
        return True

    def idle(self) -> bool:
        """The agent is idle: what was asked is over. Whether there was anything."""
        answered = [told for told in self._answered if self._is_live(told)]
        over = [told for told in answered if told.number is None]
        self._answered = [told for told in answered if told.number is not None]
        for told in over:
            del self._turns[told.turn].told[told.id]
        self.moved |= bool(over)
        return bool(over)

    def _is_live(self, told: Told) -> bool:
        """Whether it did not go with its turn, which may be told anew."""
        return told.turn in self._turns and told.id in self._turns[told.turn].told

    def forget(self) -> None:
        """Nobody tells anything any more."""
        self.moved = True
        self._dialog = None
        self._answered.clear()
        self._growing = dict.fromkeys(self._growing)
        for turn in self._turns.values():
            turn.told.clear()

    def _turn(self, told: Told) -> _LiveTurn:
        """The turn of what is told. One whose beginning was missed has begun nevertheless."""
        turn = self._turns.get(told.turn)
        if turn is None:
            self.moved = True
            turn = self._turns[told.turn] = _LiveTurn()
            if told.turn != _NO_TURN and told.id != STARTED:
                begun = replace(told, id=STARTED, item=Turn("started"), partial=False)
                turn.told[STARTED] = begun
        return turn

    def _stop(self, turn: str, *, aborted: bool) -> None:
        """Nothing grows any more in a turn that was told to be over, but a command goes on in the
        background unless the turn was aborted."""
        self.moved = True
        for told in self._turns[turn].told.values() if turn in self._turns else ():
            if not told.partial or told.number is not None or isinstance(told.item, Approval):
                continue
            if isinstance(told.item, ToolCall):
                if not aborted:
                    continue
                told.item = replace(told.item, status="aborted")
            told.partial = False

    # -- what is recorded --------------------------------------------------------------------

    def record(self, number: int, turn: int, entry: Entry) -> None:
        """A new exact item has this place; `turn` is its turn's number."""
        self.moved = True
        item, key = entry.item, entry.key
        if isinstance(item, Turn):
            if item.event != "started":
                self._end(self._recorded)
                return
            self._end(self._recorded)
            self._recorded, key = key or f"turn {turn}", STARTED
            self._turns.setdefault(self._recorded, _LiveTurn()).number = turn
        elif isinstance(item, Usage):
            self._total = _total(item)
        if entry.partial:
            self._growing[number] = None
        if live := self._turns.get(self._recorded):
            self._pair_exact(live, number, item, key)

    def grow(self, number: int, *, partial: bool) -> None:
        """An exact item changed."""
        if partial:
            return
        self._growing.pop(number, None)
        for turn in self._turns.values():
            if isinstance(turn.loose.get(number), Approval):
                del turn.loose[number]  # decided: the next dialog asks for something else

    def restart(self) -> None:
        """All exact items are void; they are told again."""
        self.moved = True
        self._growing.clear()
        self._recorded = _NO_TURN
        for turn in self._turns.values():
            turn.number = 0
            turn.keyed.clear()
            turn.loose.clear()
            for told in turn.told.values():
                told.number = told.exact = None

    # -- what is shown -----------------------------------------------------------------------

    def beyond(self, number: int) -> Told | None:
        """What was told of the exact item in this place, as long as that still grows."""
        return self._growing.get(number)

    def rest(self) -> Iterator[tuple[int, Told]]:
        """What has no exact counterpart, in order, each with the exact number of its turn, or 0:
        all that was `moved` and has grown is in it."""
        self.moved = False
        self._grown.clear()
        for turn in self._turns.values():
            for told in turn.told.values():
                if told.number is None:
                    yield turn.number, told

    def grown(self) -> list[Told]:
        """What has grown, or come, since this or `rest` was asked for, and has no counterpart."""
        grown, self._grown = self._grown, []
        return [told for told in grown if told.number is None]

    def _ends_with(self, turn: _LiveTurn) -> bool:
        """Whether the last thing that is shown is of this turn."""
        last = next(reversed(turn.told.values()), None)
        latest = next(reversed(self._turns.values()))
        return turn is latest and last is not None and last.number is None

    def _latest(self) -> str:
        """The turn that was told, or recorded, last and is not over."""
        return next((turn for turn in reversed(self._turns) if turn != _NO_TURN), _NO_TURN)

    # -- counterparts ------------------------------------------------------------------------

    def _pair(self, turn: _LiveTurn, told: Told) -> None:
        """Find the exact counterpart of what was told; one that it was for its looks alone is
        another's when it looks different now."""
        if told.number is not None:
            if told.exact is None or _fits(told.exact, told.item):
                return
            self._part(turn, told)
        number = turn.keyed.get(told.id)
        if number is None:
            fitting = (n for n in sorted(turn.loose) if _fits(turn.loose[n], told.item))
            number = next(fitting, None)
        if number is not None:
            self._marry(told, number, turn.loose.pop(number, None))

    def _pair_exact(self, turn: _LiveTurn, number: int, item: Item, key: str) -> None:
        """Find what was told of an exact item."""
        if key:
            turn.keyed[key] = number
            told = turn.told.get(key)
            if told is not None:
                self._part(turn, told)
        else:
            waiting = (t for t in turn.told.values() if t.number is None and _fits(item, t.item))
            told = next(waiting, None)
            if told is None and not (isinstance(item, Approval) and number not in self._growing):
                turn.loose[number] = item
        if told is not None:
            self._marry(told, number, None if key else item)

    def _marry(self, told: Told, number: int, exact: Item | None) -> None:
        self.moved = True
        told.number, told.exact = number, exact
        if number in self._growing:
            self._growing[number] = told

    def _part(self, turn: _LiveTurn, told: Told) -> None:
        """What was told is not what it looked like."""
        self.moved = True
        if told.number is not None and told.exact is not None:
            turn.loose[told.number] = told.exact
            if told.number in self._growing:
                self._growing[told.number] = None
        told.number = told.exact = None

    def _end(self, turn: str) -> None:
        """A turn is over, and all that were told before it."""
        self._recorded = _NO_TURN
        if turn not in self._turns:
            return
        while self._turns:
            first = next(iter(self._turns))
            del self._turns[first]
            if first != _NO_TURN:
                self._over.add(first)
            if first == turn:
                return


def with_told(exact: TranscriptItem, told: Told | None) -> TranscriptItem:
    """An exact item that still grows, with what was told beyond it."""
    if told is None:
        return exact
    item = exact.item
    match item, told.item:
        case ToolCall(), ToolCall() as call:
            item = replace(
                item,
                output=call.output or item.output,
                exit_code=item.exit_code if call.exit_code is None else call.exit_code,
                duration_ms=item.duration_ms if call.duration_ms is None else call.duration_ms,
                status=call.status,
            )
        case Approval(), Approval() as asked:
            item = replace(item, title=asked.title, dialog=asked.dialog, decision=asked.decision)
        case _:
            return exact  # the link has another view of it
    if item == exact.item and told.partial == exact.partial:
        return exact
    return replace(exact, item=item, partial=told.partial, source=told.source)


def _asked(dialog: Dialog) -> Approval:
    what = dialog.command or dialog.diff
    return Approval(what, dialog.reason, title=dialog.title, dialog=dialog.id)


def _same(one: Told, other: Told) -> bool:
    return (one.turn, one.id) == (other.turn, other.id)


def _is_empty(item: Item) -> bool:
    match item:
        case AgentMessage(text) | Reasoning(text):
            return not text
        case Plan(text, steps):
            return not text and not steps
    return False


def _fits(exact: Item, told: Item) -> bool:
    """Whether what was told may be this exact item, or the beginning of it."""
    match exact, told:
        case (UserMessage(), UserMessage()):
            return True  # pictures and mentions are told in different words
        case (AgentMessage(whole), AgentMessage(text)):
            return whole.startswith(text)
        case (Reasoning(part), Reasoning(text)):  # some versions record each part by itself
            return part.startswith(text) or text.startswith(part)
        case (Plan(), Plan()):
            return exact.text == told.text and list(exact.steps) == list(told.steps)
        case (ToolCall(), ToolCall()):
            return (exact.tool, exact.command) == (told.tool, told.command)
        case (Approval(), Approval()):
            return squeeze(exact.command) == squeeze(told.command)
        case (Usage(), Usage()):
            return _total(exact) == _total(told)
        case (NoticeItem(), NoticeItem()):
            return exact.event == told.event
    return False


def _total(usage: Usage) -> object:
    total = usage.usage.get("total")
    return total.get("total_tokens") if isinstance(total, Mapping) else None
