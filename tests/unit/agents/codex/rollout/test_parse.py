"""Rollouts of six versions of Codex, all of them turned into the same items."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.agents.codex.rollout.follower import read_rollout
from agentapi.agents.codex.rollout.parse import RolloutParser
from agentapi.agents.codex.versions import TRIED
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
from tests.support.codex import PROJECT

FOLDER = PROJECT / "tests/recordings/rollouts"
VERSIONS = sorted(path.name for path in FOLDER.iterdir() if (path / "turns.jsonl").exists())
PATCH = "*** Begin Patch\n*** Add File: notes.txt\n+first line\n+second line\n*** End Patch"


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """One version of Codex after the other."""
    found: str = request.param
    return found


def path_of(version: str, session: str) -> Path:
    """A recorded rollout."""
    return FOLDER / version / f"{session}.jsonl"


def items(version: str, session: str, *kinds: type[Item]) -> list[Item]:
    """The items of a recorded rollout, of some kinds only."""
    entries, _ = read_rollout(path_of(version, session))
    return [entry.item for entry in entries if not kinds or isinstance(entry.item, kinds)]


def notes(version: str, session: str) -> dict[str, list[str]]:
    """Read the texts that were typed, and those of the model."""
    text = path_of(version, session).with_suffix(".json").read_text(encoding="utf-8")
    found: dict[str, list[str]] = json.loads(text)
    return found


def test_all_versions_are_there() -> None:
    assert set(TRIED) <= set(VERSIONS)


@pytest.mark.parametrize("session", ["turns", "approvals"])
def test_texts_are_exact(version: str, session: str) -> None:
    wanted = notes(version, session)
    assert [i.text for i in items(version, session, UserMessage)] == wanted["typed"]  # type: ignore[union-attr]
    assert [i.text for i in items(version, session, AgentMessage)] == wanted["said"]  # type: ignore[union-attr]


def test_all_versions_have_the_same_items_but_for_the_ends_of_turns(version: str) -> None:
    def shape(of: str) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for item in items(of, "turns"):
            if isinstance(item, Turn) and item.event == "completed":
                continue
            if isinstance(item, AgentMessage) and item.text.startswith("The command has finished"):
                continue
            if isinstance(item, ToolCall) and item.tool.startswith("mcp"):
                continue
            found.append((item.kind, getattr(item, "text", getattr(item, "command", ""))))
        return found

    assert shape(version) == shape("0.169.0")


def test_a_failing_command(version: str) -> None:
    call = items(version, "turns", ToolCall)[0]
    assert isinstance(call, ToolCall)
    assert call.duration_ms is not None
    assert (call.tool, call.command) == ("shell", "seq 3; echo oops >&2; exit 3")
    assert (call.output, call.exit_code, call.status) == ("1\n2\n3\noops\n", 3, "failed")


def test_two_commands_at_once_keep_their_own_outputs(version: str) -> None:
    calls = [i for i in items(version, "turns", ToolCall) if isinstance(i, ToolCall)][1:3]
    assert [(c.command, c.output, c.exit_code, c.status) for c in calls] == [
        ("echo one", "one\n", 0, "completed"),
        ("echo two; exit 3", "two\n", 3, "failed"),
    ]


@pytest.mark.parametrize("session", ["turns", "approvals"])
def test_a_patch_is_a_patch_however_it_was_called(version: str, session: str) -> None:
    patch = next(i for i in items(version, session, ToolCall) if getattr(i, "tool", "") != "shell")
    assert isinstance(patch, ToolCall)
    assert (patch.tool, patch.command, patch.exit_code) == ("apply_patch", PATCH, 0)
    assert patch.output == "Success. Updated the following files:\nA notes.txt\n"
    assert patch.status == "completed"


def test_reasoning_and_plan(version: str) -> None:
    assert items(version, "turns", Reasoning) == [Reasoning("**Considering**\n\nTwo and two.")]
    steps = ({"step": "Look", "status": "completed"}, {"step": "Leap", "status": "in_progress"})
    assert items(version, "turns", Plan) == [Plan("Two steps.", steps)]


def test_approvals_asked_and_given(version: str) -> None:
    reason = "May I run this outside the sandbox?"
    assert items(version, "approvals", Approval) == [
        Approval("date -u", reason, "approved"),
        Approval("date", reason, "declined"),
    ]
    last = items(version, "approvals", ToolCall)[-1]
    assert isinstance(last, ToolCall)
    assert (last.command, last.status, last.exit_code) == ("date", "aborted", None)
    ends = [i for i in items(version, "approvals", Turn) if getattr(i, "event", "") == "aborted"]
    assert len(ends) == 1


def test_a_compaction_is_one_notice_and_its_summary_is_no_message(version: str) -> None:
    assert [i.event for i in items(version, "endings", NoticeItem)] == ["compaction"]  # type: ignore[union-attr]
    texts = [i.text for i in items(version, "endings", AgentMessage)]  # type: ignore[union-attr]
    assert not any("CONTEXT" in text for text in texts)
    assert items(version, "endings", UserMessage)[-1] == UserMessage("hello again")


def test_errors_are_parsed_where_the_version_writes_them(version: str) -> None:
    wanted = [Error("The scripted model was asked to fail.")]
    written = "asked to fail" in path_of(version, "endings").read_text(encoding="utf-8")
    assert items(version, "endings", Error) == (wanted if written else [])


def test_nothing_recorded_is_unknown(version: str) -> None:
    for session in ("turns", "endings", "approvals"):
        assert items(version, session, Other) == []


def test_turns_are_numbered_and_items_without_gaps(version: str) -> None:
    entries, parser = read_rollout(path_of(version, "turns"))
    assert [entry.index for entry in entries] == list(range(len(entries)))
    assert [entry.turn for entry in entries if isinstance(entry.item, UserMessage)] == [
        *range(1, 10)
    ]
    assert not any(entry.partial for entry in entries)
    assert all(entry.time is not None and entry.time.tzinfo for entry in entries)
    assert parser.version == version
    assert len(parser.session_id or "") == 36


def test_usage_by_turn_and_in_all(version: str) -> None:
    _, parser = read_rollout(path_of(version, "turns"))
    usage: Any = parser.usage.snapshot()
    assert usage["model"] == "gpt-5.4"
    counted = [
        json.loads(line)["payload"]["info"]
        for line in path_of(version, "turns").read_text(encoding="utf-8").splitlines()
        if '"token_count"' in line
    ]
    last = [info for info in counted if info][-1]
    assert usage["total"].items() <= last["total_token_usage"].items()
    window, used = last["model_context_window"], last["last_token_usage"]["total_tokens"]
    assert usage["context"]["left"] == window - used
    assert usage["context"]["left_percent"] == round(100 * (window - used) / window)
    assert 0 < usage["turn"]["total_tokens"] < usage["total"]["total_tokens"]


def test_rate_limits_are_reported_and_kept() -> None:
    limits = {"primary": {"used_percent": 42.5, "window_minutes": 300, "resets_at": 7}, "x": 1}
    counts = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    info = {"total_token_usage": counts, "last_token_usage": counts, "model_context_window": 10}
    parser = RolloutParser()
    parser.feed(event("token_count", info=None, rate_limits=limits))
    parser.feed(event("token_count", info=info, rate_limits=None))
    usage: Any = parser.usage.snapshot()
    assert usage["rate_limits"] == {
        "primary": {"used_percent": 42.5, "window_minutes": 300, "resets_at": 7}
    }
    assert usage["context"] == {"window": 10, "used": 5, "left": 5, "left_percent": 50}


def counted(total: int) -> dict[str, Any]:
    """Return the payload of a `token_count` line."""
    counts = {"input_tokens": total, "output_tokens": 0, "total_tokens": total}
    return {"total_token_usage": counts, "last_token_usage": counts, "model_context_window": 100}


def test_a_repeated_count_is_reported_once_and_a_new_one_again() -> None:
    lines = [event("token_count", info=counted(total)) for total in (3, 3, 5, 3, 3, 5)]
    totals = [item.usage["total"] for item in parsed(*lines) if isinstance(item, Usage)]
    assert [total["total_tokens"] for total in totals] == [3, 5, 3, 5]  # type: ignore[index]


def test_a_context_that_is_written_again_after_another_holds_again() -> None:
    def context(model: str) -> bytes:
        payload = {"model": model, "approval_policy": "on-request"}
        line = {"timestamp": "2026-01-02T03:04:05Z", "type": "turn_context", "payload": payload}
        return json.dumps(line, separators=(",", ":")).encode() + b"\n"

    parser = RolloutParser()
    models = []
    for model in "aabba":
        parser.feed(context(model))
        models.append(parser.usage.model)
    assert models == [*"aabba"]


# -- any split, any bytes ------------------------------------------------------------------------


def last_versions(entries: list[Entry]) -> list[Entry]:
    """Each entry in its last version."""
    return list({entry.index: entry for entry in entries}.values())


def test_any_split_of_the_bytes_gives_the_same_items(version: str) -> None:
    data = path_of(version, "turns").read_bytes()
    whole, _ = read_rollout(path_of(version, "turns"))
    for seed in range(5):
        cuts = sorted(random.Random(seed).sample(range(len(data)), 200))
        parser = RolloutParser()
        found: list[Entry] = []
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            found += parser.feed(data[start:end])
        assert last_versions(found) == whole


def event(kind: str, **members: Any) -> bytes:
    """An `event_msg` line."""
    line = {
        "timestamp": "2026-01-02T03:04:05.678Z",
        "type": "event_msg",
        "payload": {"type": kind, **members},
    }
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def item_line(kind: str, **members: Any) -> bytes:
    """A `response_item` line."""
    line = {"timestamp": "2026-01-02T03:04:05.678Z", "type": "response_item"}
    return json.dumps({**line, "payload": {"type": kind, **members}}).encode() + b"\n"


def parsed(*lines: bytes) -> list[Item]:
    """The items of these lines."""
    return [entry.item for entry in last_versions(RolloutParser().feed(b"".join(lines)))]


def test_a_line_waits_for_its_end() -> None:
    parser = RolloutParser()
    line = event("agent_message", message="ü" * 10)
    for position in range(len(line) - 1):
        assert parser.feed(line[position : position + 1]) == []
    assert [entry.item for entry in parser.feed(b"\n")] == [AgentMessage("ü" * 10)]


def test_unknown_lines_are_kept_as_they_are() -> None:
    found = parsed(
        event("new_thing", what=[1, 2]),
        item_line("novel_call", call_id="c"),
        b'{"timestamp":"","type":"brand_new","payload":{"a":1}}\n',
        event("item_completed", item={"type": "Hologram", "id": "h"}),
    )
    assert found == [
        Other("event_msg.new_thing", {"type": "new_thing", "what": [1, 2]}),
        Other("response_item.novel_call", {"type": "novel_call", "call_id": "c"}),
        Other("brand_new", {"a": 1}),
        Other("item.Hologram", {"type": "Hologram", "id": "h"}),
    ]


def test_broken_lines_do_not_stop_the_reading() -> None:
    found = parsed(
        b"not json\n", b"\xff\xfe\n", b"[1]\n", b"\n", event("agent_message", message="on")
    )
    assert [type(item) for item in found] == [Other, Other, Other, AgentMessage]


def test_bytes_that_are_no_utf8_and_half_characters_do_not_lose_a_line() -> None:
    line = event("agent_message", message="MESSAGE")
    found = parsed(
        line.replace(b"MESSAGE", b"a\xff\xc3b"),
        line.replace(b"MESSAGE", b"\\ud800 alone"),
        line.replace(b'"MESSAGE"', b"NaN"),
        event("novel", number=10**40),
    )
    assert found == [
        AgentMessage("a\ufffd\ufffdb"),
        AgentMessage("\ud800 alone"),
        AgentMessage("nan"),
        Other("event_msg.novel", {"type": "novel", "number": 10**40}),
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = [
    "task_started", "task_complete", "turn_aborted", "user_message", "agent_message",
    "agent_reasoning", "token_count", "error", "exec_command_end", "patch_apply_end",
    "mcp_tool_call_end", "item_completed", "function_call", "function_call_output",
    "custom_tool_call", "local_shell_call", "session_meta", "turn_context", "compacted",
]  # fmt: skip
MEMBERS = [
    "message", "text", "item", "call_id", "name", "arguments", "output", "info", "rate_limits",
    "exit_code", "duration", "duration_ms", "status", "error", "content", "summary_text", "command",
    "total_token_usage", "action", "invocation", "result", "model", "approval_policy", "id",
]  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["event_msg", "response_item", "session_meta", "turn_context"]),
            st.sampled_from(NAMES),
            st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=6),
        ),
        max_size=6,
    )
)
def test_no_line_of_any_shape_raises(lines: list[tuple[str, str, dict[str, Any]]]) -> None:
    parser = RolloutParser()
    for kind, name, members in lines:
        line = {"timestamp": "x", "type": kind, "payload": {**members, "type": name}}
        parser.feed(json.dumps(line).encode() + b"\n")
    parser.usage.snapshot()


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    RolloutParser().feed(data + b"\n")


# -- what the recordings do not hold -------------------------------------------------------------


def test_an_mcp_tool_of_a_newer_version() -> None:
    item = {
        "type": "McpToolCall",
        "id": "c1",
        "server": "demo",
        "tool": "add",
        "arguments": {"a": 2},
        "result": {"content": [{"type": "text", "text": "42"}]},
        "status": "completed",
        "duration": {"secs": 1, "nanos": 500_000_000},
    }
    call = item_line(
        "function_call", name="add", namespace="mcp__demo", arguments="{}", call_id="c1"
    )
    wanted = ToolCall("mcp__demo__add", "", '{"a": 2}', "42", None, 1500, "completed")
    assert parsed(call, event("item_completed", item=item)) == [wanted]
    assert parsed(event("item_completed", item=item)) == [wanted]


def test_an_mcp_tool_of_an_older_version_that_fails() -> None:
    found = parsed(
        event(
            "mcp_tool_call_end",
            call_id="c1",
            invocation={"server": "demo", "tool": "add", "arguments": None},
            duration={"secs": 0, "nanos": 0},
            result={"Err": "no such tool"},
        )
    )
    assert found == [ToolCall("mcp__demo__add", "", "", "no such tool", None, 0, "failed")]


def test_a_command_of_the_user_has_no_call() -> None:
    end = {"call_id": "u1", "command": ["bash", "-lc", "ls"], "exit_code": 0, "stdout": "a\n"}
    assert parsed(event("exec_command_end", **end)) == [
        ToolCall("shell", "ls", "", "a\n", 0, None, "completed")
    ]


def test_a_command_in_the_background_outlives_its_turn() -> None:
    started = [
        event("task_started"),
        item_line("function_call", name="exec_command", arguments='{"cmd":"top"}', call_id="c"),
        item_line(
            "function_call_output",
            call_id="c",
            output="Wall time: 1.0 seconds\nProcess running with session ID 7\nOutput:\nhalf\n",
        ),
        event("task_complete"),
        event("task_started"),
    ]
    call = next(item for item in parsed(*started) if isinstance(item, ToolCall))
    assert (call.status, call.output) == ("running", "half\n")
    ended = event("exec_command_end", call_id="c", aggregated_output="half\nwhole\n", exit_code=0)
    call = next(item for item in parsed(*started, ended) if isinstance(item, ToolCall))
    assert (call.status, call.output, call.exit_code) == ("completed", "half\nwhole\n", 0)


def test_a_call_without_an_answer_ends_with_its_turn() -> None:
    call = item_line(
        "function_call", name="shell", arguments='{"command":["ls","a b"]}', call_id="c"
    )
    for ending in (event("turn_aborted", reason="interrupted"), event("user_message", message="x")):
        found = next(i for i in parsed(call, ending) if isinstance(i, ToolCall))
        assert (found.command, found.status) == ("ls 'a b'", "aborted")


def test_output_that_looks_like_a_head_stays_output() -> None:
    call = item_line("function_call", name="exec_command", arguments='{"cmd":"x"}', call_id="c")
    text = "Wall time: 9.0 seconds\nOutput:\nfake\n"
    output = f"Wall time: 1.5 seconds\nProcess exited with code 0\nOutput:\n{text}"
    found = parsed(call, item_line("function_call_output", call_id="c", output=output))
    assert found == [ToolCall("shell", "x", "", text, 0, 1500, "completed")]


def test_steering_stays_in_its_turn() -> None:
    parser = RolloutParser()
    lines = [event("task_started"), *(event("user_message", message=m) for m in "ab")]
    assert {entry.turn for entry in parser.feed(b"".join(lines))} == {1}
