"""The link's pure parts: command lines, items, usage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.agents.codex.link.command import CodexCommand
from agentapi.agents.codex.link.events import LinkEvent, PhaseReported
from agentapi.agents.codex.link.items import PartialItem, thread_item
from agentapi.agents.codex.link.link import CodexLink
from agentapi.agents.codex.link.rpc import RpcError
from agentapi.agents.codex.link.thread import FollowedThread
from agentapi.agents.codex.link.usage import LinkUsage
from agentapi.model.conversation import Phase
from agentapi.model.events import ItemChanged, SessionKnown
from agentapi.model.items import AgentMessage, Other, ToolCall, UserMessage

SOCKET = Path("/run/agentapi-x/s")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def parsed(*words: str) -> CodexCommand:
    command = CodexCommand.parse(words)
    assert command is not None
    return command


def test_both_command_lines_keep_the_wrapper_and_the_configuration() -> None:
    command = parsed("boundary", "--", "/opt/codex", "-c", "a=1", "-m", "gpt", "--enable=x", "hi")
    assert command.server(SOCKET) == [
        *("boundary", "--", "/opt/codex", "app-server", "--listen", f"unix://{SOCKET}"),
        *("-c", "a=1", "--enable=x"),
    ]
    assert command.tui(SOCKET) == [
        *("boundary", "--", "/opt/codex", "--remote", f"unix://{SOCKET}"),
        *("-c", "a=1", "-m", "gpt", "--enable=x", "hi"),
    ]


def test_resuming_keeps_the_options_and_drops_prompt_and_session() -> None:
    command = parsed("codex", "-m", "gpt", "resume", "--last", "-s", "read-only", "old")
    assert command.resuming("id").arguments == ("resume", "id", "-m", "gpt", "-s", "read-only")
    assert parsed("codex", "--", "-m is a prompt").resuming("id").arguments == ("resume", "id")


@pytest.mark.parametrize(
    ("words", "obstacle"),
    [
        (["codex", "fix it"], ""),
        (["codex", "resume", "id"], ""),
        (["codex", "-m", "exec"], ""),
        (["codex", "exec", "x"], "codex exec is no conversation"),
        (["codex", "--remote=ws://h:1"], "the command line has --remote"),
        (["codex", "-p", "work"], "-p does not reach an app-server"),
    ],
)
def test_commands_that_cannot_be_linked(words: list[str], obstacle: str) -> None:
    assert parsed(*words).obstacle() == obstacle


def test_a_command_without_codex() -> None:
    assert CodexCommand.parse(["bash", "-c", "echo"]) is None


@given(st.dictionaries(st.sampled_from(["type", "content", "summary", "changes", "status"]), JSON))
def test_no_item_is_an_error(raw: dict[str, Any]) -> None:
    thread_item(raw)
    for kind in ("userMessage", "reasoning", "fileChange", "mcpToolCall", "commandExecution"):
        thread_item({**raw, "type": kind})


def test_items() -> None:
    said = {"type": "userMessage", "content": [{"type": "text", "text": "a"}, {"type": "image"}]}
    assert thread_item(said) == UserMessage("a")
    assert thread_item({"type": "new", "x": 1}) == Other("new", {"type": "new", "x": 1})


def test_deltas_extend_an_item() -> None:
    partial = PartialItem("t", AgentMessage("a"))
    partial.append("b")
    partial.append("c")
    assert partial.current() == AgentMessage("abc")
    output = PartialItem("t", ToolCall("shell", output="x"))
    output.append("y")
    assert output.current() == ToolCall("shell", output="xy")


def test_usage_has_the_rollouts_shape() -> None:
    usage = LinkUsage()
    assert usage.snapshot() is None
    usage.model = "m"
    counts = {"totalTokens": 30, "inputTokens": 20, "outputTokens": 10}
    tokens = {"total": counts, "last": counts, "modelContextWindow": 100}
    usage.tokens({"turnId": "t", "tokenUsage": tokens})
    usage.limits({"rateLimits": {"primary": {"usedPercent": 5, "windowDurationMins": 300}}})
    found = usage.snapshot()
    assert found is not None
    assert found["model"] == "m"
    assert found["context"] == {"window": 100, "used": 30, "left": 70, "left_percent": 70}
    assert found["rate_limits"] == {"primary": {"used_percent": 5, "window_minutes": 300}}


async def test_items_missed_of_a_first_turn_come_with_the_subscription() -> None:
    """The first turn may have started or ended when Codex accepts the subscription."""
    items = [
        {"id": "1", "type": "userMessage", "content": [{"type": "text", "text": "hi"}]},
        {"id": "2", "type": "agentMessage", "text": "Hel"},
    ]
    asked: list[dict[str, Any]] = []
    events: list[LinkEvent] = []
    for status, new in (("inProgress", True), ("completed", True), ("completed", False)):
        turn = {"id": "t", "status": status, "items": items}

        async def ask(
            method: str, params: dict[str, Any], turn: dict[str, Any] = turn
        ) -> dict[str, Any]:
            asked.append(params)
            return {"thread": {"turns": [turn]}}

        link = CodexLink(events.append)
        thread = FollowedThread(ask, lambda thread: None, link._on_subscribed)
        thread.opened({"id": "thread"})
        thread.subscribe(once=not new)
        assert thread._subscribing is not None
        await thread._subscribing
    said, whole = UserMessage("hi"), AgentMessage("Hel")
    assert events == [
        ItemChanged("t", "1", said, partial=False),
        *(ItemChanged("t", "1", said, partial=False), ItemChanged("t", "2", whole, partial=False)),
    ]
    assert [params["excludeTurns"] for params in asked] == [False, False, True]


async def test_a_turn_that_starts_during_the_subscription_is_not_missed() -> None:
    asked: list[bool] = []
    subscribed: list[bool] = []

    async def ask(method: str, params: dict[str, Any]) -> None:
        asked.append(params["excludeTurns"])
        if len(asked) == 1:
            thread.subscribe()
            raise RpcError(method, -32600, "no rollout found")

    thread = FollowedThread(ask, lambda _: None, lambda _, new: subscribed.append(new))
    thread.opened({"id": "thread"})
    thread.subscribe(once=True)
    assert thread._subscribing is not None
    await thread._subscribing
    assert (asked, subscribed) == ([True, False], [True])


async def test_a_thread_opened_during_another_subscription_is_subscribed_too() -> None:
    asked: list[tuple[str, bool]] = []
    subscribed: list[bool] = []

    async def ask(method: str, params: dict[str, Any]) -> None:
        asked.append((params["threadId"], params["excludeTurns"]))
        if len(asked) == 1:
            thread.opened({"id": "other"})

    def followed(_: object) -> None:
        thread.subscribe(once=True)

    thread = FollowedThread(ask, followed, lambda _, new: subscribed.append(new))
    thread.opened({"id": "one"})
    thread.subscribe()
    assert thread._subscribing is not None
    await thread._subscribing
    assert (asked, subscribed) == ([("one", False), ("other", True)], [False])


def test_only_a_thread_with_a_turn_can_be_resumed_and_only_the_tuis_own_are_followed_again() -> (
    None
):
    async def ask(method: str, params: dict[str, Any]) -> None:
        raise AssertionError(method)

    followed: list[object] = []
    thread = FollowedThread(ask, lambda one: followed.append(one["id"]), lambda _, new: None)
    thread.opened({"id": "one"})
    thread.turn_started()
    thread.opened({"id": "title", "ephemeral": True})
    thread.opened({"id": "two"})
    assert not thread.resumable
    for name in ("two", "title", "unknown", None, "one"):
        thread.reopened(name)
    assert thread.resumable
    assert followed == ["one", "two", "one"]


async def test_a_thread_that_the_tui_left_and_opens_again_is_followed_again() -> None:
    events: list[LinkEvent] = []
    link = CodexLink(events.append)

    def status(thread: str, kind: str) -> None:
        link._on_notification(
            "thread/status/changed", {"threadId": thread, "status": {"type": kind}}
        )

    def followed() -> list[str]:
        return [event.id for event in events if isinstance(event, SessionKnown)]

    for thread in ("one", "two"):
        link._on_notification(
            "thread/started", {"thread": {"id": thread, "status": {"type": "idle"}}}
        )
    status("one", "idle")  # the end of what was under way there
    assert followed() == ["one", "two"]
    status("one", "active")
    assert (link.thread, events[-1]) == ("one", PhaseReported(Phase.WORKING, "active"))
    link._on_notification("thread/goal/cleared", {"threadId": "two"})
    assert followed() == ["one", "two", "one", "two"]
    assert events[-1] == PhaseReported(Phase.IDLE, "idle")
    await link.end()
