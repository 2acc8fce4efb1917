"""Read the conversation from Codex's rollout and merge it with the saved state.

The state file is written before clients see a message, so it is usually the newer of the two. It
may also be missing, older (the session continued in another terminal) or of another session. It
still has rolled-back messages: clients that saw them are not notified of a rollback.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from agentapi.agents.codex.resume.session_files import session_lines
from agentapi.agents.codex.rollout.lines import Payload, Record, RolloutLines
from agentapi.model.conversation import Message, Role
from agentapi.model.encoding import parse_rfc3339
from agentapi.model.items import INTERRUPTED

_MAX_UNRECORDED = 3
"""User messages at the end of the state that Codex may not have recorded before it was killed."""

_RELEVANT = re.compile(
    rb'"(?:user_message|agent_message|UserMessage|AgentMessage|turn_aborted|thread_rolled_back)"'
)


@dataclass(frozen=True, slots=True)
class Utterance:
    """Consecutive text of one side of the conversation."""

    role: Role
    text: str
    time: datetime
    rolled_back: bool = False
    """Whether it was rolled back: it is no longer in the agent's context."""


def read_history(rollout: Path) -> list[Utterance]:
    """Read all utterances of the session that this rollout continues, from all its files.

    Consecutive agent messages are joined. Broken and unknown lines are skipped. Raises
    `OSError`."""
    utterances: list[Utterance] = []
    reader = RolloutLines()
    for line, rolled_back in session_lines(rollout):
        if b'"event_msg"' not in line or not _RELEVANT.search(line):
            continue
        record = reader.parse_line(line)
        if record is not None:
            for role, text in _parse(record, utterances):
                _append(utterances, Utterance(role, text, _time(record.time), rolled_back))
    return utterances


def in_context(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Return the utterances that the agent still knows: those that were not rolled back."""
    return [utterance for utterance in utterances if not utterance.rolled_back]


def _append(utterances: list[Utterance], new: Utterance) -> None:
    last = utterances[-1] if utterances else None
    joins = last is not None and last.role is Role.AGENT and last.rolled_back == new.rolled_back
    if new.role is Role.AGENT and last is not None and joins:
        if new.text not in last.text.split("\n\n"):
            utterances[-1] = replace(last, text=f"{last.text}\n\n{new.text}")
    elif new.text:
        utterances.append(new)


def _parse(record: Record, utterances: list[Utterance]) -> Iterator[tuple[Role, str]]:
    """Yield the texts of a record; apply a rollback to the utterances before it."""
    payload = record.payload
    match record.name:
        case "event_msg.user_message":
            yield Role.USER, str(payload.get("message") or "").strip()
        case "event_msg.agent_message":
            yield Role.AGENT, str(payload.get("message") or "").strip()
        case "item.UserMessage":
            yield Role.USER, _text(payload)
        case "item.AgentMessage":
            yield Role.AGENT, _text(payload)
        case "event_msg.turn_aborted":
            yield Role.AGENT, INTERRUPTED
        case "event_msg.thread_rolled_back":
            _roll_back(utterances, payload.get("num_turns"))


def _text(item: Payload) -> str:
    parts = item.get("content")
    if not isinstance(parts, list):
        return ""
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str)).strip()


def _roll_back(utterances: list[Utterance], turns: object) -> None:
    left = turns if isinstance(turns, int) else 0
    for index in range(len(utterances) - 1, -1, -1):
        if left <= 0:
            return
        utterance = utterances[index]
        if not utterance.rolled_back:
            utterances[index] = replace(utterance, rolled_back=True)
            left -= utterance.role is Role.USER


def _time(text: object) -> datetime:
    try:
        return parse_rfc3339(str(text))
    except ValueError:
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class MergedHistory:
    """The conversation to continue."""

    messages: tuple[Message, ...]
    same_session: bool = True
    """Whether the state's messages are of this session (or there were none)."""
    unrecorded: int = 0
    """User messages that clients have seen and Codex never recorded."""
    earlier_session: bool = False
    """Whether messages of an earlier session were dropped from the state."""


def merge(
    saved: Sequence[Message], utterances: Sequence[Utterance], started: datetime | None = None
) -> MergedHistory:
    """Merge the saved messages with what the rollout has beyond them, without rolled-back ones.

    `started` is when the session started: earlier messages that it does not have belong to
    another one."""
    saved, earlier = _drop_stale(saved, utterances, started)
    return replace(_merge(saved, in_context(utterances)), earlier_session=earlier)


def _drop_stale(
    saved: Sequence[Message], utterances: Sequence[Utterance], started: datetime | None
) -> tuple[list[Message], bool]:
    """Drop rolled-back messages and those of an earlier session; return whether there were any of
    the latter."""
    users = [index for index, message in enumerate(saved) if message.role is Role.USER]
    old = [index for index in users if started is not None and saved[index].time < started]
    if not old and not any(utterance.rolled_back for utterance in utterances):
        return list(saved), False
    recorded = [utterance for utterance in utterances if utterance.role is Role.USER]
    pairs = _match(
        [_normalized(saved[index].content) for index in users],
        [_normalized(utterance.text) for utterance in recorded],
    )
    rolled_back = {user for user, match in pairs.items() if recorded[match].rolled_back}
    first = min((user for user in pairs if user not in rolled_back), default=0)
    early = {user for user in range(first) if user not in pairs and users[user] in old}
    left: list[Message] = []
    user = -1
    for message in saved:
        user += message.role is Role.USER
        if user not in rolled_back | early:
            left.append(message)
    return left, bool(early)


def _match(users: Sequence[str], recorded: Sequence[str]) -> dict[int, int]:
    """Map the state's user messages to the recorded ones with the same text, by index."""
    from difflib import SequenceMatcher

    blocks = SequenceMatcher(None, users, recorded, autojunk=False).get_matching_blocks()
    return {block.a + n: block.b + n for block in blocks for n in range(block.size)}


def _merge(saved: Sequence[Message], utterances: Sequence[Utterance]) -> MergedHistory:
    users = [_normalized(message.content) for message in saved if message.role is Role.USER]
    recorded = [_normalized(u.text) for u in utterances if u.role is Role.USER]
    if not users:
        opening = saved[:1] or (Message(0, Role.AGENT, "", _start(utterances)),)
        return MergedHistory(_numbered([*opening, *_messages(utterances)]))
    overlap = _overlap(users, recorded)
    if overlap is None:
        opening = (Message(0, Role.AGENT, "", _start(utterances)),)
        return MergedHistory(_numbered([*opening, *_messages(utterances)]), same_session=False)
    common, unrecorded = overlap
    rest = _after(utterances, common)
    if unrecorded and not _begins_with_user(rest):
        rest = []  # an answer cannot be put before the questions that follow it
    return MergedHistory(_numbered(_extended(saved, rest, unrecorded)), unrecorded=unrecorded)


def _overlap(users: Sequence[str], recorded: Sequence[str]) -> tuple[int, int] | None:
    """Count the recorded user messages that the state has, and its last ones that were never
    recorded; None when the two have nothing in common."""
    for unrecorded in range(min(_MAX_UNRECORDED, len(users) - 1) + 1):
        known = users[: len(users) - unrecorded]
        best = max(
            # Repeated questions may match equally well in two places: prefer the beginning.
            (
                (_common_end(known, recorded[:end]), end == len(known), end)
                for end in range(1, len(recorded) + 1)
            ),
            default=(0, False, 0),
        )
        if best[0]:
            return best[2], unrecorded
    return None


def _common_end(left: Sequence[str], right: Sequence[str]) -> int:
    count = 0
    for a, b in zip(reversed(left), reversed(right), strict=False):
        if a != b:
            break
        count += 1
    return count


def _after(utterances: Sequence[Utterance], users: int) -> list[Utterance]:
    """Return what follows the user message with this number, including its answer."""
    for index, utterance in enumerate(utterances):
        users -= utterance.role is Role.USER
        if users == 0:
            return list(utterances[index + 1 :])
    return []


def _begins_with_user(utterances: Sequence[Utterance]) -> bool:
    return bool(utterances) and utterances[0].role is Role.USER


def _extended(saved: Sequence[Message], rest: list[Utterance], unrecorded: int) -> list[Message]:
    """Append the rest to the saved messages. A saved last answer is kept as the screen showed it;
    a missing one is filled in."""
    if rest and rest[0].role is Role.AGENT and not unrecorded:
        answered = saved[-1].role is Role.AGENT and bool(saved[-1].content)
        if not answered and saved[-1].role is Role.AGENT:
            first, *rest = rest
            return [*saved[:-1], replace(saved[-1], content=first.text), *_messages(rest)]
        if answered:
            rest = rest[1:]
    return [*saved, *_messages(rest)]


def _messages(utterances: Sequence[Utterance]) -> list[Message]:
    return [Message(0, utterance.role, utterance.text, utterance.time) for utterance in utterances]


def _numbered(messages: Sequence[Message]) -> tuple[Message, ...]:
    return tuple(replace(message, id=number) for number, message in enumerate(messages))


def _start(utterances: Sequence[Utterance]) -> datetime:
    return utterances[0].time if utterances else datetime.now(UTC)


def _normalized(text: str) -> str:
    return " ".join(text.split())
