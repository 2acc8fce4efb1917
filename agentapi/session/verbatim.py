"""Agent messages with the verbatim text of the transcript (`--message-format markdown`).

    transcript     user_message   reasoning   agent_message   tool_call   agent_message   turn
                        |              one agent message: the texts and a line for each tool
    messages       user ………………… agent

Each user message is located in the transcript by its text, in order, among the items since this run
began. The items between it and the next one are the answer. Until there are any, the message has
the screen's text; late items replace it.
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
"""Seconds to hold the end of a turn for its verbatim text. A rollout has it within milliseconds;
some text, such as the answer to `/status`, is never recorded."""
_GOOD = ("completed", "running")
"""The states of a tool that did not fail."""
_PATCHED = re.compile(r"^(?:\*\*\* )?(add|update|delete)(?: file:)? (.+)$", re.I | re.M)


@dataclass(slots=True)
class _Prompt:
    """A user message of this run."""

    number: int
    """The id of its message."""
    text: str
    item: int = 0
    """The id of its item in the transcript; 0 until it is there."""
    settled: bool = False
    """Whether that id is final; the id of a live item is not."""
    verbatim: bool = False
    """Whether its answer has verbatim text."""


class VerbatimMessages:
    """Replaces agent messages of a history by verbatim text, as far as the transcript has it."""

    def __init__(self, history: History, transcript: Transcript, since: datetime) -> None:
        """`since` is when this run began: earlier items are ignored."""
        self._history = history
        self._transcript = transcript
        self._since = since
        self._prompts: list[_Prompt] = []
        self._working = False
        self._held: Callable[[], None] | None = None
        self._limit = Timer(WAIT, self.release)
        self.screen: list[Message] = []
        """The conversation as the screen shows it, for the transcript."""
        transcript.watch(self._changed)

    @property
    def complete(self) -> bool:
        """Whether the transcript has the last answer in full, and recorded if there is a record. An
        answer ends with the turn's end or, as not every version writes that, with a text."""
        if not self._prompts:
            return True
        self._transcript.flush()
        items = self._answer(self._prompts[-1])
        if self._transcript.has_record and any(item.source is ItemSource.LINK for item in items):
            return False
        return _ended(items) or _ends_with_text(items)

    def clear(self) -> None:
        """Start over: another conversation begins."""
        self.release()
        self._prompts.clear()
        self.screen = list(self._history.messages)

    def add_user_message(self, message: Message) -> None:
        """Add a user message that entered the history."""
        self.screen.append(message)
        self._prompts.append(_Prompt(message.id, squeeze(message.content)))
        self._update_all(set(self._locate()))

    def update_screen(self, text: str, time: datetime) -> bool:
        """Set the last answer as the screen shows it. Return whether it changed."""
        last = self.screen[-1] if self.screen else None
        if last is not None and last.role is Role.AGENT:
            if last.content == text:
                return False
            self.screen.pop()
        self.screen.append(Message(len(self.screen), Role.AGENT, text, time))
        if not self._prompts or not self._prompts[-1].verbatim:
            self._history.set_agent_text(text)
        return True

    def set_working(self, working: bool) -> None:
        """Set whether a turn is open. When it ends, incomplete verbatim text is dropped."""
        self._working = working
        if self._prompts:
            self._update(self._prompts[-1])

    # -- the end of a turn ---------------------------------------------------------------------

    def hold(self, state: PhaseState, publish: Callable[[PhaseState], None]) -> None:
        """Publish this phase when the last answer is complete, at the latest after `WAIT`."""
        self.release()
        self._held = lambda: publish(state)
        self._limit.start()
        self._release_complete()

    def release(self) -> None:
        """Publish the held phase now, if there is one."""
        held, self._held = self._held, None
        self._limit.cancel()
        if held is not None:
            held()

    def _release_complete(self) -> None:
        if self._held is not None and self.complete:
            self.release()

    # -- the transcript ------------------------------------------------------------------------

    def _changed(self, ids: Iterable[int]) -> None:
        self._apply_rollback(ids)
        positions = {self._owner(number) for number in ids}
        if self._may_move(ids):
            positions |= set(self._locate())
        self._update_all(positions)

    def _apply_rollback(self, ids: Iterable[int]) -> None:
        """Detach the messages that a rewind took back: clients keep what they have of them."""
        for number in ids:
            item = self._transcript.find(number)
            if (
                item is not None
                and isinstance(item.item, NoticeItem)
                and item.item.event == "rollback"
            ):
                for prompt in self._prompts:
                    if prompt.item >= number:
                        prompt.item, prompt.settled = 0, True

    def _update_all(self, positions: set[int]) -> None:
        for position in sorted(positions - {-1}):
            self._update(self._prompts[position])
        self._release_complete()

    def _owner(self, item: int) -> int:
        """Return the position of the prompt whose answer has this item; -1 if there is none."""
        for position in range(len(self._prompts) - 1, -1, -1):
            if 0 < self._prompts[position].item <= item:
                return position
        return -1

    def _may_move(self, ids: Iterable[int]) -> bool:
        """Whether one of these items is or was a prompt. Nothing else needs a search, which visits
        every item of a day if there is no record."""
        for number in ids:
            item, owner = self._transcript.find(number), self._owner(number)
            if item is not None and isinstance(item.item, UserMessage):
                return True
            if owner >= 0 and self._prompts[owner].item == number:
                return True
        return False

    def _locate(self) -> Iterable[int]:
        """Locate the prompts in the transcript; yield the positions of those that moved."""
        position = len(self._prompts)
        while position and not self._prompts[position - 1].settled:
            position -= 1
        if position == len(self._prompts):
            return
        after = max((prompt.item for prompt in self._prompts[:position]), default=0)
        found = dict(self._match(position, after))
        for number in range(position, len(self._prompts)):
            prompt, item = self._prompts[number], found.get(number)
            prompt.settled = item is not None and item.source is not ItemSource.LINK
            before, prompt.item = prompt.item, item.id if item is not None else 0
            if prompt.item != before:
                yield number

    def _match(self, position: int, after: int) -> Iterator[tuple[int, TranscriptItem]]:
        """Yield the items of the prompts from a position on, among those after the id `after`."""
        for item in self._transcript.items_after(after):
            if not self._is_current(item) or not isinstance(item.item, UserMessage):
                continue
            text = squeeze(item.item.text)
            for number in range(position, len(self._prompts)):
                if self._prompts[number].text == text:
                    yield number, item
                    position = number + 1
                    break

    def _is_current(self, item: TranscriptItem) -> bool:
        has_source = item.source is not ItemSource.SCREEN
        return has_source and (item.time is None or item.time >= self._since)

    def _answer(self, prompt: _Prompt) -> list[TranscriptItem]:
        """Return the items after a prompt, up to the next one or the next turn's user message."""
        if not prompt.item:
            return []
        last = prompt is self._prompts[-1]
        found: list[TranscriptItem] = []
        starting = False
        for item in self._transcript.items_after(prompt.item):
            if isinstance(item.item, Turn):
                starting = item.item.event == "started"
            elif isinstance(item.item, UserMessage) and (starting or not last):
                break
            if last or item.source is not ItemSource.SCREEN:
                found.append(item)
        return found

    def _update(self, prompt: _Prompt) -> None:
        """Bring a prompt's answer up to date."""
        items = self._answer(prompt)
        last = prompt is self._prompts[-1]
        ended = _ended(items)
        if ended:  # what the screen has beyond is the same text, rendered differently
            items = [item for item in items if item.source is not ItemSource.SCREEN]
        text = ""
        if ended or (last and self._working) or _ends_with_text(items):
            text = answer_text(items)
        prompt.verbatim = bool(text) and any(
            i.source is not ItemSource.SCREEN for i in _visible(items)
        )
        if not last:
            if prompt.verbatim:
                self._history.set_text(prompt.number + 1, text)
        elif prompt.verbatim:
            self._history.set_agent_text(text)
        elif self.screen[-1].role is Role.AGENT:
            self._history.set_agent_text(self.screen[-1].content)


def answer_text(items: Iterable[TranscriptItem]) -> str:
    """Return the agent's texts verbatim and in order, with a line for each tool call and the plan's
    list between them. An error is included only if nothing followed it."""
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
    """Return a tool call's command, the files of its patch, or its name and arguments."""
    files = _PATCHED.findall(call.command) if call.tool == "apply_patch" else []
    if files:
        return ", ".join(f"{verb.lower()} {name.strip()}" for verb, name in files)
    if call.command:
        return call.command
    return call.tool if call.arguments in ("", "{}") else f"{call.tool} {call.arguments}"


def _status(call: ToolCall) -> str:
    if call.status not in _GOOD or call.exit_code:
        return "failed"
    return call.status


def _visible(items: Iterable[TranscriptItem]) -> list[TranscriptItem]:
    return [i for i in items if isinstance(i.item, AgentMessage | ToolCall | Plan | Error)]


def _ended(items: Iterable[TranscriptItem]) -> bool:
    """Whether a turn has ended, and none began after it."""
    events = [entry.item.event for entry in items if isinstance(entry.item, Turn)]
    return bool(events) and events[-1] != "started"


def _ends_with_text(items: Iterable[TranscriptItem]) -> bool:
    """Whether the items end with a complete text: the end, in versions that record no end."""
    found = _visible(items)
    return bool(found) and isinstance(found[-1].item, AgentMessage) and not found[-1].partial
