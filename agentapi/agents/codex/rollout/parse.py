"""From the lines of a rollout, of any version, to entries. Pure: bytes in, entries out.

Codex writes most of what happens twice: as `response_item`, what the model is given and gave (with
context that nobody typed and summaries that nobody was shown), and as `event_msg`, what the user
sees. Texts are taken from the events alone; tool calls from both, because no version tells all of
them in one of the two. What is neither known nor known to be of no use becomes `Other`.

| what | 0.80 | 0.107 to 0.142 | 0.158 and later |
|---|---|---|---|
| texts | `user_message`, `agent_message`, `agent_reasoning` | the same | `item_completed` |
| turns | none: a user message begins one | `task_started`, `task_complete` | the same |
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
    """Reads one rollout, from its first byte on."""

    def __init__(self) -> None:
        self.session_id: str | None = None
        self.version: str | None = None
        self.copied: datetime | None = None
        """When a fork began to repeat the lines of the session that it came from, dated anew."""
        self.usage = UsageMeter()
        self._lines = RolloutLines()
        self._entries: list[Entry] = []  # what the bytes of this feed changed
        self._count = 0
        self._turn = 0
        self._open = False  # whether a turn has begun and not ended, where the version says so
        self._time: object = None  # as the line has it
        self._asks = False  # whether commands outside the sandbox need an approval
        self._calls: dict[str, _Call] = {}
        self._compacted = False
        self._unknown: set[str] = set()

    def feed(self, data: bytes) -> list[Entry]:
        """The entries that these bytes add or change, in order; an incomplete line waits for its
        end. Never raises for what the bytes are."""
        for record in self._lines.feed(data):
            self._take(record)
        entries, self._entries = self._entries, []
        return entries

    def _take(self, record: Record) -> None:
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
        before, goes_on = self.session_id, bool(payload.get("history_base"))
        if before is not None and not goes_on:
            self.copied = _time(self._time)
            return
        self.session_id = str(payload.get("id") or payload.get("session_id") or "") or None
        self.version = str(payload.get("cli_version") or "") or None
        if before is not None and before == self.session_id:
            self._add(NoticeItem("rollback", "What came after this was taken back."))

    def _on_context(self, payload: Payload) -> None:
        if isinstance(model := payload.get("model"), str):
            self.usage.model = model
        self._asks = payload.get("approval_policy") not in (None, "never")

    def _on_turn_started(self, payload: Payload) -> None:
        self._begin_turn(payload.get("model_context_window"), payload.get("turn_id"))
        self._open = True

    def _begin_turn(self, window: object = None, key: object = None) -> None:
        self._settle_calls("aborted")
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
        self._settle_calls("aborted" if event == "aborted" else "")
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
        self._call(str(payload.get("call_id")), tools.called(name, arguments), arguments)

    def _on_local_shell(self, payload: Payload) -> None:
        action = payload.get("action")
        command = action.get("command") if isinstance(action, dict) else ""
        call = ToolCall(tools.SHELL, command=tools.command_line(command))
        self._call(str(payload.get("call_id") or payload.get("id")), call)

    def _call(self, call_id: str, call: ToolCall, arguments: str = "") -> _Call:
        reason = tools.escalation(arguments) if self._asks else None
        approval = None
        if reason is not None:
            approval = self._add(Approval(call.command, reason), partial=True)
        entry = self._add(call, partial=call.status == "running", key=call_id)
        made = _Call(entry, call, approval)
        if made.entry.partial:
            self._calls[call_id] = made
        return made

    def _plan(self, arguments: str) -> None:
        try:
            value = json.loads(arguments)
            steps = tuple(
                {"step": str(one["step"]), "status": str(one["status"])} for one in value["plan"]
            )
            self._add(Plan(str(value.get("explanation") or ""), steps))
        except (ValueError, LookupError, TypeError, AttributeError):
            self._add(ToolCall("update_plan", arguments=arguments, status="completed"))

    def _on_output(self, payload: Payload) -> None:
        call = self._calls.get(str(payload.get("call_id")))
        if call is None:
            return
        call.answered = True
        answer = tools.answered(call.item, payload.get("output"))
        self._update(call, tools.completed_by(call.item, answer) if call.told else answer)

    def _on_executed(self, payload: Payload) -> None:
        call = self._told(payload, ToolCall(tools.SHELL, _command(payload)))
        self._update(call, tools.executed(call.item, payload))

    def _on_patched(self, payload: Payload) -> None:
        call = self._told(payload, ToolCall(tools.PATCH))
        self._update(call, tools.patched(call.item, payload))

    def _told(self, payload: Payload, otherwise: ToolCall) -> _Call:
        """The call that Codex gives its account of; a user's own command (`!ls`) had none."""
        call_id = str(payload.get("call_id") or payload.get("id"))
        call = self._calls.get(call_id) or self._call(call_id, otherwise)
        call.told = True
        return call

    def _on_mcp(self, payload: Payload) -> None:
        item = tools.mcp_called(payload)
        call_id = str(payload.get("call_id") or payload.get("id"))
        call = self._calls.get(call_id)
        if call is None:
            self._call(call_id, item)
        else:
            call.told = True
            self._update(call, item)

    def _update(self, call: _Call, item: ToolCall) -> None:
        call.item = item
        call.entry = self._change(call.entry, item, partial=item.status == "running")
        if call.approval is not None and isinstance(asked := call.approval.item, Approval):
            refused = item.status in ("declined", "aborted") and item.exit_code is None
            decision = "declined" if refused else "approved"
            call.approval = self._change(
                call.approval, replace(asked, decision=decision), partial=False
            )

    def _settle_calls(self, status: str) -> None:
        """The turn is over: what the model never heard of again ended with it (`status`), but a
        command in the background goes on."""
        for call in self._calls.values():
            if call.entry.partial and status and not call.answered:
                self._update(call, replace(call.item, status=status))
        self._calls = {key: call for key, call in self._calls.items() if call.entry.partial}

    # -- the rest ----------------------------------------------------------------------------

    def _on_tokens(self, payload: Payload) -> None:
        if self.usage.token_count(payload) and (usage := self.usage.snapshot()):
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

    __slots__ = ("answered", "approval", "entry", "item", "told")

    def __init__(self, entry: Entry, item: ToolCall, approval: Entry | None) -> None:
        self.entry = entry
        self.item = item
        self.approval = approval
        self.answered = False
        """Whether the model got something back."""
        self.told = False
        """Whether Codex gave its own account, which is more exact than what the model got."""


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
    """The texts of an item's content, joined; pictures have none."""
    content = payload.get("content")
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _command(payload: Payload) -> str:
    return tools.command_line(payload.get("command", ""))


def error_text(failure: Payload) -> str:
    """What went wrong, in words: a provider's JSON holds them as `error.message`."""
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
