"""Questions that only a quiet screen tells, in virtual time: a test is the program."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from agentapi.model.errors import Busy, DialogOpen, SendError
from agentapi.terminal import LineMode
from tests.support.stage import Detached, Stage, play

CANONICAL = LineMode(canonical=True, echo=True)
RAW = LineMode()
LIST = "Choose a model:\r\n  1. Alpha\r\n  2. Beta\r\n  3. Gamma\r\n"


def choices(stage: Stage) -> list[tuple[str, str]]:
    dialog = stage.driver.tracker.state.dialog
    assert dialog is not None
    return [(choice.label, choice.key) for choice in dialog.choices]


@pytest.mark.parametrize("before", ["", "$ "])
@pytest.mark.parametrize(
    ("screen", "labels"),
    [
        ("1) Alpha\r\n2) Beta\r\n\r\nSelect [1-2]: ", ["Alpha", "Beta"]),
        (f"{LIST}> ", ["Alpha", "Beta", "Gamma"]),
        ("1) a\r\n2) b\r\n#? ", ["a", "b"]),
        ("Delete? y/n: ", ["Yes", "No"]),
        ("page\r\n--More--", []),
        ("page\r\n--More--(12%)", []),
        ("last\r\n(END)", []),
        ("page\r\n:", []),
        ("rm: remove regular empty file 'zz'? ", []),
        ("Password: ", []),
        (LIST, ["Alpha", "Beta", "Gamma"]),
    ],
)
def test_a_quiet_screen_that_wants_an_answer_is_blocked(
    before: str, screen: str, labels: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a program that has shown a prompt."""
    monkeypatch.setattr(Detached, "line_mode", CANONICAL)

    async def script(stage: Stage) -> None:
        if before:
            stage.driver.feed(before.encode())
            await asyncio.sleep(1)
        stage.driver.feed(b"\x1b[H\x1b[2J" + screen.encode())
        await asyncio.sleep(11)
        assert stage.phases()[-1] == "blocked"
        assert stage.phases().count("idle") == bool(before)
        assert [label for label, _ in choices(stage)] == labels
        written = list(stage.driver.written)
        last = screen.split("\r\n")[-1].strip() or "Gamma"
        with pytest.raises(DialogOpen) as refused:
            await stage.driver.send("tell me the 1st thing")
        assert last in refused.value.text
        assert stage.driver.written == written

    play(script, "custom")


def test_a_screen_that_takes_single_keys_and_shows_no_prompt_is_blocked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Detached, "line_mode", RAW)

    async def script(stage: Stage) -> None:
        stage.driver.feed(b"some picture\r\nq leaves\r\n")
        await asyncio.sleep(9)
        assert stage.phases() == []
        await asyncio.sleep(2)
        assert stage.phases() == ["blocked"]
        with pytest.raises(DialogOpen, match="some picture"):
            await stage.driver.send("hi")
        dialog = stage.driver.tracker.state.dialog
        assert dialog is not None
        assert (dialog.kind, dialog.reason) == ("other", "some picture\nq leaves")
        stage.driver.feed(b"> ")
        await asyncio.sleep(1)
        assert stage.phases()[-1] == "idle"

    play(script, "custom")


def test_a_choice_is_its_number_and_enter_where_it_only_shows() -> None:
    async def script(stage: Stage) -> None:
        stage.driver.feed(f"{LIST}> ".encode())
        await asyncio.sleep(3)
        state = stage.driver.tracker.state
        assert state.dialog is not None
        assert state.dialog.title == "Choose a model:"

        def key(data: bytes) -> None:
            stage.driver.feed(b"\r\nBeta it is\r\n> " if data == b"\r" else data)

        stage.driver.answer_to = key
        await stage.driver.answer(state.dialog.id, "2")
        assert stage.driver.written == [b"2", b"\r"]
        await asyncio.sleep(1)
        assert stage.phases()[-1] == "idle"

    play(script, "custom")


def test_a_list_at_the_prompt_of_a_message_is_its_answer() -> None:
    async def script(stage: Stage) -> None:
        stage.driver.feed(b"Hello!\r\n> ")
        await asyncio.sleep(1)

        def key(data: bytes) -> None:
            stage.driver.feed(b"\r\n1. one\r\n2. two\r\n> " if data == b"\r" else data)

        stage.driver.answer_to = key
        await stage.driver.send("list")
        await asyncio.sleep(3)
        assert stage.phases()[-1] == "idle"
        stage.driver.feed(b"\r\n1. red\r\n2. blue\r\ncolour> ")
        await asyncio.sleep(3)
        assert stage.phases()[-1] == "blocked"

    assert "1. one\n2. two" in play(script, "custom").said()


def test_a_line_that_goes_on_is_no_question() -> None:
    async def script(stage: Stage) -> None:
        stage.driver.feed(b"$ ")
        await asyncio.sleep(1)
        stage.driver.feed(b"make\r\nIs there a compiler? ")
        await asyncio.sleep(1)
        stage.driver.feed(b"yes\r\n$ ")
        await asyncio.sleep(1)

    assert play(script, "custom").phases() == ["idle", "working", "idle"]


def test_a_program_that_showed_a_prompt_is_idle_at_a_prompt_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Detached, "line_mode", CANONICAL)

    async def script(stage: Stage) -> None:
        stage.driver.feed(b">>> ")
        await asyncio.sleep(1)

        def key(data: bytes) -> None:
            stage.driver.feed(b"\r\n" if data == b"\r" else data)

        stage.driver.answer_to = key
        await stage.driver.send("time.sleep(60); print('slept')")
        await asyncio.sleep(60)
        assert stage.phases()[-1] == "working"
        with pytest.raises(Busy):
            await stage.driver.send("2+2")
        stage.driver.feed(b"slept\r\n>>> ")
        await asyncio.sleep(1)
        assert (stage.phases()[-1], stage.phases().count("idle")) == ("idle", 2)

    assert play(script, "custom").said()[-1] == "slept"


def test_the_text_of_a_question_begins_below_the_last_message() -> None:
    async def script(stage: Stage) -> None:
        stage.driver.feed(b"> sudo\r\nWhich password?\r\n> ")
        await asyncio.sleep(1)
        key = {b"\r": b"\r\nThere is one.\r\nOverwrite file? (y/n) "}
        stage.driver.answer_to = lambda data: stage.driver.feed(key.get(data, data))
        await stage.driver.send("save")
        await asyncio.sleep(1)
        dialog = stage.driver.tracker.state.dialog
        assert dialog is not None
        assert (dialog.title, dialog.reason) == ("Overwrite file? (y/n)", "There is one.")
        assert stage.driver.tracker.dialog_text == "There is one.\nOverwrite file? (y/n)"

    play(script, "custom")


def test_a_whole_word_is_typed_where_the_line_names_it() -> None:
    async def script(stage: Stage) -> None:
        stage.driver.feed(b"Continue connecting (yes/no)? ")
        await asyncio.sleep(1)
        dialog = stage.driver.tracker.state.dialog
        assert dialog is not None
        key = {b"\r": b"\r\nno it is\r\n> "}
        stage.driver.answer_to = lambda data: stage.driver.feed(key.get(data, data))
        await stage.driver.answer(dialog.id, "no")
        assert stage.driver.written == [b"no", b"\r"]

    play(script, "custom")


def test_a_program_that_says_from_its_start_that_it_is_blocked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is told once, with the screen."""
    monkeypatch.setattr(Detached, "line_mode", CANONICAL)
    blocked = b"\x1b]7501;state=blocked:app=x:kind=permission:msg=cm0geA==\x1b\\"

    async def script(stage: Stage) -> None:
        stage.driver.feed(b"Working hard\r\n" + blocked)
        await asyncio.sleep(0.01)
        stage.driver.feed(b"> ")
        await asyncio.sleep(3)
        assert [phase for phase in stage.phases() if phase != "starting"] == ["blocked"]
        dialog = stage.driver.tracker.state.dialog
        assert dialog is not None
        assert dialog.title == "rm x"
        assert "Working hard" in dialog.reason

    play(script, "custom")


@pytest.mark.parametrize(("mode", "key"), [(CANONICAL, b"\x1c"), (RAW, b"\x1b")])
def test_a_terminal_that_interrupts_its_program_does_so(
    mode: LineMode, key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt = key if mode.canonical else b""
    monkeypatch.setattr(Detached, "line_mode", replace(mode, interrupt=interrupt))

    async def script(stage: Stage) -> None:
        stage.driver.feed(b"$ ")
        await asyncio.sleep(1)
        keys = {b"\r": b"\r\n", key: b"^C\r\n$ "}
        stage.driver.answer_to = lambda data: stage.driver.feed(keys.get(data, data))
        await stage.driver.send("sleep 30")
        await asyncio.sleep(15)
        await stage.driver.interrupt()
        assert stage.driver.written[-1] == key
        assert stage.phases()[-1] == "idle"

    play(script, "custom")


def test_an_interrupt_that_leaves_the_question_open_says_so() -> None:
    async def script(stage: Stage) -> None:
        stage.driver.feed(b"> ")
        await asyncio.sleep(1)
        stage.driver.feed(f"\x1b[H\x1b[2J{LIST}Which? ".encode())
        await asyncio.sleep(3)
        assert stage.phases()[-1] == "blocked"
        with pytest.raises(SendError, match="stays open: Choose a model") as refused:
            await stage.driver.interrupt()
        assert refused.value.step == "interrupt"

    play(script, "custom")


def changes(stage: Stage) -> list[str]:
    """The phases, each once."""
    return [phase for phase, _ in itertools.groupby(stage.phases())]


OPENED, CLOSED = b"\x1b[?1049h\x1b[H\x1b[2J", b"\x1b[?1049l"
"""The alternate screen."""


@pytest.mark.parametrize("restless", [False, True])
def test_an_editor_in_a_shell_is_blocked_until_it_ends(
    restless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that paints without end; one question, whatever it shows."""
    monkeypatch.setattr(Detached, "line_mode", RAW)

    async def script(stage: Stage) -> None:
        stage.driver.feed(b"$ ")
        await asyncio.sleep(1)
        stage.submit("vim x")
        stage.driver.feed(b"vim x\r\n")
        stage.driver.begin("the message left the input line")
        stage.driver.feed(OPENED + b"some text\r\n~\r\n~\x1b[H")
        for second in range(8):
            await asyncio.sleep(1)
            if restless:
                stage.driver.feed(f"\x1b[H{second} s\x1b[K".encode())
        assert changes(stage) == ["idle", "working", "blocked"]
        dialog = stage.driver.tracker.state.dialog
        with pytest.raises(DialogOpen, match="7 s" if restless else "some text"):
            await stage.driver.send("tell me")
        stage.driver.feed(b"\x1b[Hother text\x1b[K")
        await asyncio.sleep(1)
        now = stage.driver.tracker.state.dialog
        assert dialog is not None
        assert now is not None
        assert now.id == dialog.id
        assert "other text" in now.reason
        stage.driver.feed(CLOSED + b"$ ")
        await asyncio.sleep(1)
        assert changes(stage)[3:] == ["working", "idle"]
        assert stage.said()[-1] == ""

    play(script, "custom")


def test_a_full_screen_agent_in_a_shell_is_idle_at_its_prompt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Detached, "line_mode", RAW)

    async def script(stage: Stage) -> None:
        stage.driver.feed(b"$ ")
        await asyncio.sleep(1)
        stage.driver.feed(b"agent\r\n" + OPENED + b"Welcome\r\n")
        await asyncio.sleep(3)
        stage.driver.feed(b"\r\n> ")
        await asyncio.sleep(3)
        assert stage.phases()[-1] == "idle"
        stage.driver.feed(b"\x1b[H\x1b[2Jat work")
        await asyncio.sleep(8)
        assert stage.phases()[-1] == "working"

    play(script, "custom")
