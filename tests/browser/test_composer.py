"""What the user does: write, send, stop, attach, press keys."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import Chat

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

BUSY = {
    "title": "Internal Server Error",
    "status": 500,
    "detail": "unexpected error occurred",
    "errors": [{"message": "failed to send message: message can only be sent when …"}],
}


def _field(chat: Chat) -> Locator:
    return chat.page.get_by_label("Message to the agent")


async def test_enter_sends_and_shift_enter_begins_a_line(chat: Chat) -> None:
    field = _field(chat)
    await field.press_sequentially("one")
    await field.press("Shift+Enter")
    await field.press_sequentially("two")
    await field.press("Enter")
    await chat.wire.got(1)
    assert chat.wire.posted == [("user", "one\ntwo")]
    await expect(field).to_have_value("")
    await expect(field).to_be_focused()


async def test_a_sent_message_shows_at_once_and_only_once(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    wire.hold = asyncio.Event()
    await _field(chat).fill("what is new?")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".user.pending")).to_have_text("Youwhat is new?")
    # The message may be told before the request is answered.
    wire.say("user", "what is new?")
    await expect(page.locator(".user.pending")).to_have_count(0)
    await expect(page.locator(".user")).to_have_count(1)
    wire.hold.set()
    wire.become("running")
    await expect(page.get_by_role("button", name="Stop")).to_be_visible()
    await expect(page.locator(".user")).to_have_count(1)


async def test_an_input_method_s_enter_does_not_send(chat: Chat) -> None:
    field = _field(chat)
    await field.fill("にほん")
    await field.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    await expect(field).to_have_value("にほん")
    await field.press("Enter")
    await chat.wire.got(1)
    assert chat.wire.posted == [("user", "にほん")]


async def test_text_is_kept_while_the_agent_works_and_stop_sends_escape(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    wire.become("running")
    await page.get_by_role("button", name="Stop").wait_for()
    await _field(chat).fill("later")
    await _field(chat).press("Enter")
    await page.get_by_role("button", name="Stop").click()
    await chat.wire.got(1)
    assert wire.posted == [("raw", "\x1b")]
    await expect(_field(chat)).to_have_value("later")
    wire.become("stable")
    await page.get_by_role("button", name="Send").click()
    await chat.wire.got(2)
    assert wire.posted[1] == ("user", "later")


async def test_escape_stops_while_the_agent_works_and_does_nothing_else(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    await _field(chat).press("Escape")
    wire.become("running")
    await page.get_by_role("button", name="Stop").wait_for()
    await _field(chat).press("Escape")
    await wire.got(1)
    wire.become("stable")
    await page.get_by_role("button", name="Send").wait_for()
    await _field(chat).press("Escape")
    await _field(chat).fill("next")
    await _field(chat).press("Enter")
    await wire.got(2)
    assert wire.posted == [("raw", "\x1b"), ("user", "next")]


async def test_the_second_half_of_a_double_click_on_stop_sends_nothing(chat: Chat) -> None:
    page = chat.page
    await _field(chat).fill("a draft")
    send = page.get_by_role("button", name="Send")
    await send.dispatch_event("click", {"detail": 2})
    await expect(_field(chat)).to_have_value("a draft")
    await send.click()
    await chat.wire.got(1)
    assert chat.wire.posted == [("user", "a draft")]


async def test_blank_text_cannot_be_sent(chat: Chat) -> None:
    await _field(chat).fill("  \n ")
    await expect(chat.page.get_by_role("button", name="Send")).to_be_disabled()


async def test_a_refused_message_is_a_toast_and_its_text_comes_back(chat: Chat) -> None:
    chat.visit.watch.expected.append("500")
    chat.wire.refuse = BUSY
    await _field(chat).fill("do it")
    await _field(chat).press("Enter")
    toast = chat.page.get_by_role("alert")
    await expect(toast).to_have_text(f"{BUSY['detail']}: {BUSY['errors'][0]['message']}")  # type: ignore[index]
    await expect(_field(chat)).to_have_value("do it")
    await expect(chat.page.locator(".user")).to_have_count(0)


async def test_a_draft_survives_a_reload(chat: Chat) -> None:
    await _field(chat).fill("half a thought")
    await chat.page.reload()
    await expect(_field(chat)).to_have_value("half a thought")


async def test_uploads_append_their_paths(chat: Chat, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name * 2)
    await _field(chat).fill("look at")
    async with chat.page.expect_file_chooser() as chooser:
        await chat.page.get_by_role("button", name="Attach").click()
    await (await chooser.value).set_files([tmp_path / "a.txt", tmp_path / "b.txt"])
    paths = [f'@"/uploads/0123456789abcdef/{name}"' for name in ("a.txt", "b.txt")]
    await expect(_field(chat)).to_have_value(f"look at {paths[0]} {paths[1]}")
    assert chat.wire.uploads == [("a.txt", b"a.txta.txt"), ("b.txt", b"b.txtb.txt")]


@pytest.mark.parametrize(
    "gesture",
    [
        """(files) => {
          for (const name of ["dragover", "drop"])
            document.body.dispatchEvent(new DragEvent(name,
              { dataTransfer: files, bubbles: true, cancelable: true }));
        }""",
        """(clipboardData) => document.querySelector("textarea").dispatchEvent(
            new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))""",
    ],
    ids=["drop", "paste"],
)
async def test_files_can_be_dropped_and_pasted(chat: Chat, gesture: str) -> None:
    files = await chat.page.evaluate_handle(
        """() => {
          const files = new DataTransfer();
          files.items.add(new File(["content"], "picture.png"));
          return files;
        }"""
    )
    await chat.page.evaluate(gesture, files)
    await expect(_field(chat)).to_have_value(' @"/uploads/0123456789abcdef/picture.png"')
    assert chat.wire.uploads == [("picture.png", b"content")]
    await expect(chat.page.get_by_text("Drop to attach")).to_have_count(0)


async def test_a_refused_upload_names_the_file(chat: Chat, tmp_path: Path) -> None:
    chat.visit.watch.expected.append("400")
    chat.wire.refuse = {
        "status": 400,
        "title": "Bad Request",
        "detail": "file size exceeds 10MB limit",
    }
    (tmp_path / "big.bin").write_bytes(b"x")
    await chat.page.get_by_label("Files to attach").set_input_files(tmp_path / "big.bin")
    await expect(chat.page.get_by_role("alert")).to_have_text(
        "big.bin: file size exceeds 10MB limit"
    )
    await expect(_field(chat)).to_have_value("")


KEYS = {
    "ArrowUp": "\x1b[A",
    "ArrowDown": "\x1b[B",
    "ArrowRight": "\x1b[C",
    "ArrowLeft": "\x1b[D",
    "Enter": "\r",
    "Backspace": "\b",
    "Tab": "\t",
    "Shift+Tab": "\x1b[Z",
    "Escape": "\x1b",
    "Delete": "\x1b[3~",
    "Home": "\x1b[H",
    "PageUp": "\x1b[5~",
    "Control+ArrowLeft": "\x1b[1;5D",
    "Control+c": "\x03",
    "Control+[": "\x1b",
    "Alt+b": "\x1bb",
    "1": "1",
    "Shift+Y": "Y",
    "Space": " ",
    "é": "é",
}


async def test_control_mode_sends_each_key_in_order_one_request_at_a_time(chat: Chat) -> None:
    page, wire = chat.page, chat.wire
    wire.become("running")
    await page.get_by_role("button", name="Control").click()
    keys = page.get_by_label("Keys for the agent's terminal")
    await expect(keys).to_be_focused()
    wire.hold = asyncio.Event()
    for key in KEYS:
        await (page.keyboard.insert_text(key) if key == "é" else page.keyboard.press(key))
    await chat.wire.got(1)
    wire.hold.set()
    await chat.wire.got(len(KEYS))
    assert wire.posted == [("raw", data) for data in KEYS.values()]
    assert wire.most_at_once == 1
    await expect(keys).to_have_value("")


async def test_control_mode_has_buttons_for_fingers(chat: Chat) -> None:
    await chat.page.get_by_role("button", name="Control").click()
    for name in ("Esc", "Up", "Enter", "Ctrl-C"):
        await chat.page.get_by_role("button", name=name, exact=True).click()
    await chat.wire.got(4)
    assert [data for _, data in chat.wire.posted] == ["\x1b", "\x1b[A", "\r", "\x03"]


async def test_control_mode_pastes_text_as_one_message(chat: Chat) -> None:
    await chat.page.get_by_role("button", name="Control").click()
    await chat.page.get_by_label("Keys for the agent's terminal").evaluate(
        """(field) => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text", "two\\nlines");
          field.dispatchEvent(new ClipboardEvent("paste",
            { clipboardData, bubbles: true, cancelable: true }));
        }"""
    )
    await chat.wire.got(1)
    assert chat.wire.posted == [("raw", "two\rlines")]


async def test_control_mode_is_left_by_a_key_that_no_terminal_knows(chat: Chat) -> None:
    await _field(chat).fill("a draft")
    await chat.page.get_by_role("button", name="Control").click()
    await chat.page.keyboard.press("Control+.")
    await expect(_field(chat)).to_have_value("a draft")
    await expect(_field(chat)).to_be_focused()
    assert chat.wire.posted == []


async def test_keys_behind_a_failed_one_are_not_sent(chat: Chat) -> None:
    chat.visit.watch.expected.append("500")
    page, wire = chat.page, chat.wire
    await page.get_by_role("button", name="Control").click()
    wire.hold = asyncio.Event()
    wire.refuse = {"status": 500, "title": "Internal Server Error", "detail": "no terminal"}
    for key in "abc":
        await page.keyboard.press(key)
    await chat.wire.got(1)
    wire.hold.set()
    await expect(page.get_by_role("alert")).to_have_text("no terminal (2 more keys were not sent)")
    wire.refuse = None
    await page.keyboard.press("d")
    await chat.wire.got(2)
    assert [data for _, data in wire.posted] == ["a", "d"]
