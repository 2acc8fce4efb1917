"""The ACP driver against a small agent of ours, as a real child process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agentapi.agents.acp.driver import STOP_REASONS, AcpDriver
from agentapi.agents.generic.evidence import ProvidesEvidence
from agentapi.conversation.turn_text import Chunk, Operation, PlanPart, ToolPart
from agentapi.model.conversation import Phase
from agentapi.model.errors import Busy, DialogOpen, SendError
from agentapi.model.events import AgentText, NoticeRaised, PhaseChanged, UserText
from tests.support import acp_agent
from tests.support.acp_watch import Watch, gone

Start = Callable[..., Awaitable[tuple[AcpDriver, Watch]]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """`await start(mode)`: a driver of the small agent, and what it reports."""
    drivers: list[AcpDriver] = []

    async def begin(mode: str = "", **options: Any) -> tuple[AcpDriver, Watch]:
        argv = [sys.executable, acp_agent.__file__, mode]
        driver, watch = AcpDriver(argv, cwd=tmp_path, env=os.environ, **options), Watch()
        drivers.append(driver)
        await driver.start(watch)
        return driver, watch

    yield begin
    for driver in drivers:
        await driver.stop(0.5)


@pytest.fixture
async def agent(start: Start) -> tuple[AcpDriver, Watch]:
    """An agent that is ready."""
    driver, watch = await start()
    await watch.idle()
    return driver, watch


async def ask(driver: AcpDriver, watch: Watch, prompt: str) -> str:
    """One whole turn; the answer."""
    await driver.send(prompt)
    await watch.idle()
    return watch.text


class TestStart:
    async def test_opens_a_session_in_the_working_directory(
        self, agent: tuple[AcpDriver, Watch], tmp_path: Path
    ) -> None:
        driver, watch = agent
        assert [change.state.phase for change in watch.of(PhaseChanged)] == [
            Phase.STARTING,
            Phase.IDLE,
        ]
        assert (driver.session_id, driver.agent_version) == ("s1", "1.2.3")
        said = json.loads(await ask(driver, watch, "who"))
        assert said["cwd"] == str(tmp_path)
        assert said["hello"]["clientInfo"]["name"] == "agentapi"

    async def test_offers_neither_files_nor_a_terminal_and_declines_both(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        offered = json.loads(await ask(driver, watch, "who"))["hello"]["clientCapabilities"]
        assert not any(offered["fs"].get(name) for name in ("readTextFile", "writeTextFile"))
        assert not offered.get("terminal")
        assert await ask(driver, watch, "fs") == "-32601 -32601"

    async def test_a_program_that_is_not_there_is_an_os_error(self, tmp_path: Path) -> None:
        driver = AcpDriver(["no-such-agent"], cwd=tmp_path, env=os.environ)
        with pytest.raises(FileNotFoundError):
            await driver.start(Watch())
        await driver.stop(1)

    async def test_noise_on_stdout_does_no_harm(self, start: Start) -> None:
        driver, watch = await start("noise")
        await watch.idle()
        assert await ask(driver, watch, "say hello") == "hello "
        await driver.stop(5)
        assert "Welcome to small!" in (await watch.exited()).screen

    async def test_words_before_the_first_prompt_are_a_notice(self, start: Start) -> None:
        driver, watch = await start("greet")
        await watch.idle()
        await watch.until(lambda: bool(watch.notices))
        assert watch.notices == ["Welcome, whoever you are."]
        assert await ask(driver, watch, "say hello") == "hello "

    @pytest.mark.parametrize(
        ("mode", "explained"),
        [
            ("future", "speaks version 7 of the Agent Client Protocol, not version 1"),
            ("nonsense", "answer to initialize is not what the protocol asks for"),
            ("auth", "wants authentication first"),
            ("deaf", "closed its output without ending"),
            ("die", "(exit status 3) before its session was open; does this command speak ACP?"),
        ],
    )
    async def test_an_agent_that_is_of_no_use_is_explained_and_ended(
        self, start: Start, mode: str, explained: str
    ) -> None:
        driver, watch = await start(mode)
        end = await watch.exited()
        assert end.failed
        assert [explained in notice for notice in watch.notices] == [True]
        assert Phase.IDLE not in [change.state.phase for change in watch.of(PhaseChanged)]
        with pytest.raises(SendError, match="has ended"):
            await driver.send("say hello")

    async def test_the_last_words_of_an_agent_that_died_are_kept(self, start: Start) -> None:
        _, watch = await start("die")
        end = await watch.exited()
        assert (end.code, end.signal) == (3, None)
        assert end.screen == "loading\nfatal: no configuration"
        assert watch.notices[0].endswith(": fatal: no configuration")

    async def test_authentication_names_what_the_agent_offers(self, start: Start) -> None:
        _, watch = await start("auth")
        await watch.exited()
        assert watch.notices[0].endswith("it offers web (in a browser), key (Key)")

    async def test_a_key_in_the_environment_authenticates(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SMALL_KEY", "right")
        driver, watch = await start("auth")
        await watch.idle()
        assert await ask(driver, watch, "say hello") == "hello "

    async def test_a_key_that_does_not_do_is_told(
        self, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SMALL_KEY", "wrong")
        _, watch = await start("auth")
        await watch.exited()
        assert watch.notices == [
            "the agent answered authenticate with an error (-32603): the key is wrong"
        ]

    async def test_an_agent_that_never_answers_is_given_up(self, start: Start) -> None:
        _, watch = await start("mute", start_timeout=0.2)
        assert (await watch.exited()).failed
        assert "opened no session within 0.2 s" in watch.notices[0]

    async def test_a_message_before_the_session_is_open_is_busy(self, start: Start) -> None:
        driver, _ = await start("mute")
        with pytest.raises(Busy):
            await driver.send("say hello")


class TestTurn:
    async def test_the_users_text_comes_first_and_the_answer_grows(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        before = len(watch.events)
        assert await ask(driver, watch, "say one two  three") == "one two  three "
        events = watch.events[before:]
        assert events[0] == UserText("say one two  three")
        assert isinstance(events[1], PhaseChanged)
        assert events[1].state.phase is Phase.WORKING
        texts = [event.text for event in events[2:-1] if isinstance(event, AgentText)]
        assert len(texts) == len(events) - 3
        assert all(later.startswith(text) for text, later in pairwise(texts))
        assert isinstance(events[-1], PhaseChanged)
        assert events[-1].state.reason == "acp: end_turn"

    async def test_each_turn_has_a_message_of_its_own(self, agent: tuple[AcpDriver, Watch]) -> None:
        driver, watch = agent
        assert await ask(driver, watch, "say one") == "one "
        assert await ask(driver, watch, "say two") == "two "

    async def test_a_chunk_is_reported_while_the_turn_goes_on(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        await driver.send("hold")
        await watch.until(lambda: watch.text == "I wait")
        assert watch.phase is Phase.WORKING
        with pytest.raises(Busy):
            await driver.send("say hello")

    async def test_tools_and_plan_are_lines_of_the_message(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        assert await ask(driver, watch, "tools") == (
            "Let me look.\n\n- ✓ `ls`\n- ✗ rm x y\n\n- [x] look\n- [ ] → act\n- [ ] rest\n\nDone."
        )

    async def test_a_flood_arrives_whole(self, agent: tuple[AcpDriver, Watch]) -> None:
        driver, watch = agent
        answer = await ask(driver, watch, "flood 5000")
        assert answer == "".join(f"{number} " for number in range(5000))

    async def test_what_is_not_understood_is_passed_over(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        assert await ask(driver, watch, "odd") == "still here"
        assert watch.notices == []

    async def test_a_long_prompt_arrives_whole(self, agent: tuple[AcpDriver, Watch]) -> None:
        driver, watch = agent
        long = "ü\n" * 500_000
        assert await ask(driver, watch, f"say {long}") == f"{long} "

    async def test_text_that_is_not_unicode_is_refused(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        with pytest.raises(SendError, match="not valid Unicode"):
            await driver.send("say \ud800")
        assert await ask(driver, watch, "say on") == "on "

    @pytest.mark.parametrize("reason", sorted(STOP_REASONS))
    async def test_an_end_that_the_user_must_know_of_is_a_notice(
        self, agent: tuple[AcpDriver, Watch], reason: str
    ) -> None:
        driver, watch = agent
        await ask(driver, watch, f"stop {reason}")
        assert watch.notices == [STOP_REASONS[reason]]

    async def test_an_error_ends_the_turn_with_a_notice(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        await ask(driver, watch, "error the model is gone")
        assert watch.notices == [
            "the agent answered session/prompt with an error (-32603): no: the model is gone"
        ]
        assert await ask(driver, watch, "say again") == "again "


class TestInterrupt:
    @pytest.mark.parametrize("key", ["\x1b", "\x03"])
    async def test_a_stop_key_cancels_the_turn(
        self, agent: tuple[AcpDriver, Watch], key: str
    ) -> None:
        driver, watch = agent
        await driver.send("hold")
        await driver.keys(key)
        await watch.idle()
        assert watch.of(PhaseChanged)[-1].state.reason == "acp: cancelled"
        assert watch.notices == []

    async def test_between_turns_it_does_nothing(self, agent: tuple[AcpDriver, Watch]) -> None:
        driver, watch = agent
        before = list(watch.events)
        await driver.interrupt()
        assert await ask(driver, watch, "say on") == "on "
        assert watch.events[: len(before)] == before

    async def test_it_calls_the_open_question_off(self, agent: tuple[AcpDriver, Watch]) -> None:
        driver, watch = agent
        await driver.send("ask-twice")
        await watch.blocked()
        await driver.interrupt()
        await watch.idle()
        assert watch.text == '{"outcome":"cancelled"}\n{"outcome":"cancelled"}'

    async def test_other_keys_are_ignored_and_told_of_once(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        await driver.keys("ls\r")
        await driver.keys("1")
        assert [event.message[:31] for event in watch.of(NoticeRaised)] == [
            "this agent has no terminal (it "
        ]


class TestPermission:
    async def test_it_is_a_dialog_and_the_answer_reaches_the_agent(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        await driver.send("ask files")
        dialog = await watch.blocked()
        assert (dialog.kind, dialog.title, dialog.command, dialog.reason) == (
            "command",
            "files",
            "rm files",
            "it is old",
        )
        assert [(choice.id, choice.label, choice.key) for choice in dialog.choices] == [
            ("allow_once", "Yes", "1"),
            ("allow_always", "Ever", "2"),
            ("reject_once", "No", "3"),
        ]
        await driver.answer(dialog.id, "allow_always")
        assert watch.phase is Phase.WORKING
        await watch.idle()
        assert watch.text == '{"outcome":"selected","optionId":"ever"}'
        with pytest.raises(LookupError):
            await driver.answer(dialog.id, "allow_always")

    async def test_a_digit_answers_it(self, agent: tuple[AcpDriver, Watch]) -> None:
        driver, watch = agent
        await driver.send("ask files")
        await watch.blocked()
        await driver.keys("3\r")
        await watch.idle()
        assert watch.text == '{"outcome":"selected","optionId":"no"}'

    @pytest.mark.parametrize("keys", ["\r", "y", "4", "hello 1", ""])
    async def test_nothing_else_answers_it(self, agent: tuple[AcpDriver, Watch], keys: str) -> None:
        driver, watch = agent
        await driver.send("ask files")
        dialog = await watch.blocked()
        await driver.keys(keys)
        with pytest.raises(DialogOpen, match="rm files"):
            await driver.send(keys)
        with pytest.raises(LookupError, match="reject_once"):
            await driver.answer(dialog.id, "yes")
        assert watch.phase is Phase.BLOCKED

    async def test_two_questions_are_asked_one_after_the_other(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        await driver.send("ask-twice")
        first = await watch.blocked()
        await watch.until(lambda: watch.of(PhaseChanged)[-1].state.dialog == first)
        await driver.answer(first.id, "allow_once")
        await watch.until(
            lambda: (
                watch.phase is Phase.BLOCKED and watch.of(PhaseChanged)[-1].state.dialog != first
            )
        )
        second = await watch.blocked()
        assert {first.title, second.title} == {"first", "second"}
        await driver.answer(second.id, "reject_always")
        await watch.idle()
        assert watch.text == (
            '{"outcome":"selected","optionId":"go"}\n{"outcome":"selected","optionId":"stop"}'
        )

    @pytest.mark.parametrize(
        ("prompt", "answer"),
        [
            ("ask files", '{"outcome":"selected","optionId":"no"}'),
            ("ask-only-yes files", '{"outcome":"cancelled"}'),
        ],
    )
    async def test_what_nobody_answers_is_refused(
        self, start: Start, prompt: str, answer: str
    ) -> None:
        driver, watch = await start(permission_timeout=0.05)
        await watch.idle()
        assert await ask(driver, watch, prompt) == answer
        assert watch.notices == ["nobody answered within 0.05 s, so it was refused: files"]

    async def test_one_that_cannot_be_read_is_not_allowed(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        answer = json.loads(await ask(driver, watch, "ask-wrongly"))
        assert answer["error"]["code"] == -32602


class TestEnd:
    async def test_dying_in_a_turn_is_told(self, agent: tuple[AcpDriver, Watch]) -> None:
        driver, watch = agent
        await driver.send("die 4")
        end = await watch.exited()
        assert watch.text == "These are my last"
        assert (end.code, end.signal, end.screen) == (4, None, "panic: out of luck")
        assert watch.notices == [
            "the agent ended (exit status 4) in the middle of a turn: panic: out of luck"
        ]

    async def test_a_signal_is_named(self, agent: tuple[AcpDriver, Watch]) -> None:
        driver, watch = agent
        await driver.send("kill")
        end = await watch.exited()
        assert (end.code, end.signal) == (None, 9)
        assert watch.notices == ["the agent ended (signal 9 (Killed)) in the middle of a turn"]

    async def test_dying_with_an_open_question_closes_it(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        await driver.send("ask files")
        dialog = await watch.blocked()
        await driver.stop(5)
        await watch.exited()
        with pytest.raises(LookupError):
            await driver.answer(dialog.id, "allow_once")

    async def test_stop_is_quiet_and_may_be_called_twice(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        await driver.send("hold")
        await asyncio.gather(driver.stop(5), driver.stop(5))
        await driver.stop(5)
        assert watch.notices == []
        assert (await watch.exited()).signal is None or (await watch.exited()).signal == 2

    async def test_stop_before_the_session_is_open(self, start: Start) -> None:
        driver, watch = await start("mute")
        await driver.stop(5)
        await watch.exited()
        assert watch.notices == []

    async def test_stop_kills_what_does_not_end(self, start: Start) -> None:
        driver, watch = await start("stubborn")
        await watch.idle()
        await driver.stop(0.1)
        assert (await watch.exited()).signal == 9

    @pytest.mark.parametrize("how", ["stop", "kill"])
    async def test_no_child_of_the_agent_is_left(
        self, agent: tuple[AcpDriver, Watch], how: str
    ) -> None:
        driver, watch = agent
        await driver.send("child")
        await watch.until(lambda: bool(watch.text))
        child = os.pidfd_open(int(watch.text))
        if how == "stop":
            await driver.stop(0.2)
        else:
            os.kill(os.getpgid(int(watch.text)), 9)
        await watch.exited()
        await gone(child)


class TestEvidence:
    """Why does it say that it works?"""

    async def test_it_says_what_the_protocol_said_last(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        assert told(driver) == [("acp session", "idle", "open", True)]
        await driver.send("ask files")
        await watch.blocked()
        assert told(driver)[:2] == [
            ("acp permission", "blocked", "files", True),
            ("acp prompt", "working", "sent", True),
        ]
        await driver.keys("1")
        await watch.idle()
        assert told(driver) == [
            ("acp permission", "blocked", "files", False),
            ("acp prompt", "idle", "end_turn", True),
            ("acp update", "working", "chunk", False),
            ("acp session", "idle", "open", True),
        ]
        assert isinstance(driver, ProvidesEvidence)

    async def test_the_last_update_of_a_turn_that_goes_on_counts(
        self, agent: tuple[AcpDriver, Watch]
    ) -> None:
        driver, watch = agent
        await driver.send("hold")
        await watch.until(lambda: watch.text == "I wait")
        assert ("acp update", "working", "chunk", True) in told(driver)
        assert all(said.age >= 0 for said in driver.evidence())
        await driver.interrupt()
        await watch.idle()
        assert ("acp prompt", "idle", "cancelled", True) in told(driver)

    @pytest.mark.parametrize(
        ("operation", "what"),
        [(Chunk("a"), "chunk"), (ToolPart("t", "ls"), "tool"), (PlanPart("p"), "plan")],
    )
    async def test_it_says_what_the_update_told(
        self, agent: tuple[AcpDriver, Watch], operation: Operation, what: str
    ) -> None:
        driver, watch = agent
        await driver.send("hold")
        await watch.until(lambda: watch.text == "I wait")
        driver._update(operation)
        assert ("acp update", "working", what, True) in told(driver)

    async def test_a_prompt_that_failed_says_so(self, agent: tuple[AcpDriver, Watch]) -> None:
        driver, watch = agent
        await ask(driver, watch, "error the model is gone")
        assert ("acp prompt", "idle", "the turn failed", True) in told(driver)


def told(driver: AcpDriver) -> list[tuple[str, str, str, bool]]:
    return [(s.source, s.phase.value, s.detail, s.counts) for s in driver.evidence()]
