"""The conversation as Codex's rollout has it, and what of it the state file lacks.

A state file is written before a client hears of a message, so it is as a rule the newer of the
two; but it may be missing, older (a person went on in another terminal), or of another session. And
it has what was taken back since: clients that saw it were never told that the agent forgot it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from agentapi.agents.codex.resume.session_files import history
from agentapi.agents.codex.rollout.lines import Payload, Record, RolloutLines
from agentapi.model.conversation import Message, Role
from agentapi.model.encoding import parse_rfc3339

INTERRUPTED = "■ Conversation interrupted"
_UNRECORDED = 3
"""User messages at the end of the state that Codex may not have recorded before it was killed."""

_TELLS = re.compile(
    rb'"(?:user_message|agent_message|UserMessage|AgentMessage|turn_aborted|thread_rolled_back)"'
)


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one side said at once."""

    role: Role
    text: str
    time: datetime
    taken: bool = False
    """Whether it was taken back: the agent does not know it any more."""


def recall(rollout: Path) -> list[Utterance]:
    """All that was said in the session that goes on in this file, whatever the files that it is
    in: user and agent by turns of at least one message each way.

    Lines that are broken or unknown are passed over. Raises `OSError`."""
    said: list[Utterance] = []
    reader = RolloutLines()
    for line, taken in history(rollout):
        if b'"event_msg"' not in line or not _TELLS.search(line):
            continue
        record = reader.record(line)
        if record is not None:
            for role, text in _spoken(record, said):
                _add(said, Utterance(role, text, _time(record.time), taken))
    return said


def known(said: Sequence[Utterance]) -> list[Utterance]:
    """What the agent knows of it."""
    return [one for one in said if not one.taken]


def _add(said: list[Utterance], one: Utterance) -> None:
    last = said[-1] if said else None
    follows = last is not None and last.role is Role.AGENT and last.taken == one.taken
    if one.role is Role.AGENT and last is not None and follows:
        if one.text not in last.text.split("\n\n"):
            said[-1] = replace(last, text=f"{last.text}\n\n{one.text}")
    elif one.text:
        said.append(one)


def _spoken(record: Record, said: list[Utterance]) -> Iterator[tuple[Role, str]]:
    """What a record of the rollout says; a rollback takes back what was said."""
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
            _roll_back(said, payload.get("num_turns"))


def _text(item: Payload) -> str:
    parts = item.get("content")
    if not isinstance(parts, list):
        return ""
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str)).strip()


def _roll_back(said: list[Utterance], turns: object) -> None:
    left = turns if isinstance(turns, int) else 0
    for number in range(len(said) - 1, -1, -1):
        if left <= 0:
            return
        one = said[number]
        if not one.taken:
            said[number] = replace(one, taken=True)
            left -= one.role is Role.USER


def _time(text: object) -> datetime:
    try:
        return parse_rfc3339(str(text))
    except ValueError:
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class MergedHistory:
    """The conversation to go on with."""

    messages: tuple[Message, ...]
    belongs: bool = True
    """Whether the state's messages are of this session (or there were none)."""
    unrecorded: int = 0
    """User messages that clients were told of and that Codex never recorded."""
    earlier: bool = False
    """Whether the state has messages of an earlier session, too, which are left out."""


def merge(
    kept: Sequence[Message], said: Sequence[Utterance], begun: datetime | None = None
) -> MergedHistory:
    """The state's messages, and what the rollout has beyond them: what the agent knows.

    `begun` is when the session began: what was said before and is not in it is another's."""
    kept, earlier = _still_known(kept, said, begun)
    merged = _merge(kept, known(said))
    return replace(merged, earlier=earlier)


def _still_known(
    kept: Sequence[Message], said: Sequence[Utterance], begun: datetime | None
) -> tuple[list[Message], bool]:
    """The state without what was taken back and what an earlier session said; whether there was
    any of the latter."""
    users = [number for number, message in enumerate(kept) if message.role is Role.USER]
    old = [n for n in users if begun is not None and kept[n].time < begun]
    if not old and not any(one.taken for one in said):
        return list(kept), False
    recorded = [one for one in said if one.role is Role.USER]
    pairs = _pairs([_plain(kept[n].content) for n in users], [_plain(o.text) for o in recorded])
    taken = {user for user, one in pairs.items() if recorded[one].taken}
    first = min((user for user in pairs if user not in taken), default=0)
    early = {user for user in range(first) if user not in pairs and users[user] in old}
    left: list[Message] = []
    user = -1
    for message in kept:
        user += message.role is Role.USER
        if user not in taken | early:
            left.append(message)
    return left, bool(early)


def _pairs(users: Sequence[str], recorded: Sequence[str]) -> dict[int, int]:
    """Which of the state's user messages is which of the recorded ones, by their words."""
    from difflib import SequenceMatcher

    found = SequenceMatcher(None, users, recorded, autojunk=False).get_matching_blocks()
    return {block.a + n: block.b + n for block in found for n in range(block.size)}


def _merge(kept: Sequence[Message], said: Sequence[Utterance]) -> MergedHistory:
    users = [_plain(message.content) for message in kept if message.role is Role.USER]
    recorded = [_plain(one.text) for one in said if one.role is Role.USER]
    if not users:
        opening = kept[:1] or (Message(0, Role.AGENT, "", _start(said)),)
        return MergedHistory(_numbered([*opening, *_messages(said)]))
    place = _place(users, recorded)
    if place is None:
        opening = (Message(0, Role.AGENT, "", _start(said)),)
        return MergedHistory(_numbered([*opening, *_messages(said)]), belongs=False)
    common, unrecorded = place
    rest = _after(said, common)
    if unrecorded and not _begins_with_user(rest):
        rest = []  # an answer cannot be put before the questions that follow it
    return MergedHistory(_numbered([*_answered(kept, rest, unrecorded)]), unrecorded=unrecorded)


def _place(users: Sequence[str], recorded: Sequence[str]) -> tuple[int, int] | None:
    """How many of the recorded user messages the state knows, and how many of its own last ones
    were never recorded; None when the two have nothing in common."""
    for unrecorded in range(min(_UNRECORDED, len(users) - 1) + 1):
        known = users[: len(users) - unrecorded]
        best = max(
            # Of two that fit equally well, as repeated questions may: from the beginning on.
            (
                (_common_end(known, recorded[:end]), end == len(known), end)
                for end in range(1, len(recorded) + 1)
            ),
            default=(0, False, 0),
        )
        if best[0]:
            return best[2], unrecorded
    return None


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count


def _after(said: Sequence[Utterance], users: int) -> list[Utterance]:
    """What follows the user message of this number, its answer included."""
    for index, one in enumerate(said):
        users -= one.role is Role.USER
        if users == 0:
            return list(said[index + 1 :])
    return []


def _begins_with_user(said: Sequence[Utterance]) -> bool:
    return bool(said) and said[0].role is Role.USER


def _answered(kept: Sequence[Message], rest: list[Utterance], unrecorded: int) -> list[Message]:
    """The kept messages, then the rest; the answer to the last one counts only if it is missing,
    for the state has it as the screen showed it."""
    if rest and rest[0].role is Role.AGENT and not unrecorded:
        answered = kept[-1].role is Role.AGENT and bool(kept[-1].content)
        if not answered and kept[-1].role is Role.AGENT:
            first, *rest = rest
            return [*kept[:-1], replace(kept[-1], content=first.text), *_messages(rest)]
        if answered:
            rest = rest[1:]
    return [*kept, *_messages(rest)]


def _messages(said: Sequence[Utterance]) -> list[Message]:
    return [Message(0, one.role, one.text, one.time) for one in said]


def _numbered(messages: Sequence[Message]) -> tuple[Message, ...]:
    return tuple(replace(message, id=number) for number, message in enumerate(messages))


def _start(said: Sequence[Utterance]) -> datetime:
    return said[0].time if said else datetime.now(UTC)


def _plain(text: str) -> str:
    return " ".join(text.split())
