"""Type a message into a terminal program so that it is known to have arrived.

Three steps, each seen before the next: the text stands in the composer (`echo`), Enter was taken
and the turn began (`begin`). Enter is pressed once. Nothing is typed while a dialog is open, and
just before Enter everything that the program has written is read, so that a dialog which opened
after the paste is not answered by it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from agentapi.conversation.profile import AgentProfile, Unsendable
from agentapi.conversation.tracker import Tracker
from agentapi.model.conversation import STARTUP_DIALOGS, Choice, Dialog, Phase
from agentapi.model.errors import Busy, DialogOpen, SendError
from agentapi.model.frames import Frame
from agentapi.terminal import LineMode

DIALOG_REST = 0.15
"""Seconds for which keys wait after a dialog was painted: Codex 0.158 and 0.169 drop a key that
comes within its first tenth of a second."""
ECHO_LIMIT = 2.0
"""Seconds that a program has to show what was typed."""
BEGIN_LIMIT = 15.0
"""Seconds that a turn has to begin after Enter."""
TAKEN_LIMIT = 1.0
"""Seconds after which a message that left the composer counts as taken, signal or not."""
CLEAR_LIMIT = 1.0
MARKED_LIMIT = 1.0
"""Seconds after which a choice of a dialog that stays is only marked, not taken."""
PASTE_END = "\x1b[201~"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""C0 but tab and line feed, DEL, C1."""
_LINE_BREAK = re.compile(r"\r\n?")

log = logging.getLogger(__name__)


class Terminal(Protocol):
    """What the typist needs of its driver."""

    profile: AgentProfile
    tracker: Tracker

    @property
    def phase(self) -> Phase: ...

    @property
    def frame(self) -> Frame: ...

    @property
    def bracketed_paste(self) -> bool: ...

    @property
    def line_mode(self) -> LineMode: ...

    def screen(self) -> str: ...

    def highlighted(self, row: int) -> list[str]: ...

    def write(self, data: bytes) -> None: ...

    def unread_input(self) -> int: ...

    def take_back(self) -> None: ...

    def catch_up(self) -> None: ...

    async def rest(self) -> None: ...

    async def until(self, condition: Callable[[], bool], limit: float) -> bool: ...

    def begin(self, reason: str) -> None: ...


class Typist:
    """Types for one driver, whose input box is known by its looks; one message at a time."""

    dialog_rest = DIALOG_REST
    """Seconds for which keys wait after a dialog was painted."""

    def __init__(self, driver: Terminal) -> None:
        self._driver = driver
        self._tracker = driver.tracker
        self._profile = driver.profile
        self.submitted: str | None = None
        """The message whose Enter was pressed and whose turn was not seen yet."""
        self._left_behind = ""
        """What a failed message left in the composer behind a dialog."""
        self.keyboard = asyncio.Lock()
        """Who types. From a message's first character until its turn begins nobody else does: a key
        could open something that takes the Enter, and one right behind the Enter makes 0.80 take
        both for a part of the text."""

    async def send(self, text: str) -> None:
        """Send one message. Raises `SendError`; then nothing of it is left in the composer."""
        self._driver.catch_up()
        self._check()
        text = self._one_kind_of_line_break(text)
        typed = self._typeable(text)
        async with self.keyboard:
            await self._empty_composer()
            self._tracker.prepare()
            with self._or_abandon():
                self._paste(typed)
                await self._see_echo(typed)
                await self._close_popup()
                await self._press_enter(text, typed)
                await self._driver.until(self._begun, TAKEN_LIMIT)
        with self._or_abandon():
            await self._see_begin(typed)

    async def answer(self, dialog_id: str, choice_id: str, limit: float) -> None:
        """Press the key of a choice; return once the dialog is gone.

        Raises `LookupError` when no such dialog or choice is open, `SendError` when it stays."""
        self._driver.catch_up()
        dialog = self._dialog()
        if dialog is None or dialog.id != dialog_id:
            raise LookupError(f"no dialog {dialog_id!r} is open")
        choice = next((choice for choice in dialog.choices if choice.id == choice_id), None)
        if choice is None:
            raise LookupError(dialog.no_choice(choice_id))
        if not choice.key:
            raise SendError("answer", f"no key picks {choice.label!r}: answer in the terminal")
        await self._driver.rest()
        if not self._is_open(dialog_id):
            raise LookupError(f"dialog {dialog_id!r} was answered already")
        await self._choose(dialog, choice)
        if not await self._driver.until(lambda: not self._is_open(dialog_id), limit):
            raise SendError("answer", f"the dialog is still open {limit:g} s after {choice.key!r}")

    async def _choose(self, dialog: Dialog, choice: Choice) -> None:
        self._driver.write(choice.key.encode())
        if dialog.kind in (*STARTUP_DIALOGS, "other"):
            await self._confirm(dialog, choice)

    async def _confirm(self, dialog: Dialog, choice: Choice) -> None:
        """Some dialogs, most of them of the start, only mark a choice by its key and want Enter."""
        gone = await self._driver.until(lambda: not self._is_open(dialog.id), MARKED_LIMIT)
        if not gone and self._tracker.reading.marked == choice.id:
            self._driver.write(b"\r")

    @contextmanager
    def _or_abandon(self) -> Iterator[None]:
        """A message that fails here was not taken."""
        try:
            yield
        except BaseException:
            self.submitted = None
            self._tracker.abandon()
            raise

    # -- the steps ---------------------------------------------------------------------------

    @staticmethod
    def _one_kind_of_line_break(text: str) -> str:
        """A terminal knows no others."""
        return _LINE_BREAK.sub("\n", text)

    def _check(self) -> None:
        """Refuse before anything is typed."""
        if self._dialog() is not None or self._driver.phase is Phase.BLOCKED:
            raise DialogOpen(self._tracker.dialog_text or self._driver.screen())
        if self._driver.phase is not Phase.IDLE:
            raise Busy
        if self._tracker.reading.composer is None:
            raise SendError(
                "check", f"the screen shows no input box:\n{self._driver.screen()[-2000:]}"
            )

    def _typeable(self, text: str) -> str:
        """What to paste. A control character, above all the escape sequence that ends a paste,
        would be a keystroke or lost."""
        if found := _CONTROL.search(text):
            raise SendError(
                "check",
                f"the message holds the control character U+{ord(found[0]):04X} at position"
                f" {found.start()}, which cannot be sent literally: take it out, or send"
                " keystrokes as type raw",
            )
        try:
            return self._profile.literal(text, self._tracker.announces)
        except Unsendable as error:
            raise SendError("check", str(error)) from error

    async def _empty_composer(self) -> None:
        """Take out what somebody left in the composer, so that it is not sent along."""
        if draft := self._draft():
            log.warning("the input box held %d characters, which were removed", len(draft))
            await self._erase(draft)
            if self._draft():
                raise SendError("check", "the input box holds text that cannot be removed")

    def _paste(self, typed: str) -> None:
        if self._driver.bracketed_paste:
            self._driver.write(f"\x1b[200~{typed}{PASTE_END}".encode())
        else:
            self._driver.write(typed.replace("\n", "\r").encode())

    async def _see_echo(self, typed: str) -> None:
        seen = await self._driver.until(lambda: self._echoed(typed) or self._hindered(), ECHO_LIMIT)
        if self._hindered():
            raise await self._given_up("echo", typed)
        if not seen:
            raise await self._given_up(
                "echo", typed, f"the input box does not show the message after {ECHO_LIMIT:g} s"
            )

    async def _close_popup(self) -> None:
        """A completion popup would take the Enter for itself."""
        if self._tracker.reading.popup:
            self._driver.write(b"\x1b")
            await self._driver.until(lambda: not self._tracker.reading.popup, CLEAR_LIMIT)

    async def _press_enter(self, text: str, typed: str) -> None:
        """Nothing may happen between the last look at the screen and the key."""
        try:
            self._driver.catch_up()
        except SendError as error:
            raise await self._given_up("echo", typed, error.reason) from None
        reading = self._tracker.reading
        if self._hindered() or reading.popup:
            why = "a popup stays open over the input box"
            raise await self._given_up("echo", typed, why)
        if reading.composer is None:
            raise await self._given_up("echo", typed, "the input box went away before Enter")
        self.submitting(text)
        self._driver.write(b"\r")

    def submitting(self, text: str) -> None:
        """Enter is about to be pressed: the next turn is this message's."""
        self._tracker.submit(text)
        self.submitted = text

    async def _see_begin(self, typed: str) -> None:
        if self._begun():
            return
        composer = self._tracker.reading.composer
        if composer is not None and not composer.text and not self._hindered():
            self._driver.begin("the message left the input box")
        elif not await self._driver.until(self._begun, BEGIN_LIMIT - TAKEN_LIMIT):
            raise await self._given_up(
                "begin", typed, f"no turn began within {BEGIN_LIMIT:g} s of Enter"
            )

    # -- what they see -------------------------------------------------------------------------

    def _begun(self) -> bool:
        return self.submitted is None

    def _dialog(self) -> Dialog | None:
        return self._tracker.state.dialog

    def _is_open(self, dialog_id: str) -> bool:
        """By its id: more may become known of a dialog while it is open."""
        dialog = self._dialog()
        return dialog is not None and dialog.id == dialog_id

    def _hindered(self) -> bool:
        return self._driver.phase in (Phase.BLOCKED, Phase.EXITED)

    def _echoed(self, typed: str) -> bool:
        return self._profile.echoed(self._driver.frame, self._tracker.reading, typed)

    def _draft(self) -> str:
        composer = self._tracker.reading.composer
        return composer.text if composer is not None else ""

    async def _given_up(self, step: str, typed: str, why: str = "") -> SendError:
        """Clean up and make the error."""
        if self._driver.phase is Phase.EXITED:
            return SendError(step, "the agent ended")
        if self._driver.phase is Phase.BLOCKED:
            self._left_behind = typed
            return SendError(step, f"a dialog opened:\n{self._tracker.dialog_text}")
        await self._erase(typed)
        return SendError(step, why)

    def tidy(self) -> None:
        """Take a message out of the composer that a dialog covered when it failed."""
        if self._left_behind and self._draft() and not self._hindered():
            self._driver.write(_backspaces(self._left_behind))
            self._left_behind = ""

    async def _erase(self, text: str) -> None:
        """Backspaces from the end: harmless in an empty composer, unlike Ctrl-C. A slow program
        may show what was typed only later, so they are typed whether anything shows or not."""
        self._driver.write(_backspaces(text))
        await self._driver.until(lambda: not self._draft(), CLEAR_LIMIT)


def _backspaces(text: str) -> bytes:
    """Keys that remove a text whose end the cursor may have left."""
    return b"\x1b[F" + b"\x7f" * (len(text) + 8)
