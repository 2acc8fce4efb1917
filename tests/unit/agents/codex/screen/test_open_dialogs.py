"""Answering and refusing what a terminal asks, and the keys of what the agent asks elsewhere."""

from __future__ import annotations

import asyncio

import pytest

from agentapi.agents.generic.deadlines import STILL
from agentapi.agents.generic.reporter import DRAIN
from agentapi.model.conversation import Choice, Dialog
from agentapi.model.errors import DialogOpen, SendError
from agentapi.model.events import PhaseChanged, QuestionRendered
from tests.support.stage import DONE, WORKING, Stage, play

TRUST = (
    "  Folder access",
    "  /srv/project",
    "",
    "  Trust this folder?",
    "",
    "› 1. Trust and continue",
    "  2. Quit",
    "",
    "  enter continue · esc quit",
)
PERMISSION = (
    "• Asking",
    "",
    "",
    "  Would you like to grant these permissions?",
    "",
    "  Permission rule: network",
    "",
    "› 1. Yes, grant these permissions for this turn (y)",
    "  2. No, continue without permissions (d)",
    "",
    "  Press enter to confirm or esc to cancel",
)
FORM = (
    "• Asking",
    "",
    "",
    "  Field 1/2 (2 required unanswered)",
    "  Which one?",
    "",
    "  › 1. True",
    "    2. False",
    "  enter to submit answer | esc to cancel",
)


def opened(stage: Stage) -> Dialog:
    dialog = stage.driver.tracker.state.dialog
    assert dialog is not None
    return dialog


# -- the first start -------------------------------------------------------------------------------


def test_a_choice_that_is_only_marked_is_taken_by_enter() -> None:
    async def script(stage: Stage) -> None:
        await stage.start()
        stage.paint(*TRUST, composer=None)

        def press(data: bytes) -> None:
            if data == b"\r":
                stage.paint("  banner")

        stage.driver.answer_to = press
        await stage.driver.answer(opened(stage).id, "1")

    assert play(script).driver.written == [b"1", b"\r"]


def test_a_choice_that_is_taken_gets_no_enter() -> None:
    async def script(stage: Stage) -> None:
        await stage.start()
        stage.paint(*TRUST, composer=None)
        stage.driver.answer_to = lambda data: stage.paint("  banner")
        await stage.driver.answer(opened(stage).id, "1")

    assert play(script).driver.written == [b"1"]


def test_enter_never_takes_another_choice() -> None:
    async def script(stage: Stage) -> None:
        await stage.start()
        stage.paint(*TRUST, composer=None)  # a dialog that takes no keys
        with pytest.raises(SendError):
            await stage.driver.answer(opened(stage).id, "2")

    assert play(script).driver.written == [b"2"]


def test_a_dialog_of_the_start_keeps_its_id_when_its_lines_are_cut_off() -> None:
    async def script(stage: Stage) -> None:
        await stage.start()
        stage.paint(*TRUST, composer=None)
        first = opened(stage)
        stage.paint(*(line[:20] for line in TRUST[:-1]), TRUST[-1], composer=None)
        assert opened(stage) == first

    play(script)


def test_a_decided_dialog_that_is_still_painted_is_no_question() -> None:
    """The titles of 0.158 come before the frame without the dialog: working and, of a short turn,
    idle at once."""

    async def script(stage: Stage) -> None:
        await stage.ready()
        for text in ("⠙ x", "[ ! ] Action Required | x"):
            stage.driver.feed(f"\x1b]0;{text}\x07".encode())
        stage.paint(*PERMISSION, composer=None)
        assert stage.driver.phase == "blocked"
        stage.driver.feed("\x1b]0;⠙ x\x07\x1b]0;x\x07".encode())
        stage.paint("• Done", "", "  22:11")
        await asyncio.sleep(1)

    stage = play(script, osc=False)
    assert stage.phases() == ["starting", "idle", "working", "blocked", "working", "idle"]


# -- screens that nobody knows ---------------------------------------------------------------------

STRANGE = ("  Pick your colours", "", "› [x] red", "  [ ] blue", "", "  space toggle · enter save")


def test_a_screen_without_an_input_box_that_stands_still_is_a_question() -> None:
    async def script(stage: Stage) -> None:
        stage.paint(*STRANGE, composer=None)
        await asyncio.sleep(STILL - 0.1)
        assert stage.driver.phase == "starting"
        await asyncio.sleep(0.2)
        dialog = opened(stage)
        assert (dialog.kind, dialog.choices) == ("other", ())
        assert [line.strip() for line in dialog.reason.split("\n")] == [
            *(line.strip() for line in STRANGE)
        ]
        assert QuestionRendered(dialog.reason) in [event for _, event in stage.events]
        with pytest.raises(DialogOpen, match="Pick your colours"):
            await stage.driver.send("hello")
        assert stage.driver.written == []
        await stage.ready()

    stage = play(script)
    assert stage.phases() == ["blocked", "starting", "idle"]
    assert [e for _, e in stage.events if isinstance(e, QuestionRendered)][-1].text == ""


def test_it_is_one_after_the_start_too_and_an_input_box_ends_it() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.paint(*STRANGE, composer=None)
        await asyncio.sleep(STILL + 0.1)
        assert opened(stage).kind == "other"
        stage.paint(*(line.replace("[ ]", "[x]") for line in STRANGE), composer=None)
        assert "[x] blue" in opened(stage).reason  # it goes on to wait while somebody answers it
        stage.paint("  banner")

    assert play(script).phases() == ["starting", "idle", "blocked", "blocked", "idle"]


def test_a_screen_that_changes_is_no_question() -> None:
    async def script(stage: Stage) -> None:
        for second in range(30):
            stage.paint(f"  Loading, {second} s", composer=None)
            await asyncio.sleep(1)

    assert play(script).phases() == []


def test_a_moving_picture_does_not_put_a_question_off() -> None:
    async def script(stage: Stage) -> None:
        for second in range(10):
            stage.paint("   ⣿⡀⠟"[: 3 + second % 4], "", "  Paste your key:", composer=None)
            await asyncio.sleep(1)

    assert play(script).phases() == ["blocked"]


def test_an_empty_screen_and_an_agent_that_says_it_works_ask_nothing() -> None:
    async def script(stage: Stage) -> None:
        stage.paint(composer=None)
        await asyncio.sleep(60)
        await stage.ready()
        stage.driver.feed(WORKING)
        stage.paint(*STRANGE, composer=None)
        await asyncio.sleep(60)
        assert stage.driver.phase == "working"
        stage.driver.feed(DONE)
        await asyncio.sleep(STILL + 0.1)
        assert opened(stage).reason.startswith("Pick your colours")

    assert "blocked" not in play(script).phases()[:-1]


def test_an_interrupt_presses_no_key_on_a_screen_that_nobody_knows() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.paint(*STRANGE, composer=None)
        await asyncio.sleep(STILL + 0.1)
        await stage.driver.interrupt()

    assert play(script).driver.written == []


def test_an_interrupt_answers_no_question_of_the_start() -> None:
    async def script(stage: Stage) -> None:
        stage.paint("  A newer model", "", "› 1. Try it", "  2. Keep yours", composer=None)
        assert opened(stage).kind == "other"
        await stage.driver.interrupt()

    assert play(script).driver.written == []


# -- refusing --------------------------------------------------------------------------------------


def test_an_interrupt_refuses_and_then_stops_what_goes_on() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.driver.feed(WORKING)
        stage.paint(*PERMISSION, composer=None)
        assert stage.driver.phase == "blocked"
        loop = asyncio.get_running_loop()

        def refused(_: bytes) -> None:
            stage.driver.answer_to = stopped
            stage.driver.feed(WORKING)
            stage.paint("• Working (1s • esc to interrupt)")

        def stopped(_: bytes) -> None:
            loop.call_later(0.1, end)

        def end() -> None:
            stage.paint("■ Stopped")
            stage.driver.feed(DONE)

        stage.driver.answer_to = refused
        await stage.driver.interrupt()
        assert stage.driver.phase == "idle"

    assert play(script).driver.written == [b"\x1b", b"\x1b"]


def test_an_interrupt_refuses_one_question_after_the_other() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.driver.feed(WORKING)
        stage.paint(*PERMISSION, composer=None)

        def first(_: bytes) -> None:
            stage.driver.answer_to = second
            stage.paint(*FORM, composer=None)

        def second(_: bytes) -> None:
            stage.paint("■ Stopped")
            stage.driver.feed(DONE)

        stage.driver.answer_to = first
        await stage.driver.interrupt()
        assert stage.driver.phase == "idle"

    assert play(script).driver.written == [b"\x1b", b"\x1b"]


def test_an_interrupt_leaves_a_dialog_of_the_start() -> None:
    async def script(stage: Stage) -> None:
        await stage.start()
        stage.paint(*TRUST, composer=None)
        await stage.driver.interrupt()

    assert play(script).driver.written == []


# -- what is told ----------------------------------------------------------------------------------


def test_how_the_screen_shows_a_question_is_told_before_it_blocks_and_when_it_changes() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.driver.feed(WORKING)
        stage.events.clear()
        stage.paint(*FORM, composer=None)
        moved = [line.replace("  › 1", "    1").replace("    2", "  › 2") for line in FORM]
        stage.paint(*moved, composer=None)
        stage.paint("• Working (1s • esc to interrupt)")
        stage.driver.feed(WORKING)

    told = [
        event.text if isinstance(event, QuestionRendered) else event.state.phase.value
        for _, event in play(script).events
        if isinstance(event, QuestionRendered | PhaseChanged)
    ]
    shown = "\n".join(FORM[3:])
    moved = shown.replace("  › 1", "    1").replace("    2", "  › 2")
    assert told == [shown, "blocked", moved, "", "working"]


def test_a_decided_question_is_gone_although_the_end_of_its_turn_is_not_painted() -> None:
    """0.80 and 0.125 go on painting for half a second."""

    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.driver.feed(WORKING)
        stage.paint(*PERMISSION, composer=None)
        stage.driver.feed(DONE)
        stage.paint("• Asking")
        assert stage.phases()[-2:] == ["blocked", "working"]
        await asyncio.sleep(DRAIN)

    assert play(script).phases()[-3:] == ["blocked", "working", "idle"]


# -- what the agent asks elsewhere, too ------------------------------------------------------------


def asked(title: str, *labels: str) -> Dialog:
    choices = tuple(Choice(str(number), label, "") for number, label in enumerate(labels, 1))
    return Dialog("request-1", "mcp", title, choices=choices)


@pytest.mark.parametrize(
    ("dialog", "keys"),
    [
        (asked("Which one?", "True", "False", "Cancel"), ["1", "2", "\x1b"]),
        (asked("Which  one?", "No", "True"), ["", "1"]),
        (asked("Another one?", "True", "False"), ["", ""]),
    ],
)
def test_keys_are_those_of_the_same_words_in_the_same_question(
    dialog: Dialog, keys: list[str]
) -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.driver.tracker.set_question(dialog)
        stage.paint(*FORM, composer=None)
        shown = opened(stage)
        assert (shown.id, shown.title) == ("request-1", dialog.title)
        assert [choice.key for choice in shown.choices] == keys

    play(script)


@pytest.mark.parametrize(
    ("dialog", "shows"),
    [(asked("Which one?", "True", "False"), True), (asked("Another one?", "True"), False)],
)
def test_a_screen_that_shows_another_question_than_is_asked_shows_none(
    dialog: Dialog, shows: bool
) -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.driver.tracker.set_question(dialog)
        stage.paint(*FORM, composer=None)
        assert bool(stage.driver.tracker.question) is shows
        stage.driver.tracker.set_question(None)
        assert stage.driver.tracker.question == "", "decided, and still painted"

    play(script)
