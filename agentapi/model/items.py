"""The items of a transcript: messages, tool calls, turns and more, verbatim.

A leaf module: the sources of items (Codex's rollout and link, the screen) and the transcript, which
numbers them, need not import one another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """The type of an item."""

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
    """The origin of an item, the most precise first."""

    LINK = "link"
    ROLLOUT = "rollout"
    ACP = "acp"
    SCREEN = "screen"


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What the user typed, without anything that an agent added."""

    kind: ClassVar[Kind] = Kind.USER_MESSAGE
    text: str


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """A message of the agent: verbatim Markdown, except from the screen."""

    kind: ClassVar[Kind] = Kind.AGENT_MESSAGE
    text: str


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The agent's visible reasoning (Markdown)."""

    kind: ClassVar[Kind] = Kind.REASONING
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One use of a tool."""

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
    """The agent's current plan."""

    kind: ClassVar[Kind] = Kind.PLAN
    text: str
    """The explanation, or the whole plan if it is prose."""
    steps: Sequence[Mapping[str, str]] = ()
    """`{step, status}`; status is `pending`, `in_progress` or `completed`."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A request for the user's permission."""

    kind: ClassVar[Kind] = Kind.APPROVAL
    command: str
    """The command line or the patch; empty for other questions."""
    reason: str = ""
    decision: str = "pending"
    """`pending`, `approved` (by the user or by a rule) or `declined`; `answered` once the dialog
    is gone and the decision is not known yet."""
    title: str = ""
    """The dialog's question, while it is open or just answered."""
    dialog: str = ""
    """The dialog's id for `POST /approval`."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token usage after one model response; the members are those of `GET /session`."""

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
    """An event outside the conversation."""

    kind: ClassVar[Kind] = Kind.NOTICE
    event: str
    """`compaction`, `rollback` or `warning`."""
    text: str


@dataclass(frozen=True, slots=True)
class Other:
    """An unknown item of a newer agent, unchanged."""

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
    """One item at its position in a source."""

    index: int
    """From 0 without gaps, in the order of the source. The same index again is a newer version of
    the same item. A source repeats its entries unchanged after a restart."""
    turn: int
    """The number of the turn, from 1; 0 before the first."""
    time: datetime | None
    """When the item began; None if the source does not record it."""
    item: Item
    partial: bool = False
    """Whether the item may still change."""
    key: str = ""
    """The agent's own id of the item, unique in its turn; for the start of a turn, the turn's id.
    Empty if the source has none."""


def body(item: Item) -> dict[str, object]:
    """Return the item's own members as on the wire."""
    return {field.name: getattr(item, field.name) for field in fields(item)}
