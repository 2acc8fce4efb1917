"""From the bytes of a rollout to its records: one for each line that may say something.

Most lines of a file are of no use: they repeat what another line says, or what they said before.
They are known by their first bytes and not parsed, which is what makes reading quick.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from agentapi.agents.codex.rollout.quick_json import loads

Payload = Mapping[str, Any]

UNREADABLE = "unreadable"
"""The name of a record that stands for a line that is no JSON object; `line` says why."""

# `useless` lines are long, many, and say nothing that is not said elsewhere. A `compacted` one
# holds the whole history again, megabytes of it. A `state` says what holds from now on; it is often
# written again as it was, but for the time.
_HEAD = re.compile(
    rb'\{"timestamp":"(?P<time>[^"]*)",(?:"ordinal":\d+,)?"type":"(?:'
    rb'(?P<useless>(?:world_state|token_usage_record)"'
    rb'|response_item","payload":\{"type":"(?:message|reasoning|ghost_snapshot)")'
    rb'|(?P<compacted>compacted")'
    rb'|(?P<state>turn_context|event_msg","payload":\{"type":"token_count)")'
)
_USELESS = frozenset(
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
    """What a line says."""

    name: str
    """The line's type: `turn_context`, `event_msg.error`, `item.AgentMessage`, …"""
    time: object
    """Its time, as it has it."""
    payload: Payload
    """Its members, without the wrapping."""
    line: object
    """The whole line."""


class RolloutLines:
    """Takes a rollout apart, from its first byte on."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []  # the parts of a line without its end
        self._time: object = None
        self._states: dict[bytes, bytes] = {}  # of each kind of state, the last one said

    def feed(self, data: bytes) -> Iterator[Record]:
        """The records that these bytes complete; an incomplete line waits for its end. Take all of
        them before the next call. Never raises for what the bytes are."""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join((*self._rest, lines[0]))
            self._rest.clear()
        self._rest.append(rest)
        for line in lines:
            if (record := self.record(line)) is not None:
                yield record

    def record(self, line: bytes) -> Record | None:
        """What a whole line says; None when it says nothing that is of use."""
        if head := _HEAD.match(line):
            kind = head.lastgroup
            if kind == "useless":
                return None
            if kind == "compacted":
                self._time = head["time"].decode("ascii", "replace")
                return Record("compacted", self._time, {}, {})
            if self._is_repeated(head["state"], line[head.end() :]):
                return None
        return self._parsed(line)

    def _is_repeated(self, kind: bytes, said: bytes) -> bool:
        if self._states.get(kind) == said:
            return True
        self._states[kind] = said
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

    def _unreadable(self, why: object) -> Record:
        return Record(UNREADABLE, self._time, {}, why)


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
    return None if name in _USELESS else Record(name, time, payload, line)
