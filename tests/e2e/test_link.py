"""The link with the real Codex: exact items, sends, answers and interrupts by call, beside a
screen path that comes to the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from agentapi.model.conversation import Phase
from agentapi.model.errors import DialogOpen
from agentapi.model.events import ItemChanged, SessionKnown, TurnChanged, UsageChanged, UserText
from agentapi.model.items import AgentMessage, ToolCall
from tests.support.codex import codex_binary, pinned_version
from tests.support.linked import Linked, linked
from tests.support.server import scratch_folder

pytestmark = [pytest.mark.codex, pytest.mark.asyncio(loop_scope="module")]

LITERAL = (
    "!touch bang",
    "/quit",
    "look at @README.md",
    "@",
    "$x # heading",
    "a\x1b[201~\x03\x00b\x7f",
    "tab\tand\r\nlines\rof all kinds",
    "你好 👍🏽 e\u0301 \u200d end",
    "x" * 20_000,
)
"""What a composer would take for commands or keys, and a terminal could not carry."""


@pytest.fixture(scope="module", params=[None, "0.158.0", "0.142.0"], ids=lambda v: v or "pinned")
def version(request: pytest.FixtureRequest) -> str | None:
    try:
        codex_binary(request.param)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    found: str | None = request.param
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def talk(version: str | None) -> AsyncIterator[Linked]:
    """A linked Codex that asks before it acts, shared by the tests of one version."""
    with scratch_folder() as folder:
        async with linked(folder, version=version, approvals=True) as running:
            yield running


def missing(exact: str, shown: str) -> list[str]:
    """The words of a Markdown text that are not on the screen."""
    prose = "\n".join(line for line in exact.splitlines() if not line.startswith("```"))
    words = [word.strip("*_`#>|-:[]()") for word in prose.split()]
    return [word for word in words if word.isalnum() and word not in shown]


async def test_the_session_is_known_before_the_first_prompt(
    talk: Linked, version: str | None
) -> None:
    known = [event for event in talk.events if isinstance(event, SessionKnown)]
    assert [event.id for event in known] == [talk.driver.session_id]
    assert talk.driver.link == "on"
    assert talk.driver.agent_version == (version or pinned_version())
    assert talk.phases[-1] == "idle"


async def test_an_answer_is_exact_and_its_words_are_on_the_screen(talk: Linked) -> None:
    for prompt in ("hello", "markdown", "lines 60"):
        shown = await talk.turn(prompt)
        # Of a session's first turn 0.142 may report no message while the link subscribes.
        misses = talk.driver.agent_version == "0.142.0"
        if misses and prompt == "hello" and not talk.said:
            continue
        assert talk.asked[-1:] in ([prompt], [] if misses else None)
        assert talk.said[-1] == talk.sent[-1]
        assert missing(talk.said[-1], shown) == []
    assert isinstance(talk.driver.usage, dict)
    assert any(isinstance(event, UsageChanged) for event in talk.events)
    ends = [event for event in talk.events if isinstance(event, TurnChanged)]
    assert ends[-1].event == "completed"


@pytest.mark.parametrize("prompt", LITERAL, ids=ascii)
async def test_a_send_is_literal(talk: Linked, prompt: str) -> None:
    await talk.turn(prompt)
    assert talk.model.requests[-1].prompt == prompt
    assert talk.asked[-1] == prompt
    assert not (talk.home.workdir / "bang").exists()


async def test_a_growing_answer_comes_in_pieces_that_join(talk: Linked) -> None:
    since = len(talk.events)
    await talk.turn("slow 12")
    grown = [
        event.item.text
        for event in talk.events[since:]
        if isinstance(event, ItemChanged) and isinstance(event.item, AgentMessage)
    ]
    assert len(grown) > 4
    assert all(talk.sent[-1].startswith(text) for text in grown)
    assert talk.said[-1] == talk.sent[-1]


async def test_what_a_person_types_is_a_turn_like_any_other(talk: Linked) -> None:
    since = len(talk.events)
    for key in "echo typed by hand":
        await talk.driver.keys(key)
    await talk.until(lambda: "› echo typed by hand" in talk.driver.screen(), "the echo")
    await talk.driver.keys("\r")
    await talk.until(lambda: talk.phases_since(since) == ["working", "idle"], "the turn")
    assert UserText("echo typed by hand") in talk.events[since:]
    assert talk.asked[-1] == "echo typed by hand"
    assert talk.said[-1] == "echo typed by hand"
    assert talk.text == "• echo typed by hand"


async def open_approval(talk: Linked, prompt: str) -> None:
    await talk.driver.send(prompt)
    await talk.until(lambda: talk.phase is Phase.BLOCKED, "the dialog")


async def test_a_command_is_allowed_by_a_call(talk: Linked) -> None:
    since = len(talk.events)
    await open_approval(talk, "approve touch allowed")
    dialog = talk.dialog
    assert (dialog.kind, dialog.command) == ("command", "touch allowed")
    assert dialog.reason == "May I run this outside the sandbox?"
    assert all(choice.key for choice in dialog.choices)
    with pytest.raises(DialogOpen):
        await talk.driver.send("tell me your name")
    with pytest.raises(LookupError):
        await talk.driver.answer("request-other", "1")
    with pytest.raises(LookupError):
        await talk.driver.answer(dialog.id, "9")
    assert not (talk.home.workdir / "allowed").exists()
    await talk.driver.answer(dialog.id, "1")
    await talk.until(lambda: talk.phase is Phase.IDLE, "the end")
    assert talk.phases_since(since) == ["working", "blocked", "working", "idle"]
    assert (talk.home.workdir / "allowed").exists()
    with pytest.raises(LookupError):
        await talk.driver.answer(dialog.id, "1")
    call = [item for item in talk.items if isinstance(item, ToolCall)][-1]
    assert (call.tool, call.command, call.exit_code) == ("shell", "touch allowed", 0)
    assert call.status == "completed"


async def test_a_command_is_refused_by_a_call(talk: Linked) -> None:
    await open_approval(talk, "approve touch refused")
    choice = talk.dialog.choices[-1]
    assert choice.label.startswith("No, and tell Codex")
    await talk.driver.answer(talk.dialog.id, choice.id)
    await talk.until(lambda: talk.phase is Phase.IDLE, "the end")
    assert not (talk.home.workdir / "refused").exists()


async def test_a_patch_is_allowed_by_a_call(talk: Linked) -> None:
    await open_approval(talk, "patch new.txt")
    diff = "new.txt\n+first line\n+second line"
    await talk.until(lambda: talk.dialog.diff.endswith(diff), "the link's diff")  # not the screen's
    dialog = talk.dialog
    assert dialog.kind == "patch"
    await talk.driver.answer(dialog.id, "1")
    await talk.until(lambda: talk.phase is Phase.IDLE, "the end")
    assert (talk.home.workdir / "new.txt").read_text() == "first line\nsecond line\n"


async def test_a_person_answers_in_the_terminal(talk: Linked) -> None:
    await open_approval(talk, "approve touch bykey")
    asked = talk.dialog
    await asyncio.sleep(0.5)  # Codex may drop a key in a dialog's first moments
    await talk.driver.keys("y")
    await talk.until(lambda: talk.phase is Phase.IDLE, "the end")
    assert (talk.home.workdir / "bykey").exists()
    with pytest.raises(LookupError):
        await talk.driver.answer(asked.id, "1")


async def test_a_request_that_nobody_decides_is_not_answered(talk: Linked) -> None:
    since = len(talk.events)
    await open_approval(talk, "approve touch undecided")
    await asyncio.sleep(1)
    assert talk.phases_since(since) == ["working", "blocked"]
    assert not (talk.home.workdir / "undecided").exists()
    await talk.driver.interrupt()
    assert talk.phase is Phase.IDLE
    assert not (talk.home.workdir / "undecided").exists()


async def test_dont_ask_again(talk: Linked) -> None:
    await open_approval(talk, "approve touch once")
    again = [c for c in talk.dialog.choices if "don't ask again" in c.label]
    assert len(again) == 1
    await talk.driver.answer(talk.dialog.id, again[0].id)
    await talk.until(lambda: talk.phase is Phase.IDLE, "the end")
    since = len(talk.events)
    await talk.turn(
        "approve touch twice" if "touch once" not in again[0].label else "approve touch once"
    )
    assert "blocked" not in talk.phases_since(since)


async def test_an_interrupt_is_a_call_and_does_nothing_between_turns(talk: Linked) -> None:
    talk.model.hold()
    try:
        await talk.driver.send("hello")
        await talk.model.wait_until_held()
        since = len(talk.events)
        await talk.driver.interrupt()
    finally:
        talk.model.release()
    await talk.until(lambda: talk.phase is Phase.IDLE, "the end")
    ends = [e for e in talk.events[since:] if isinstance(e, TurnChanged)]
    assert [end.event for end in ends] == ["interrupted"]
    assert "Conversation interrupted" in talk.text
    await talk.driver.interrupt()
    await talk.turn("echo after it")
    assert talk.said[-1] == "echo after it"


async def test_nothing_was_strange(talk: Linked) -> None:
    assert talk.link.unknown == {}
    assert talk.notices == []
