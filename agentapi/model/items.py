"""The items of a transcript: what a user and an agent said and did, exactly.

A leaf module: the sources that make items (Codex's rollout and link, the screen) and the transcript
that numbers them need not know one another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What an item is."""

    USER_MESSAGE = "user_message"
    AGENT_MESSAGE = "agent_message"
    REASONING = "reasoning"
    TOOL_CALL = "tool_call"
    PLAN = "plan"
    APPROVAL = "approval"
    USAGE = "usage"
    TURN = "turn"
    ERROR = "error"
    NOTICE = "notice"
    OTHER = "other"


class ItemSource(StrEnum):
    """Where an item comes from, the most exact first."""

    LINK = "link"
    ROLLOUT = "rollout"
    ACP = "acp"
    SCREEN = "screen"


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What the user typed, and nothing that an agent added to it."""

    kind: ClassVar[Kind] = Kind.USER_MESSAGE
    text: str


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """What the agent said: exact Markdown, except from the screen."""

    kind: ClassVar[Kind] = Kind.AGENT_MESSAGE
    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What the agent tells of its thoughts (Markdown)."""

    kind: ClassVar[Kind] = Kind.REASONING
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the agent used."""

    kind: ClassVar[Kind] = Kind.TOOL_CALL
    tool: str
    """`shell`, `apply_patch`, or the tool's own name."""
    command: str = ""
    """A shell's command line or a patch; empty for other tools."""
    arguments: str = ""
    """The arguments of other tools, JSON text."""
    output: str = ""
    exit_code: int | None = None
    duration_ms: int | None = None
    status: str = "running"
    """`running`, `completed`, `failed`, `declined` or `aborted`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The agent's plan as it now stands."""

    kind: ClassVar[Kind] = Kind.PLAN
    text: str
    """The explanation, or the whole plan where it is prose."""
    steps: Sequence[Mapping[str, str]] = ()
    """`{step, status}`; status is `pending`, `in_progress` or `completed`."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Something that the agent may only do when the user allows it."""

    kind: ClassVar[Kind] = Kind.APPROVAL
    command: str
    """The command line or the patch; empty for other questions."""
    reason: str = ""
    decision: str = "pending"
    """`pending`, `approved` (by the user or by a rule) or `declined`; `answered` once the dialog
    is gone and nothing tells yet how it was decided."""
    title: str = ""
    """What the dialog asks, as long as it is open or just answered."""
    dialog: str = ""
    """Its id for `POST /approval`."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens after one answer of the model; the members are those of `GET /session`."""

    kind: ClassVar[Kind] = Kind.USAGE
    usage: Mapping[str, object]


INTERRUPTED = "■ Conversation interrupted"
"""The text that stands for an aborted turn in an answer."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn began or ended."""

    kind: ClassVar[Kind] = Kind.TURN
    event: str
    """`started`, `completed`, `failed` or `aborted`."""
    reason: str = ""
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Error:
    """Something went wrong."""

    kind: ClassVar[Kind] = Kind.ERROR
    text: str


@dataclass(frozen=True, slots=True)
class NoticeItem:
    """Something that happened beside the conversation."""

    kind: ClassVar[Kind] = Kind.NOTICE
    event: str
    """`compaction`, `rollback` or `warning`."""
    text: str


@dataclass(frozen=True, slots=True)
class Other:
    """What a newer agent wrote and this program does not know, as it was."""

    kind: ClassVar[Kind] = Kind.OTHER
    type: str
    data: object


Item = (
    UserMessage
    | AgentMessage
    | Reasoning
    | ToolCall
    | Plan
    | Approval
    | Usage
    | Turn
    | Error
    | NoticeItem
    | Other
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One item at its place in what a source tells."""

    index: int
    """From 0 without gaps, in the order of the source. The same index again is a newer version of
    the same item; what a source once told it tells again, alike, after a restart."""
    turn: int
    """The number of the turn, from 1; 0 before the first."""
    time: datetime | None
    """When the item began; None where the source does not say."""
    item: Item
    partial: bool = False
    """Whether the item is still growing."""
    key: str = ""
    """The agent's own id of the item, unique in its turn; of a turn's beginning, the turn's. Empty
    where the source has none."""


def body(item: Item) -> dict[str, object]:
    """The item's own members as the wire has them."""
    return {field.name: getattr(item, field.name) for field in fields(item)}
