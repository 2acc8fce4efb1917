"""Which live item and which recorded item are the same, and how the two are merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from agentapi.model.comparison import squeeze
from agentapi.model.items import (
    AgentMessage,
    Approval,
    Item,
    ItemSource,
    NoticeItem,
    Plan,
    Reasoning,
    ToolCall,
    Usage,
    UserMessage,
)
from agentapi.transcript.changes import TranscriptItem


@dataclass(slots=True)
class LiveItem:
    """The latest state of one item that was reported live."""

    turn: str
    id: str
    item: Item
    partial: bool
    source: ItemSource
    time: datetime
    """When it was first reported."""
    record_index: int | None = None
    """The index of the matching recorded item."""
    recorded: Item | None = None
    """The recorded item itself, if the two were matched by content instead of by id."""
    index: int = -1
    """Where it is shown while it has no recorded match; -1 before it is shown."""


def merge_live(recorded: TranscriptItem, live: LiveItem | None) -> TranscriptItem:
    """Return a partial recorded item, updated with its live state."""
    if live is None:
        return recorded
    item = recorded.item
    match item, live.item:
        case ToolCall(), ToolCall() as call:
            item = replace(
                item,
                output=call.output or item.output,
                exit_code=item.exit_code if call.exit_code is None else call.exit_code,
                duration_ms=item.duration_ms if call.duration_ms is None else call.duration_ms,
                status=call.status,
            )
        case Approval(), Approval() as open_:
            item = replace(item, title=open_.title, dialog=open_.dialog, decision=open_.decision)
        case _:
            return recorded  # the link sees it as another kind of item
    if item == recorded.item and live.partial == recorded.partial:
        return recorded
    return replace(recorded, item=item, partial=live.partial, source=live.source)


def matches(recorded: Item, live: Item) -> bool:
    """Whether a live item may be this recorded one, or the beginning of it."""
    match recorded, live:
        case (UserMessage(), UserMessage()):
            return True  # the two sources write pictures and mentions differently
        case (AgentMessage(whole), AgentMessage(text)):
            return whole.startswith(text)
        case (Reasoning(part), Reasoning(text)):  # some versions record each part separately
            return part.startswith(text) or text.startswith(part)
        case (Plan(), Plan()):
            return recorded.text == live.text and list(recorded.steps) == list(live.steps)
        case (ToolCall(), ToolCall()):
            return (recorded.tool, recorded.command) == (live.tool, live.command)
        case (Approval(), Approval()):
            return squeeze(recorded.command) == squeeze(live.command)
        case (Usage(), Usage()):
            return total_tokens(recorded) == total_tokens(live)
        case (NoticeItem(), NoticeItem()):
            return recorded.event == live.event
    return False


def is_empty(item: Item) -> bool:
    """Whether an item has no content yet."""
    match item:
        case AgentMessage(text) | Reasoning(text):
            return not text
        case Plan(text, steps):
            return not text and not steps
    return False


def total_tokens(usage: Usage) -> object:
    """Return the total token count of a usage item; None if it has none."""
    total = usage.usage.get("total")
    return total.get("total_tokens") if isinstance(total, Mapping) else None
