"""Split the bytes of a rollout into records, one for each relevant line.

Most lines only repeat another line or an earlier state. They are recognized by their first bytes
and not parsed, which makes reading fast.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from agentapi.agents.codex.rollout.quick_json import loads

Payload = Mapping[str, Any]

UNREADABLE = "unreadable"
"""The name of a record for a line that is not a JSON object; `line` has the reason."""

# `ignored` lines are long and frequent, and have nothing that other lines do not have. A
# `compacted` line repeats the whole history, which takes megabytes. A `state` line sets what holds
# from now on; it is often repeated unchanged but for the time.
_HEAD = re.compile(
    rb'\{"timestamp":"(?P<time>[^"]*)",(?:"ordinal":\d+,)?"type":"(?:'
    rb'(?P<ignored>(?:world_state|token_usage_record)"'
    rb'|response_item","payload":\{"type":"(?:message|reasoning|ghost_snapshot)")'
    rb'|(?P<compacted>compacted")'
    rb'|(?P<state>turn_context|event_msg","payload":\{"type":"token_count)")'
)
_IGNORED = frozenset(
    {
        "event_msg.thread_settings_applied",
        "event_msg.thread_name_updated",
        "event_msg.agent_reasoning_raw_content",
        "event_msg.exec_command_begin",
        "event_msg.patch_apply_begin",
        "event_msg.mcp_tool_call_begin",
        "event_msg.item_started",
        "response_item.message",
        "response_item.reasoning",
        "response_item.ghost_snapshot",
        "response_item.compaction",
        "response_item.compaction_summary",
        "token_usage_record",
        "world_state",
    }
)


class Record(NamedTuple):
    """A parsed line."""

    name: str
    """The line's type: `turn_context`, `event_msg.error`, `item.AgentMessage`, …"""
    time: object
    """Its time, unparsed."""
    payload: Payload
    """Its members, without the envelope."""
    line: object
    """The whole line."""


class RolloutLines:
    """Splits one rollout, from its first byte on."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []  # the parts of an incomplete line
        self._time: object = None
        self._states: dict[bytes, bytes] = {}  # the last state of each kind

    def feed(self, data: bytes) -> Iterator[Record]:
        """Yield the records that these bytes complete; an incomplete line is buffered.

        Exhaust it before the next call. Never raises, whatever the bytes."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join((*self._rest, lines[0]))
            self._rest.clear()
        self._rest.append(rest)
        for line in lines:
            if (record := self.parse_line(line)) is not None:
                yield record

    def parse_line(self, line: bytes) -> Record | None:
        """Parse a complete line; None when it is irrelevant."""
        if head := _HEAD.match(line):
            kind = head.lastgroup
            if kind == "ignored":
                return None
            if kind == "compacted":
                self._time = head["time"].decode("ascii", "replace")
                return Record("compacted", self._time, {}, {})
            if self._is_repeated(head["state"], line[head.end() :]):
                return None
        return self._parsed(line)

    def _is_repeated(self, kind: bytes, state: bytes) -> bool:
        if self._states.get(kind) == state:
            return True
        self._states[kind] = state
        return False

    def _parsed(self, line: bytes) -> Record | None:
        try:
            value = loads(line)
        except (ValueError, RecursionError) as error:
            if not line.strip():
                return None
            return self._unreadable({"error": str(error), "line": repr(line[:200])})
        if not isinstance(value, dict):
            return self._unreadable(value)
        self._time = value.get("timestamp")
        return _unwrapped(value, self._time)

    def _unreadable(self, reason: object) -> Record:
        return Record(UNREADABLE, self._time, {}, reason)


def _unwrapped(line: Payload, time: object) -> Record | None:
    name = str(line.get("type"))
    payload = line.get("payload")
    if not isinstance(payload, dict):
        payload = {}
    if name in ("event_msg", "response_item"):
        name = f"{name}.{payload.get('type')}"
    if name == "event_msg.item_completed":
        item = payload.get("item")
        payload = item if isinstance(item, dict) else {}
        name = f"item.{payload.get('type')}"
    return None if name in _IGNORED else Record(name, time, payload, line)
