"""Sends into a program of which nothing is known, in virtual time: a test is the program."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from agentapi.agents.generic.plain_typist import BEFORE_ENTER, ECHO_LIMIT, MAX_LINE
from agentapi.model.errors import Busy, DialogOpen, SendError
from agentapi.model.events import UserText
from agentapi.terminal import LineMode
from tests.support.stage import BRACKETED, Detached, Stage, play

OSC_DONE = b"\x1b]7501;state=done:app=x\x1b\\"
OSC_BLOCKED = b"\x1b]7501;state=blocked:app=x:kind=permission:msg=dHJ1c3Q=\x1b\\"
CANONICAL = LineMode(canonical=True, echo=True)


class Program:
    """A program with a prompt on a stage; what it shows of a message, and what Enter does."""

    def __init__(self, stage: Stage, *, echoes: bool = True) -> None:
        self.stage = stage
        self.said = ["Hello!"]
        self.line = ""
        self.taken: list[str] = []
        self.enters: list[float] = []
        self.echoes = echoes
        self.on_enter: Callable[[], None] = self.answer
        stage.driver.answer_to = self.key
        self.paint()

    def paint(self, after: str = "") -> None:
        screen = "\r\n".join([*self.said, f"> {self.line}"])
        self.stage.driver.feed(f"\x1b[H\x1b[2J{screen}{after}".encode())

    def key(self, data: bytes) -> None:
        if data == b"\r":
            self.enters.append(asyncio.get_running_loop().time())
            self.on_enter()
            return
        text = data.decode().removeprefix("\x1b[200~").removesuffix("\x1b[201~")
        if text == "\x15":
            self.line = ""
        elif text.startswith("\x7f"):
            self.line = self.line[: -len(text)]
        else:
            self.line += text
        if self.echoes:
            self.paint()

    def answer(self) -> None:
        self.taken.append(self.line)
        self.said += [f"> {self.line}", f"You said: {self.line}"]
        self.line = ""
        self.paint()


def users(stage: Stage) -> list[str]:
    return [event.text for _, event in stage.events if isinstance(event, UserText)]


async def ready(stage: Stage, **options: bool) -> Program:
    program = Program(stage, **options)
    await asyncio.sleep(1)
    assert stage.phases()[-1] == "idle"
    return program


def test_a_message_is_seen_then_entered_and_seen_to_leave() -> None:
    async def script(stage: Stage) -> None:
        program = await ready(stage)
        before = asyncio.get_running_loop().time()
        await stage.driver.send("hi")
        assert program.enters[0] - before >= BEFORE_ENTER
        assert stage.phases()[-1] == "working"
        await asyncio.sleep(1)

    stage = play(script, "custom")
    assert stage.told() == ["Hello!", "idle", "hi", "working", "You said: hi", "idle"]


def test_an_answer_that_is_the_message_is_kept() -> None:
    async def script(stage: Stage) -> None:
        program = await ready(stage)

        def repeat() -> None:
            program.said += [f"> {program.line}", program.line]
            program.line = ""
            program.paint()

        program.on_enter = repeat
        await stage.driver.send("hi")
        await asyncio.sleep(1)

    assert play(script, "custom").said()[-1] == "hi"


def test_an_enter_that_is_swallowed_is_an_error_and_the_text_is_erased() -> None:
    """The next message is not sent joined to it."""

    async def script(stage: Stage) -> None:
        program = await ready(stage)
        program.on_enter = program.paint
        with pytest.raises(SendError, match=r"(?s)did not take the message.*> first") as refused:
            await stage.driver.send("first")
        assert refused.value.step == "begin"
        assert program.line == ""
        program.on_enter = program.answer
        await stage.driver.send("second")
        assert program.taken == ["second"]
        assert len(program.enters) == 2

    assert users(play(script, "custom")) == ["second"]


def test_an_enter_that_became_a_line_break_is_taken_back_and_pressed_again() -> None:
    async def script(stage: Stage) -> None:
        program = await ready(stage)

        def break_line() -> None:
            program.on_enter = program.answer
            program.line += "\n"
            stage.driver.feed(b"\x1b[H\x1b[2JHello!\r\n> first\r\n  ")

        program.on_enter = break_line
        await stage.driver.send("first")
        assert program.taken == ["first"]

    assert users(play(script, "custom")) == ["first"]


def test_a_line_that_is_empty_for_a_moment_has_taken_nothing() -> None:
    async def script(stage: Stage) -> None:
        program = await ready(stage)

        def flicker() -> None:
            stage.driver.feed(b"\x1b[H\x1b[2J")
            asyncio.get_running_loop().call_later(0.03, program.paint)

        program.on_enter = flicker
        with pytest.raises(SendError, match="did not take the message"):
            await stage.driver.send("first")

    assert users(play(script, "custom")) == []


def test_a_program_that_shows_nothing_gets_no_enter() -> None:
    async def script(stage: Stage) -> None:
        program = await ready(stage, echoes=False)
        before = asyncio.get_running_loop().time()
        with pytest.raises(SendError, match="does not show the message") as refused:
            await stage.driver.send("hi")
        assert refused.value.step == "echo"
        assert asyncio.get_running_loop().time() - before >= ECHO_LIMIT
        assert program.enters == []
        assert program.line == ""

    play(script, "custom")


def test_what_an_interrupt_put_back_is_removed_first() -> None:
    async def script(stage: Stage) -> None:
        program = await ready(stage)
        program.line = "the last message"
        program.paint()
        await asyncio.sleep(1)
        await stage.driver.send("the next")
        assert program.taken == ["the next"]

    play(script, "custom")


def test_a_done_without_a_beginning_is_a_turn() -> None:
    """As some programs tell it 0.7 s after Enter; the screen need not change."""

    async def script(stage: Stage) -> None:
        program = await ready(stage)
        program.on_enter = lambda: None
        asyncio.get_running_loop().call_later(0.8, stage.driver.feed, OSC_DONE)
        await stage.driver.send("hi")
        await asyncio.sleep(4)  # there are no words, which might be painted late

    assert play(script, "custom").phases()[-2:] == ["working", "idle"]


def test_several_lines_are_bracketed_or_refused() -> None:
    async def script(stage: Stage) -> None:
        program = await ready(stage)
        written = len(stage.driver.written)
        with pytest.raises(SendError, match="several lines") as refused:
            await stage.driver.send("one\ntwo")
        assert refused.value.step == "check"
        assert len(stage.driver.written) == written
        stage.driver.feed(BRACKETED)
        program.said, program.line = [], ""
        program.echoes = False
        stage.driver.answer_to = lambda data: (
            stage.driver.feed(b"\x1b[H\x1b[2J> one\r\n  two")
            if data.startswith(b"\x1b[200~")
            else program.key(data)
        )
        await stage.driver.send("one\ntwo")
        assert b"\x1b[200~one\ntwo\x1b[201~" in stage.driver.written

    play(script, "custom")


def test_a_line_that_the_terminal_would_cut_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(stage: Stage) -> None:
        await ready(stage)
        monkeypatch.setattr(type(stage.driver), "line_mode", CANONICAL)
        written = len(stage.driver.written)
        with pytest.raises(SendError, match=f"{MAX_LINE + 1} bytes.*takes {MAX_LINE}"):
            await stage.driver.send("x" * (MAX_LINE + 1))
        assert len(stage.driver.written) == written

    play(script, "custom")


def test_a_terminal_that_echoes_nothing_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(stage: Stage) -> None:
        await ready(stage)
        monkeypatch.setattr(type(stage.driver), "line_mode", LineMode(canonical=True, echo=False))
        with pytest.raises(SendError, match="as for a password"):
            await stage.driver.send("hi")

    play(script, "custom")


MENU = b"\x1b[H\x1b[2JWhich?\r\n\xe2\x9d\xaf 1. One\r\n  2. Two\r\n"


def test_a_question_is_blocked_after_a_moment_and_refuses_at_once() -> None:
    async def script(stage: Stage) -> None:
        program = await ready(stage)
        stage.driver.feed(MENU)
        with pytest.raises(DialogOpen, match="Which"):
            await stage.driver.send("hi")
        await asyncio.sleep(1)
        assert stage.phases()[-1] == "blocked"
        state = stage.driver.tracker.state
        assert state.dialog is not None
        stage.driver.answer_to = lambda data: program.paint()
        await stage.driver.answer(state.dialog.id, "2")
        assert stage.driver.written[-1] == b"2"
        await asyncio.sleep(1)
        assert stage.phases()[-1] == "idle"

    play(script, "custom")


def test_arrows_mark_a_choice_before_enter() -> None:
    menu = "\x1b[H\x1b[2JWhich?\r\n{} One\r\n{} Two\r\nenter to confirm"
    marks = ["❯", " "]

    async def script(stage: Stage) -> None:
        program = await ready(stage)
        stage.driver.feed(menu.format(*marks).encode())
        await asyncio.sleep(1)
        state = stage.driver.tracker.state
        assert state.dialog is not None

        def key(data: bytes) -> None:
            if data == b"\x1b[B":
                stage.driver.feed(menu.format(*reversed(marks)).encode())
            else:
                program.paint()

        stage.driver.answer_to = key
        written = len(stage.driver.written)
        await stage.driver.answer(state.dialog.id, "2")
        assert stage.driver.written[written:] == [b"\x1b[B", b"\r"]

    play(script, "custom")


def test_a_program_that_says_that_it_is_blocked_is() -> None:
    async def script(stage: Stage) -> None:
        await ready(stage)
        stage.driver.feed(b"\x1b[H\x1b[2Jsomething that nobody can read\r\n" + OSC_BLOCKED)
        await asyncio.sleep(1)
        state = stage.driver.tracker.state
        assert (state.phase.value, state.reason) == ("blocked", "osc 7501: blocked")
        assert state.dialog is not None
        assert (state.dialog.kind, state.dialog.title) == ("trust", "trust")
        with pytest.raises(DialogOpen, match="nobody can read"):
            await stage.driver.send("hi")

    told = [event.state for _, event in play(script, "custom").events if hasattr(event, "state")]
    assert all(state.dialog for state in told if state.phase.value == "blocked")


def test_words_that_look_like_a_question_while_they_are_painted_block_nothing() -> None:
    async def script(stage: Stage) -> None:
        program = await ready(stage)
        program.on_enter = lambda: stage.driver.feed(MENU)
        await stage.driver.send("list")
        await asyncio.sleep(0.1)
        program.said += ["> list", "❯ 1. One", "  2. Two"]
        program.line = ""
        program.paint()
        await asyncio.sleep(2)

    assert "blocked" not in play(script, "custom").phases()


def test_a_message_that_looks_like_a_question_is_sent() -> None:
    async def script(stage: Stage) -> None:
        program = await ready(stage)
        stage.driver.feed(BRACKETED)
        message = "1. one\n2. two"

        def key(data: bytes) -> None:
            if data.startswith(b"\x1b[200~"):
                stage.driver.feed(b"\x1b[H\x1b[2JHello!\r\n> 1. one\r\n  2. two")
            elif data == b"\r":
                program.line = ""
                program.paint()

        stage.driver.answer_to = key
        await stage.driver.send(message)

    stage = play(script, "custom")
    assert users(stage) == ["1. one\n2. two"]
    assert "blocked" not in stage.phases()


@pytest.mark.parametrize(
    "message", ["is it so? (yes/no)", "hello [y/N]", "press enter to continue", "Save? [Yes]:"]
)
def test_a_message_that_ends_like_a_question_is_sent(message: str) -> None:
    """Also while its first letters show alone, and while it stands there after Enter."""

    async def script(stage: Stage) -> None:
        program = await ready(stage)

        def key(data: bytes) -> None:
            if data == b"\r":
                stage.driver.feed(b"\r\n")
                asyncio.get_running_loop().call_later(2, program.answer)
                return
            program.line = message[:-1]
            program.paint()
            asyncio.get_running_loop().call_later(1, program.key, data[-1:])

        stage.driver.answer_to = key
        await stage.driver.send(message)
        await asyncio.sleep(4)
        assert program.taken == [message]

    stage = play(script, "custom")
    assert stage.said()[-1] == f"You said: {message}"
    assert "blocked" not in stage.phases()


def test_a_question_that_opens_while_a_message_is_typed_gets_none_of_it() -> None:
    async def script(stage: Stage) -> None:
        program = await ready(stage)
        stage.driver.answer_to = lambda data: stage.driver.feed(MENU)
        with pytest.raises(SendError, match=r"(?s)a dialog opened.*Which\?"):
            await stage.driver.send("One or Two, Which?")
        assert stage.driver.written[-1] == b"One or Two, Which?"
        stage.driver.answer_to = program.key
        program.line = "One or Two, Which?"
        program.paint()
        await asyncio.sleep(1)
        await stage.driver.send("next")
        assert program.taken == ["next"]

    play(script, "custom")


@pytest.mark.parametrize("backspaces", [True, False])
def test_all_rows_of_a_message_that_failed_are_erased_or_the_next_is_refused(
    backspaces: bool,
) -> None:
    """In a box with a side at every row an empty row looks like an empty box."""

    async def script(stage: Stage) -> None:
        await ready(stage)
        stage.driver.feed(BRACKETED + "\x1b[H\x1b[2J\u2503 ".encode())
        rows: list[str] = []
        taken: list[str] = []

        def key(data: bytes) -> None:
            text = data.decode()
            if text.startswith("\x1b[200~"):
                rows[:] = text[6:-6].split("\n")
            elif text == "\r" and len(rows) == 1:
                taken.append(rows.pop())
            elif text == "\x15" and rows:
                rows[-1] = ""
            elif text.startswith("\x7f") and backspaces:
                rows.clear()
            shown = "\r\n".join(f"\u2503 {row}" for row in rows or [""])
            stage.driver.feed(f"\x1b[H\x1b[2J{shown}".encode())

        stage.driver.answer_to = key
        with pytest.raises(SendError, match="did not take the message"):
            await stage.driver.send("first line\nsecond")
        assert bool(rows) is not backspaces
        if backspaces:
            await stage.driver.send("next")
            assert taken == ["next"]
        else:
            with pytest.raises(SendError, match=r"cannot be removed.*Ctrl-U"):
                await stage.driver.send("next")
            assert rows == ["first line", ""]

    play(script, "custom")


@pytest.mark.parametrize(
    ("screen", "seconds"), [(b"", 30), (b"no prompt\r\n", 10), (b"Hello!\r\n> ", 0.5)]
)
def test_how_long_a_program_must_stand_still(
    screen: bytes, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Detached, "line_mode", CANONICAL)

    async def script(stage: Stage) -> None:
        stage.driver.feed(screen)
        await asyncio.sleep(seconds - 0.1)
        assert stage.phases() == []
        await asyncio.sleep(0.3)
        assert stage.phases() == ["idle"]

    play(script, "custom")


def test_a_start_that_paints_late_is_waited_for() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(25)
        with pytest.raises(Busy):
            await stage.driver.send("hi")
        stage.driver.feed(b"Hello!\r\n> ")
        await asyncio.sleep(1)

    assert play(script, "custom").told() == ["Hello!", "idle"]


def test_a_silent_turn_without_a_prompt_goes_on() -> None:
    async def script(stage: Stage) -> None:
        program = await ready(stage)
        program.on_enter = lambda: stage.driver.feed(b"\r\n")
        await stage.driver.send("think")
        await asyncio.sleep(8)
        assert stage.phases()[-1] == "working"
        program.answer()
        await asyncio.sleep(1)
        assert stage.phases()[-1] == "idle"

    play(script, "custom")


def test_a_clock_beside_the_prompt_is_no_work() -> None:
    async def script(stage: Stage) -> None:
        program = await ready(stage)
        for second in range(5):
            program.paint(f"\x1b7\r\n\n12:00:0{second}\x1b8")
            await asyncio.sleep(1)

    assert play(script, "custom").phases() == ["idle"]


def test_what_is_painted_while_we_end_the_program_is_not_said() -> None:
    async def script(stage: Stage) -> None:
        await ready(stage)
        await stage.driver.send("hi")
        await asyncio.sleep(1)
        await stage.driver.stop(1)
        stage.driver.feed(b"^C\r\nExiting...\r\n> ")
        await asyncio.sleep(2)

    assert play(script, "custom").said()[-1] == "You said: hi"


class Queue:
    """The lines that a terminal has collected for a program, which reads them later."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch, reads_after: float) -> None:
        self.size = 0
        self._stage, self._after = stage, reads_after
        monkeypatch.setattr(Detached, "line_mode", CANONICAL)
        monkeypatch.setattr(stage.driver, "unread_input", lambda: self.size)
        monkeypatch.setattr(stage.driver, "discard_input", self.clear)
        stage.driver.answer_to = self.key
        stage.driver.feed(b"> ")

    def key(self, data: bytes) -> None:
        """The kernel echoes it, whoever reads."""
        self._stage.driver.feed(data.replace(b"\r", b"\r\n"))
        if data == b"\r":
            self.size = 3
            asyncio.get_running_loop().call_later(self._after, self.clear)

    def clear(self) -> None:
        self.size = 0


def test_a_line_that_the_kernel_echoes_is_taken_when_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def script(stage: Stage) -> None:
        Queue(stage, monkeypatch, reads_after=4)
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        await stage.driver.send("hi")
        assert asyncio.get_running_loop().time() - began > 4
        assert users(stage) == ["hi"]

    play(script, "custom")


def test_a_line_that_nobody_reads_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(stage: Stage) -> None:
        queue = Queue(stage, monkeypatch, reads_after=100)
        await asyncio.sleep(1)
        with pytest.raises(SendError, match=r"did not read the message within 15 s.*taken back"):
            await stage.driver.send("hi")
        assert queue.size == 0
        assert users(stage) == []
        assert stage.phases()[-1] == "idle"

    play(script, "custom")


def test_words_typed_where_the_prompt_is_gone_are_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after a line that was taken back."""

    async def script(stage: Stage) -> None:
        queue = Queue(stage, monkeypatch, reads_after=100)
        await asyncio.sleep(1)
        with pytest.raises(SendError):
            await stage.driver.send("one")
        send = asyncio.ensure_future(stage.driver.send("two"))
        await asyncio.sleep(2)
        queue.clear()
        stage.driver.feed(b"You said: two\r\n> ")
        await send
        await asyncio.sleep(1)
        assert stage.said()[-1] == "You said: two"

    play(script, "custom")
