"""Parse the rollouts of any Codex version into entries. Pure: bytes in, entries out.

Codex writes most events twice: as `response_item`, the model's input and output (with context that
nobody typed and summaries that nobody saw), and as `event_msg`, what the user sees. Texts are taken
from the events only; tool calls from both, since no version writes all of them in one of the two.
Unknown lines become `Other`.

| what | 0.80 | 0.107 to 0.142 | 0.158 and later |
|---|---|---|---|
| texts | `user_message`, `agent_message`, `agent_reasoning` | the same | `item_completed` |
| turns | none: a user message starts one | `task_started`, `task_complete` | the same |
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from agentapi.agents.codex.rollout import tools
from agentapi.agents.codex.rollout.lines import Payload, Record, RolloutLines
from agentapi.agents.codex.rollout.usage import UsageMeter
from agentapi.model.encoding import parse_rfc3339
from agentapi.model.items import (
    AgentMessage,
    Approval,
    Entry,
    Error,
    Item,
    NoticeItem,
    Other,
    Plan,
    Reasoning,
    ToolCall,
    Turn,
    Usage,
    UserMessage,
)

_log = logging.getLogger(__name__)


class RolloutParser:
    """Parses one rollout, from its first byte on."""

    def __init__(self) -> None:
        self.session_id: str | None = None
        self.version: str | None = None
        self.copied_at: datetime | None = None
        """When a fork copied the lines of its parent session, which have the time of the copy."""
        self.usage = UsageMeter()
        self._lines = RolloutLines()
        self._entries: list[Entry] = []  # added or changed by the current feed
        self._count = 0
        self._turn = 0
        self._open = False  # whether a turn is running, where the version records that
        self._time: object = None  # of the current line, unparsed
        self._asks_approval = False  # whether commands outside the sandbox need an approval
        self._calls: dict[str, _Call] = {}
        self._compacted = False
        self._unknown: set[str] = set()

    def feed(self, data: bytes) -> list[Entry]:
        """Return the entries that these bytes add or change, in order; an incomplete line is
        buffered. Never raises, whatever the bytes."""
        for record in self._lines.feed(data):
            self._handle(record)
        entries, self._entries = self._entries, []
        return entries

    def _handle(self, record: Record) -> None:
        self._time = record.time
        handler = _HANDLERS.get(record.name)
        if handler is not None:
            handler(self, record.payload)
        else:
            self._other(record.name, record.payload or record.line)

    def _other(self, name: str, data: object) -> None:
        if name not in self._unknown:
            self._unknown.add(name)
            _log.info("a rollout of Codex %s has lines of an unknown type: %s", self.version, name)
        self._add(Other(name, data))

    # -- entries -----------------------------------------------------------------------------

    def _add(self, item: Item, *, partial: bool = False, key: object = None) -> Entry:
        name = key if isinstance(key, str) else ""
        entry = Entry(self._count, self._turn, _time(self._time), item, partial, name)
        self._count += 1
        self._entries.append(entry)
        return entry

    def _change(self, entry: Entry, item: Item, *, partial: bool) -> Entry:
        changed = Entry(entry.index, entry.turn, entry.time, item, partial, entry.key)
        if changed != entry:
            self._entries.append(changed)
        return changed

    # -- the session and its turns -----------------------------------------------------------

    def _on_meta(self, payload: Payload) -> None:
        before, continues = self.session_id, bool(payload.get("history_base"))
        if before is not None and not continues:
            self.copied_at = _time(self._time)
            return
        self.session_id = str(payload.get("id") or payload.get("session_id") or "") or None
        self.version = str(payload.get("cli_version") or "") or None
        if before is not None and before == self.session_id:
            self._add(NoticeItem("rollback", "What came after this was taken back."))

    def _on_context(self, payload: Payload) -> None:
        if isinstance(model := payload.get("model"), str):
            self.usage.model = model
        self._asks_approval = payload.get("approval_policy") not in (None, "never")

    def _on_turn_started(self, payload: Payload) -> None:
        self._begin_turn(payload.get("model_context_window"), payload.get("turn_id"))
        self._open = True

    def _begin_turn(self, window: object = None, key: object = None) -> None:
        self._end_calls("aborted")
        self._turn += 1
        self._compacted = False
        self.usage.turn_started(window)
        self._add(Turn("started"), key=key)

    def _on_turn_complete(self, payload: Payload) -> None:
        failure = payload.get("error")
        if isinstance(failure, dict):
            self._add(Error(error_text(failure)))
        self._end_turn("failed" if failure else "completed", "", payload)

    def _on_turn_aborted(self, payload: Payload) -> None:
        self._end_turn("aborted", str(payload.get("reason") or ""), payload)

    def _end_turn(self, event: str, reason: str, payload: Payload) -> None:
        self._end_calls("aborted" if event == "aborted" else "")
        self._open = False
        duration = payload.get("duration_ms")
        self._add(Turn(event, reason, duration if isinstance(duration, int) else None))

    # -- texts -------------------------------------------------------------------------------

    def _on_user(self, payload: Payload) -> None:
        self._user(str(payload.get("message", "")))

    def _on_user_item(self, payload: Payload) -> None:
        self._user(_content(payload), payload.get("id"))

    def _user(self, text: str, key: object = None) -> None:
        if not self._open:
            self._begin_turn()
        self._add(UserMessage(text), key=key)

    def _on_agent(self, payload: Payload) -> None:
        self._add(AgentMessage(str(payload.get("message", ""))))

    def _on_agent_item(self, payload: Payload) -> None:
        self._add(AgentMessage(_content(payload)), key=payload.get("id"))

    def _on_reasoning(self, payload: Payload) -> None:
        self._add(Reasoning(str(payload.get("text", ""))))

    def _on_reasoning_item(self, payload: Payload) -> None:
        parts = payload.get("summary_text")
        text = "\n\n".join(map(str, parts)) if isinstance(parts, list) else ""
        if text:
            self._add(Reasoning(text), key=payload.get("id"))

    def _on_plan_item(self, payload: Payload) -> None:
        self._add(Plan(str(payload.get("text", ""))), key=payload.get("id"))

    # -- tools -------------------------------------------------------------------------------

    def _on_call(self, payload: Payload) -> None:
        name = str(payload.get("name", ""))
        if namespace := payload.get("namespace"):
            name = f"{namespace}__{name}"
        arguments = payload.get("arguments", payload.get("input", ""))
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        if name == "update_plan":
            self._plan(arguments)
            return
        self._call(str(payload.get("call_id")), tools.parse_call(name, arguments), arguments)

    def _on_local_shell(self, payload: Payload) -> None:
        action = payload.get("action")
        command = action.get("command") if isinstance(action, dict) else ""
        call = ToolCall(tools.SHELL, command=tools.command_line(command))
        self._call(str(payload.get("call_id") or payload.get("id")), call)

    def _call(self, call_id: str, call: ToolCall, arguments: str = "") -> _Call:
        reason = tools.escalation(arguments) if self._asks_approval else None
        approval = None
        if reason is not None:
            approval = self._add(Approval(call.command, reason), partial=True)
        entry = self._add(call, partial=call.status == "running", key=call_id)
        tracked = _Call(entry, call, approval)
        if tracked.entry.partial:
            self._calls[call_id] = tracked
        return tracked

    def _plan(self, arguments: str) -> None:
        try:
            value = json.loads(arguments)
            steps = tuple(
                {"step": str(step["step"]), "status": str(step["status"])} for step in value["plan"]
            )
            self._add(Plan(str(value.get("explanation") or ""), steps))
        except (ValueError, LookupError, TypeError, AttributeError):
            self._add(ToolCall("update_plan", arguments=arguments, status="completed"))

    def _on_output(self, payload: Payload) -> None:
        call = self._calls.get(str(payload.get("call_id")))
        if call is None:
            return
        call.answered = True
        answer = tools.with_output(call.item, payload.get("output"))
        self._update(call, tools.fill_missing(call.item, answer) if call.reported else answer)

    def _on_executed(self, payload: Payload) -> None:
        call = self._reported_call(payload, ToolCall(tools.SHELL, _command(payload)))
        self._update(call, tools.with_command_end(call.item, payload))

    def _on_patched(self, payload: Payload) -> None:
        call = self._reported_call(payload, ToolCall(tools.PATCH))
        self._update(call, tools.with_patch_end(call.item, payload))

    def _reported_call(self, payload: Payload, default: ToolCall) -> _Call:
        """Return the call that Codex reports the end of; a user's command (`!ls`) has none yet."""
        call_id = str(payload.get("call_id") or payload.get("id"))
        call = self._calls.get(call_id) or self._call(call_id, default)
        call.reported = True
        return call

    def _on_mcp(self, payload: Payload) -> None:
        item = tools.parse_mcp_call(payload)
        call_id = str(payload.get("call_id") or payload.get("id"))
        call = self._calls.get(call_id)
        if call is None:
            self._call(call_id, item)
        else:
            call.reported = True
            self._update(call, item)

    def _update(self, call: _Call, item: ToolCall) -> None:
        call.item = item
        call.entry = self._change(call.entry, item, partial=item.status == "running")
        if call.approval is not None and isinstance(approval := call.approval.item, Approval):
            refused = item.status in ("declined", "aborted") and item.exit_code is None
            decision = "declined" if refused else "approved"
            call.approval = self._change(
                call.approval, replace(approval, decision=decision), partial=False
            )

    def _end_calls(self, status: str) -> None:
        """End the turn's calls without an output with this status; background commands go on."""
        for call in self._calls.values():
            if call.entry.partial and status and not call.answered:
                self._update(call, replace(call.item, status=status))
        self._calls = {key: call for key, call in self._calls.items() if call.entry.partial}

    # -- the rest ----------------------------------------------------------------------------

    def _on_tokens(self, payload: Payload) -> None:
        if self.usage.update(payload) and (usage := self.usage.snapshot()):
            self._add(Usage(usage))

    def _on_error(self, payload: Payload) -> None:
        self._add(Error(error_text(payload)))

    def _on_warning(self, payload: Payload) -> None:
        self._add(NoticeItem("warning", str(payload.get("message", ""))))

    def _on_compaction(self, _: Payload) -> None:
        if not self._compacted:
            self._compacted = True
            self._add(NoticeItem("compaction", "The context was compacted to make room."))

    def _on_rollback(self, payload: Payload) -> None:
        turns = payload.get("num_turns")
        self._add(NoticeItem("rollback", f"The last {turns} turns were taken back."))


class _Call:
    """A tool call that may still change."""

    __slots__ = ("answered", "approval", "entry", "item", "reported")

    def __init__(self, entry: Entry, item: ToolCall, approval: Entry | None) -> None:
        self.entry = entry
        self.item = item
        self.approval = approval
        self.answered = False
        """Whether the model has received an output."""
        self.reported = False
        """Whether Codex has reported the end, which is more precise than the model's output."""


_HANDLERS: dict[str, Callable[[RolloutParser, Payload], None]] = {
    "session_meta": RolloutParser._on_meta,
    "turn_context": RolloutParser._on_context,
    "compacted": RolloutParser._on_compaction,
    "event_msg.task_started": RolloutParser._on_turn_started,
    "event_msg.turn_started": RolloutParser._on_turn_started,
    "event_msg.task_complete": RolloutParser._on_turn_complete,
    "event_msg.turn_complete": RolloutParser._on_turn_complete,
    "event_msg.turn_aborted": RolloutParser._on_turn_aborted,
    "event_msg.user_message": RolloutParser._on_user,
    "event_msg.agent_message": RolloutParser._on_agent,
    "event_msg.agent_reasoning": RolloutParser._on_reasoning,
    "event_msg.token_count": RolloutParser._on_tokens,
    "event_msg.error": RolloutParser._on_error,
    "event_msg.stream_error": RolloutParser._on_error,
    "event_msg.warning": RolloutParser._on_warning,
    "event_msg.context_compacted": RolloutParser._on_compaction,
    "event_msg.thread_rolled_back": RolloutParser._on_rollback,
    "event_msg.exec_command_end": RolloutParser._on_executed,
    "event_msg.patch_apply_end": RolloutParser._on_patched,
    "event_msg.mcp_tool_call_end": RolloutParser._on_mcp,
    "response_item.function_call": RolloutParser._on_call,
    "response_item.custom_tool_call": RolloutParser._on_call,
    "response_item.local_shell_call": RolloutParser._on_local_shell,
    "response_item.function_call_output": RolloutParser._on_output,
    "response_item.custom_tool_call_output": RolloutParser._on_output,
    "item.UserMessage": RolloutParser._on_user_item,
    "item.AgentMessage": RolloutParser._on_agent_item,
    "item.Reasoning": RolloutParser._on_reasoning_item,
    "item.Plan": RolloutParser._on_plan_item,
    "item.ContextCompaction": RolloutParser._on_compaction,
    "item.CommandExecution": RolloutParser._on_executed,
    "item.FileChange": RolloutParser._on_patched,
    "item.McpToolCall": RolloutParser._on_mcp,
}


def _content(payload: Payload) -> str:
    """Join the texts of an item's content; images have none."""
    content = payload.get("content")
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _command(payload: Payload) -> str:
    return tools.command_line(payload.get("command", ""))


def error_text(failure: Payload) -> str:
    """Return an error's message; a provider's JSON has it as `error.message`."""
    text = str(failure.get("message", ""))
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return text


def _time(value: object) -> datetime | None:
    try:
        return parse_rfc3339(str(value))
    except ValueError:
        return None
