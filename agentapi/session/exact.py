"""The agent's exact words in the place of what the screen shows of them (`--message-format`).

    transcript     user_message   reasoning   agent_message   tool_call   agent_message   turn
                        |              one agent message: the texts and a line for each tool
    messages       user ………………… agent

A user message of the conversation is found again in the transcript by its words, in order, among
what was said since this run began. What the transcript tells between it and the next one is the
answer. Until there is any of it the screen's text stands, and whatever comes late replaces it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from agentapi.conversation.turn_text import Chunk, PlanPart, ToolPart, TurnText
from agentapi.model.comparison import squeeze
from agentapi.model.conversation import Message, PhaseState, Role
from agentapi.model.items import (
    INTERRUPTED,
    AgentMessage,
    Error,
    ItemSource,
    NoticeItem,
    Plan,
    ToolCall,
    Turn,
    UserMessage,
)
from agentapi.session.history import History
from agentapi.timing.timer import Timer
from agentapi.transcript.changes import TranscriptItem
from agentapi.transcript.transcript import Transcript

WAIT = 0.5
"""Seconds that the end of a turn may wait for the last of its exact text. A rollout has it within
milliseconds; what it never has, as `/status` and its answer, is not waited for any longer."""
_GOOD = ("completed", "running")
"""What a tool may be; whatever else it is, it failed."""
_PATCHED = re.compile(r"^(?:\*\*\* )?(add|update|delete)(?: file:)? (.+)$", re.I | re.M)


@dataclass(slots=True)
class _Question:
    """A user message of this run."""

    number: int
    """Its message's."""
    words: str
    item: int = 0
    """Its item's id in the transcript; 0 as long as it is not there."""
    settled: bool = False
    """Whether that id stays; one that the link alone told may become another item's."""
    exact: bool = False
    """Whether its answer has exact text."""


class ExactMessages:
    """Keeps a history's agent messages exact, as far as a transcript goes."""

    def __init__(self, history: History, transcript: Transcript, since: datetime) -> None:
        """`since` is when this run began: what was said before is not looked at."""
        self._history = history
        self._transcript = transcript
        self._since = since
        self._questions: list[_Question] = []
        self._working = False
        self._held: Callable[[], None] | None = None
        self._limit = Timer(WAIT, self.release)
        self.screen: list[Message] = []
        """The conversation as the screen shows it: what the transcript is to be told."""
        transcript.watch(self._changed)

    @property
    def complete(self) -> bool:
        """Whether the transcript has told all of the last answer: the turn's end, or, as not every
        version writes that, the last text that the screen shows; and whether it is recorded, if
        anything is."""
        if not self._questions:
            return True
        self._transcript.flush()
        items = self._answer(self._questions[-1])
        if self._transcript.recorded and any(item.source is ItemSource.LINK for item in items):
            return False
        return _ended(items) or _ends_with_text(items)

    def clear(self) -> None:
        """Another conversation begins."""
        self.release()
        self._questions.clear()
        self.screen = list(self._history.messages)

    def asked(self, message: Message) -> None:
        """The user's message is in the history."""
        self.screen.append(message)
        self._questions.append(_Question(message.id, squeeze(message.content)))
        self._renew_all(set(self._find()))

    def seen(self, text: str, time: datetime) -> bool:
        """The screen shows this of the last answer; whether that is news."""
        last = self.screen[-1] if self.screen else None
        if last is not None and last.role is Role.AGENT:
            if last.content == text:
                return False
            self.screen.pop()
        self.screen.append(Message(len(self.screen), Role.AGENT, text, time))
        if not self._questions or not self._questions[-1].exact:
            self._history.agent_text(text)
        return True

    def phase(self, working: bool) -> None:
        """The turn goes on, or it is over: then nothing stays that only was on its way."""
        self._working = working
        if self._questions:
            self._renew(self._questions[-1])

    # -- the end of a turn ---------------------------------------------------------------------

    def hold(self, state: PhaseState, tell: Callable[[PhaseState], None]) -> None:
        """Tell this phase when the last answer is complete, at the latest after `WAIT`."""
        self.release()
        self._held = lambda: tell(state)
        self._limit.start()
        self._release_complete()

    def release(self) -> None:
        """Tell now what is held, if anything."""
        held, self._held = self._held, None
        self._limit.cancel()
        if held is not None:
            held()

    def _release_complete(self) -> None:
        if self._held is not None and self.complete:
            self.release()

    # -- the transcript ------------------------------------------------------------------------

    def _changed(self, ids: Iterable[int]) -> None:
        self._take_back(ids)
        places = {self._owner(number) for number in ids}
        if self._may_move(ids):
            places |= set(self._find())
        self._renew_all(places)

    def _take_back(self, ids: Iterable[int]) -> None:
        """A rewind stands where it leads to, in the place of what it takes back: what clients were
        told of that stays as it is."""
        for number in ids:
            item = self._transcript.find(number)
            if (
                item is not None
                and isinstance(item.item, NoticeItem)
                and item.item.event == "rollback"
            ):
                for question in self._questions:
                    if question.item >= number:
                        question.item, question.settled = 0, True

    def _renew_all(self, places: set[int]) -> None:
        for place in sorted(places - {-1}):
            self._renew(self._questions[place])
        self._release_complete()

    def _owner(self, item: int) -> int:
        """The place of the question whose answer this item belongs to; -1 for none."""
        for place in range(len(self._questions) - 1, -1, -1):
            if 0 < self._questions[place].item <= item:
                return place
        return -1

    def _may_move(self, ids: Iterable[int]) -> bool:
        """Whether one of these items is a question, or was one: nothing else needs a search,
        which without a record takes a look at every item of a day."""
        for number in ids:
            item, owner = self._transcript.find(number), self._owner(number)
            if item is not None and isinstance(item.item, UserMessage):
                return True
            if owner >= 0 and self._questions[owner].item == number:
                return True
        return False

    def _find(self) -> Iterable[int]:
        """The places of questions that are elsewhere in the transcript than they were before."""
        place = len(self._questions)
        while place and not self._questions[place - 1].settled:
            place -= 1
        if place == len(self._questions):
            return
        after = max((one.item for one in self._questions[:place]), default=0)
        found = dict(self._match(place, after))
        for number in range(place, len(self._questions)):
            question, item = self._questions[number], found.get(number)
            question.settled = item is not None and item.source is not ItemSource.LINK
            before, question.item = question.item, item.id if item is not None else 0
            if question.item != before:
                yield number

    def _match(self, place: int, after: int) -> Iterator[tuple[int, TranscriptItem]]:
        """The items of the questions from a place on, among those behind the id `after`."""
        for item in self._transcript.behind(after):
            if not self._is_news(item) or not isinstance(item.item, UserMessage):
                continue
            words = squeeze(item.item.text)
            for number in range(place, len(self._questions)):
                if self._questions[number].words == words:
                    yield number, item
                    place = number + 1
                    break

    def _is_news(self, item: TranscriptItem) -> bool:
        told = item.source is not ItemSource.SCREEN
        return told and (item.time is None or item.time >= self._since)

    def _answer(self, question: _Question) -> list[TranscriptItem]:
        """The items behind a question: to the next one, or to the next turn's user message."""
        if not question.item:
            return []
        last = question is self._questions[-1]
        found: list[TranscriptItem] = []
        begins = False
        for item in self._transcript.behind(question.item):
            if isinstance(item.item, Turn):
                begins = item.item.event == "started"
            elif isinstance(item.item, UserMessage) and (begins or not last):
                break
            if last or item.source is not ItemSource.SCREEN:
                found.append(item)
        return found

    def _renew(self, question: _Question) -> None:
        """Bring an answer up to date."""
        items = self._answer(question)
        last = question is self._questions[-1]
        ended = _ended(items)
        if ended:  # what the screen has beyond is only painted otherwise
            items = [item for item in items if item.source is not ItemSource.SCREEN]
        text = ""
        if ended or (last and self._working) or _ends_with_text(items):
            text = answer_text(items)
        question.exact = bool(text) and any(i.source is not ItemSource.SCREEN for i in _said(items))
        if not last:
            if question.exact:
                self._history.replace(question.number + 1, text)
        elif question.exact:
            self._history.agent_text(text)
        elif self.screen[-1].role is Role.AGENT:
            self._history.agent_text(self.screen[-1].content)


def answer_text(items: Iterable[TranscriptItem]) -> str:
    """One message of all that an agent said and did: its texts to the letter, in order, with a
    line for each tool that it used and the list of its plan between them.

    An error that nothing came after is its end."""
    turn = TurnText()
    error = ""
    for entry in items:
        key, item = str(entry.id), entry.item
        match item:
            case AgentMessage(text):
                turn.apply(Chunk(text, key))
                error = ""
            case ToolCall():
                turn.apply(ToolPart(key, tool_title(item), _status(item)))
                error = ""
            case Plan():
                steps = tuple((step["status"], step["step"]) for step in item.steps)
                turn.apply(PlanPart("plan", steps, item.text))
            case Error(text):
                error = f"■ {text}"
            case Turn(event="aborted"):
                error = error or INTERRUPTED
    if error:
        turn.apply(Chunk(error, "error"))
    return turn.text()


def tool_title(call: ToolCall) -> str:
    """What a tool call is called: a command, the files of a patch, else its name and arguments."""
    files = _PATCHED.findall(call.command) if call.tool == "apply_patch" else []
    if files:
        return ", ".join(f"{what.lower()} {name.strip()}" for what, name in files)
    if call.command:
        return call.command
    return call.tool if call.arguments in ("", "{}") else f"{call.tool} {call.arguments}"


def _status(call: ToolCall) -> str:
    if call.status not in _GOOD or call.exit_code:
        return "failed"
    return call.status


def _said(items: Iterable[TranscriptItem]) -> list[TranscriptItem]:
    return [i for i in items if isinstance(i.item, AgentMessage | ToolCall | Plan | Error)]


def _ended(items: Iterable[TranscriptItem]) -> bool:
    """Whether a turn has ended, and none began after it."""
    events = [entry.item.event for entry in items if isinstance(entry.item, Turn)]
    return bool(events) and events[-1] != "started"


def _ends_with_text(items: Iterable[TranscriptItem]) -> bool:
    """Whether the last thing was said: all there can be where a version writes no end."""
    said = _said(items)
    return bool(said) and isinstance(said[-1].item, AgentMessage) and not said[-1].partial
