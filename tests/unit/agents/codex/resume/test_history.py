from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.agents.codex.resume.history import Utterance, in_context, merge, read_history
from agentapi.model.conversation import Message, Role
from agentapi.model.items import INTERRUPTED
from tests.support.codex import PROJECT

THEN = datetime(2026, 11, 21, tzinfo=UTC)
ROLLOUTS = PROJECT / "tests/recordings/rollouts"


def saved(*texts: str) -> list[Message]:
    """Message 0, then user and agent alternating."""
    roles = [Role.AGENT, *([Role.USER, Role.AGENT] * len(texts))]
    return [Message(n, roles[n], text, THEN) for n, text in enumerate(("banner", *texts))]


def utterances(*texts: str) -> list[Utterance]:
    roles = [Role.USER, Role.AGENT] * len(texts)
    return [Utterance(roles[n], text, THEN) for n, text in enumerate(texts)]


def texts(messages: tuple[Message, ...]) -> list[str]:
    assert [message.id for message in messages] == list(range(len(messages)))
    return [message.content for message in messages]


@pytest.mark.parametrize(
    ("state", "rollout", "expected"),
    [
        # The state as the screen showed it stays.
        (["a", "• A"], ["a", "A"], ["banner", "a", "• A"]),
        # The rollout went on in another terminal.
        (["a", "• A"], ["a", "A", "b", "B"], ["banner", "a", "• A", "b", "B"]),
        (["a"], ["a", "A", "b", "B"], ["banner", "a", "A", "b", "B"]),
        # No state at all, or an empty conversation.
        ([], ["a", "A"], ["banner", "a", "A"]),
        # The same question several times.
        (["a", "• A"], ["a", "A", "a", "A"], ["banner", "a", "• A", "a", "A"]),
        # An earlier session of the same daemon stands before this one.
        (["x", "• X", "a", "• A"], ["a", "A"], ["banner", "x", "• X", "a", "• A"]),
        # An answer that had only begun.
        (["a", ""], ["a", "A"], ["banner", "a", "A"]),
        # White space does not matter.
        (["a\n b", "• A"], ["a  b", "A"], ["banner", "a\n b", "• A"]),
    ],
)
def test_the_conversation_continues(
    state: list[str], rollout: list[str], expected: list[str]
) -> None:
    merged = merge(saved(*state), utterances(*rollout))
    assert texts(merged.messages) == expected
    assert merged.same_session
    assert merged.unrecorded == 0


def test_without_a_state_message_0_is_empty() -> None:
    assert texts(merge([], utterances("a", "A")).messages) == ["", "a", "A"]


def test_a_state_of_another_session_is_detected() -> None:
    merged = merge(saved("x", "• X"), utterances("a", "A"))
    assert not merged.same_session
    assert texts(merged.messages) == ["", "a", "A"]


@pytest.mark.parametrize(
    ("state", "rollout", "expected"),
    [
        # The state has what was rolled back, and its replacement.
        ("abd", "ab-cd", "abd"),
        ("abcd", "ab-cd", "abd"),
        ("abc", "ab-c", "ab"),
        # Rolled back, and repeated.
        ("abcc", "ab-cc", "abc"),
        # Several times, and all of it.
        ("abcdef", "a-b-c-d-ef", "af"),
        ("ab", "-a-b", ""),
        # The state is older than the rolled-back part.
        ("ab", "ab-cd", "abd"),
        # Behind it something was never recorded.
        ("abcx", "ab-c", "abx"),
    ],
)
def test_rolled_back_messages_are_dropped(state: str, rollout: str, expected: str) -> None:
    """A `-` rolls back the exchange after it."""
    merged = merge(saved(*exchanges(state)), recorded(rollout))
    assert texts(merged.messages) == ["banner", *exchanges(expected)]
    assert not merged.earlier_session
    assert merged.unrecorded == state.count("x")


def exchanges(letters: str) -> list[str]:
    return [text for letter in letters for text in (letter, letter.upper())]


def recorded(letters: str) -> list[Utterance]:
    found: list[Utterance] = []
    rolled_back = False
    for letter in letters:
        if letter != "-":
            found += [
                replace(one, rolled_back=rolled_back) for one in utterances(letter, letter.upper())
            ]
        rolled_back = letter == "-"
    return found


def test_messages_of_an_earlier_session_are_dropped() -> None:
    """As after `/new`: the session is younger than the state."""
    begun = THEN + timedelta(minutes=5)
    state = saved("x", "X", "a", "A")
    state[3:] = [replace(m, time=begun + timedelta(seconds=1)) for m in state[3:]]
    merged = merge(state, utterances("a", "A"), begun)
    assert texts(merged.messages) == ["banner", "a", "A"]
    assert merged.earlier_session
    assert merged.same_session


def test_messages_that_a_fork_copied_are_not_earlier() -> None:
    merged = merge(
        saved("x", "X", "a", "A"), utterances("x", "X", "a", "A"), THEN + timedelta(minutes=5)
    )
    assert texts(merged.messages) == ["banner", "x", "X", "a", "A"]
    assert not merged.earlier_session


def test_unrecorded_messages_are_kept_and_counted() -> None:
    merged = merge(saved("a", "• A", "b"), utterances("a", "A"))
    assert texts(merged.messages) == ["banner", "a", "• A", "b"]
    assert merged.unrecorded == 1


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), st.integers(1, 6))
def test_a_state_that_is_a_beginning_becomes_the_whole(questions: list[str], count: int) -> None:
    whole = [text for question in questions for text in (question, question.upper())]
    merged = merge(saved(*whole[: 2 * count]), utterances(*whole))
    assert texts(merged.messages) == ["banner", *whole]
    assert merged.unrecorded == 0


@pytest.mark.parametrize("version", ["0.80.0", "0.107.0", "0.125.0", "0.158.0", "0.169.0"])
def test_every_versions_rollout_is_parsed(version: str) -> None:
    found = read_history(ROLLOUTS / version / "turns.jsonl")
    assert found[0].role is Role.USER
    assert found[0].text.startswith("echo héllo wörld")
    assert found[1] == Utterance(Role.AGENT, found[0].text[5:], found[1].time) or (
        found[1].text == found[0].text
    )
    users = [utterance.text for utterance in found if utterance.role is Role.USER]
    assert users[1] == "first line\nsecond line\n\n  indented after a blank line\nlast line"
    assert len(users) == len(set(users)) >= 8


def test_broken_lines_are_skipped_and_a_rollback_is_applied(tmp_path: Path) -> None:
    def event(**payload: object) -> str:
        return json.dumps({"timestamp": THEN.isoformat(), "type": "event_msg", "payload": payload})

    lines = [
        event(type="user_message", message="a"),
        '{"type":"event_msg"',
        '{"type":"event_msg","payload":7}',
        event(type="agent_message", message="A"),
        event(type="user_message", message="b"),
        event(type="agent_message", message="B"),
        event(type="thread_rolled_back", num_turns=1),
        event(type="user_message", message="c"),
        event(type="turn_aborted", reason="interrupted"),
    ]
    file = tmp_path / "rollout"
    file.write_text("\n".join(lines) + "\n")
    found = read_history(file)
    assert [utterance.text for utterance in in_context(found)] == ["a", "A", "c", INTERRUPTED]
    assert [utterance.text for utterance in found if utterance.rolled_back] == ["b", "B"]
