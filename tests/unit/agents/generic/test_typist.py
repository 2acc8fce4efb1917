"""A message reaches the composer, or nothing is left of it; no dialog is ever answered by one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agentapi.agents.generic.deadlines import STILL
from agentapi.agents.generic.typist import DIALOG_REST
from agentapi.model.errors import Busy, DialogOpen, SendError
from agentapi.model.events import UserText
from agentapi.terminal.recording import read_recording
from tests.recordings.expect import recordings
from tests.support.replay import run_virtual
from tests.support.stage import WORKING, Stage, play

PROMPT = "tell me your name"
DIALOG = (
    "• Running rm -rf build",
    "",
    "",
    "  Would you like to run the following",
    "  command?",
    "",
    "  $ rm -rf build",
    "",
    "› 1. Yes, proceed (y)",
    "  2. No (esc)",
    "",
    "  Press enter to confirm or esc to cancel",
)
DIALOGS = [
    path
    for path in recordings()
    if path.stem.endswith("-open") or path.stem in ("login", "trust-open", "update-open")
]


def enters(stage: Stage) -> int:
    """How often Enter was pressed."""
    return sum(data.count(b"\r") for data in stage.driver.written)


def echoing(stage: Stage) -> None:
    """The composer shows what is pasted, and loses it to backspaces."""

    def answer(data: bytes) -> None:
        if data.startswith(b"\x1b[200~"):
            stage.paint("  banner", composer=data[6:-6].decode())
        elif b"\x7f" in data:
            stage.paint("  banner")
        elif data == b"\r":
            stage.driver.feed(WORKING)

    stage.driver.answer_to = answer


def test_a_message_is_pasted_seen_and_submitted_once() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        echoing(stage)
        await stage.driver.send(PROMPT)

    stage = play(script)
    assert stage.driver.written == [f"\x1b[200~{PROMPT}\x1b[201~".encode(), b"\r"]
    assert [event.text for _, event in stage.events if isinstance(event, UserText)] == [PROMPT]


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_dialog_refuses_a_message_and_nothing_is_typed(path: Path) -> None:
    """Each dialog of the real Codex that is recorded, in six versions."""
    recording = read_recording(path)

    async def main() -> None:
        stage = Stage(columns=recording.columns, rows=recording.rows)
        await stage.start()
        for event in recording.events:
            if event.kind == "o":
                stage.driver.feed(event.data.encode())
        await asyncio.sleep(STILL + 1)
        replies = len(stage.driver.written)
        with pytest.raises(DialogOpen) as refused:
            await stage.driver.send(PROMPT)
        assert refused.value.text.strip()
        assert stage.driver.written[replies:] == []

    assert DIALOGS
    run_virtual(main())


def test_a_dialog_that_opens_after_the_paste_gets_no_enter() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.driver.answer_to = lambda data: stage.paint(*DIALOG, composer=None)
        with pytest.raises(SendError, match="a dialog opened"):
            await stage.driver.send(PROMPT)

    assert enters(play(script)) == 0


def test_a_dialog_that_was_not_read_yet_gets_no_enter() -> None:
    """The echo was seen; before Enter, what the program has written since is read."""

    async def script(stage: Stage) -> None:
        await stage.ready()

        def answer(data: bytes) -> None:
            stage.paint("  banner", composer=PROMPT)
            stage.driver.unread = stage.frame(*DIALOG, composer=None)

        stage.driver.answer_to = answer
        with pytest.raises(SendError, match="a dialog opened") as refused:
            await stage.driver.send(PROMPT)
        assert refused.value.step == "echo"
        assert "rm -rf build" in refused.value.reason

    assert enters(play(script)) == 0


def test_what_a_dialog_covered_is_removed_when_it_is_gone() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.driver.answer_to = lambda data: stage.paint(*DIALOG, composer=None)
        with pytest.raises(SendError):
            await stage.driver.send(PROMPT)
        echoing(stage)
        stage.paint("  banner", composer=PROMPT)

    stage = play(script)
    assert stage.driver.written[-1].endswith(b"\x7f" * len(PROMPT))
    assert stage.driver.tracker.reading.composer is not None
    assert stage.driver.tracker.reading.composer.text == ""
    assert enters(stage) == 0


def test_keys_wait_until_a_new_dialog_takes_them() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.paint(*DIALOG, composer=None)
        pressed = asyncio.create_task(stage.driver.keys("y"))
        await asyncio.sleep(DIALOG_REST / 2)
        assert stage.driver.written == []
        await pressed
        assert stage.driver.written == [b"y"]
        await stage.driver.keys("n")
        assert stage.driver.written == [b"y", b"n"]

    play(script)


def test_an_answer_is_its_choices_key_and_a_closed_dialog() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.paint(*DIALOG, composer=None)
        dialog = stage.driver.tracker.state.dialog
        assert dialog is not None
        with pytest.raises(LookupError):
            await stage.driver.answer("dialog-9", "1")
        with pytest.raises(LookupError):
            await stage.driver.answer(dialog.id, "7")
        stage.driver.answer_to = lambda data: stage.paint("  banner")
        await stage.driver.answer(dialog.id, "1")

    assert play(script).driver.written == [b"y"]


def test_an_input_box_that_goes_away_gets_no_enter() -> None:
    """An unknown screen is not ready for anything."""

    async def script(stage: Stage) -> None:
        await stage.ready()

        def answer(data: bytes) -> None:
            stage.paint("  banner", composer=PROMPT)
            stage.driver.unread = stage.frame("something else", composer=None)

        stage.driver.answer_to = answer
        with pytest.raises(SendError, match="the input box went away"):
            await stage.driver.send(PROMPT)

    assert enters(play(script)) == 0


def test_a_paste_that_does_not_show_is_an_error_and_is_taken_back() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        with pytest.raises(SendError, match="does not show the message") as refused:
            await stage.driver.send(PROMPT)
        assert refused.value.step == "echo"

    stage = play(script)
    assert enters(stage) == 0
    assert b"\x7f" * len(PROMPT) in stage.driver.written[-1]


def test_an_enter_that_begins_nothing_is_pressed_once_and_the_text_taken_back() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        echoing(stage)
        show = stage.driver.answer_to
        stage.driver.answer_to = lambda data: None if data == b"\r" else show(data)
        with pytest.raises(SendError, match="no turn began within 15 s") as refused:
            await stage.driver.send(PROMPT)
        assert refused.value.step == "begin"
        assert stage.driver.tracker.reading.composer is not None
        assert stage.driver.tracker.reading.composer.text == ""

    stage = play(script)
    assert enters(stage) == 1
    assert not any(isinstance(event, UserText) for _, event in stage.events)


def test_a_working_agent_is_busy() -> None:
    async def script(stage: Stage) -> None:
        await stage.ready()
        stage.driver.feed(WORKING)
        with pytest.raises(Busy):
            await stage.driver.send(PROMPT)

    assert play(script).driver.written == []
