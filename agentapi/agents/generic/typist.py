"""Type a message into a terminal program and verify that it arrived.

Each step is verified before the next: the composer shows the text (`echo`), Enter was accepted and
the turn began (`begin`). Enter is pressed once. Nothing is typed while a dialog is open. All output
is read just before Enter, so that Enter does not answer a dialog that has just opened.
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
"""Seconds to wait before keys after a dialog appeared: Codex 0.158 and 0.169 drop a key within the
first tenth of a second."""
ECHO_LIMIT = 2.0
"""Seconds that a program has to show the typed text."""
BEGIN_LIMIT = 15.0
"""Seconds that a turn has to begin after Enter."""
TAKEN_LIMIT = 1.0
"""Seconds after which a message that left the composer counts as accepted, even without a
signal."""
CLEAR_LIMIT = 1.0
MARKED_LIMIT = 1.0
"""Seconds after which a choice counts as marked only, if the dialog is still open."""
PASTE_END = "\x1b[201~"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""C0 but tab and line feed, DEL, C1."""
_LINE_BREAK = re.compile(r"\r\n?")

log = logging.getLogger(__name__)


class Terminal(Protocol):
    """The part of the driver that the typist uses."""

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

    def discard_input(self) -> None: ...

    def catch_up(self) -> None: ...

    async def rest(self) -> None: ...

    async def until(self, condition: Callable[[], bool], limit: float) -> bool: ...

    def begin(self, reason: str) -> None: ...


class Typist:
    """Types messages into an agent whose input box the profile recognizes, one at a time."""

    dialog_rest = DIALOG_REST
    """Seconds to wait before keys after a dialog appeared."""

    def __init__(self, driver: Terminal) -> None:
        self._driver = driver
        self._tracker = driver.tracker
        self._profile = driver.profile
        self.submitted: str | None = None
        """The submitted message whose turn has not begun yet."""
        self._leftover = ""
        """The text of a failed message that is still in the composer, covered by a dialog."""
        self.keyboard = asyncio.Lock()
        """Held from the first character of a message until its turn begins. Another key could open
        something that consumes Enter, and one right after Enter makes 0.80 take both as text."""

    async def send(self, text: str) -> None:
        """Send one message. Raises `SendError` and leaves nothing in the composer."""
        self._driver.catch_up()
        self._check()
        text = self._normalize_line_breaks(text)
        typed = self._typeable(text)
        async with self.keyboard:
            await self._empty_composer()
            self._tracker.prepare()
            with self._abandon_on_error():
                self._paste(typed)
                await self._await_echo(typed)
                await self._close_popup()
                await self._press_enter(text, typed)
                await self._driver.until(self._begun, TAKEN_LIMIT)
        with self._abandon_on_error():
            await self._await_begin(typed)

    async def answer(self, dialog_id: str, choice_id: str, limit: float) -> None:
        """Press the key of a choice; return once the dialog is gone.

        Raises `LookupError` if no such dialog or choice is open, `SendError` if it stays open."""
        self._driver.catch_up()
        dialog = self._dialog()
        if dialog is None or dialog.id != dialog_id:
            raise LookupError(f"no dialog {dialog_id!r} is open")
        choice = next((choice for choice in dialog.choices if choice.id == choice_id), None)
        if choice is None:
            raise LookupError(dialog.unknown_choice(choice_id))
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
        """Press Enter if the key only marked the choice, as in most start-up dialogs."""
        gone = await self._driver.until(lambda: not self._is_open(dialog.id), MARKED_LIMIT)
        if not gone and self._tracker.reading.marked == choice.id:
            self._driver.write(b"\r")

    @contextmanager
    def _abandon_on_error(self) -> Iterator[None]:
        """Abandon the message if the block fails."""
        try:
            yield
        except BaseException:
            self.submitted = None
            self._tracker.abandon()
            raise

    # -- the steps ---------------------------------------------------------------------------

    @staticmethod
    def _normalize_line_breaks(text: str) -> str:
        """Convert all line breaks to line feeds."""
        return _LINE_BREAK.sub("\n", text)

    def _check(self) -> None:
        """Raise an error if the message cannot be sent now."""
        if self._dialog() is not None or self._driver.phase is Phase.BLOCKED:
            raise DialogOpen(self._tracker.dialog_text or self._driver.screen())
        if self._driver.phase is not Phase.IDLE:
            raise Busy
        if self._tracker.reading.composer is None:
            raise SendError(
                "check", f"the screen shows no input box:\n{self._driver.screen()[-2000:]}"
            )

    def _typeable(self, text: str) -> str:
        """Return the text to paste. Control characters are refused: they would be lost or act as
        keystrokes, above all the sequence that ends a paste."""
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
        """Remove a draft from the composer, or it would be sent along."""
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

    async def _await_echo(self, typed: str) -> None:
        seen = await self._driver.until(
            lambda: self._echoed(typed) or self._is_obstructed(), ECHO_LIMIT
        )
        if self._is_obstructed():
            raise await self._failure("echo", typed)
        if not seen:
            raise await self._failure(
                "echo", typed, f"the input box does not show the message after {ECHO_LIMIT:g} s"
            )

    async def _close_popup(self) -> None:
        """Close a completion popup, which would consume Enter."""
        if self._tracker.reading.popup:
            self._driver.write(b"\x1b")
            await self._driver.until(lambda: not self._tracker.reading.popup, CLEAR_LIMIT)

    async def _press_enter(self, text: str, typed: str) -> None:
        """Press Enter. Nothing may happen between the last check of the screen and the key."""
        try:
            self._driver.catch_up()
        except SendError as error:
            raise await self._failure("echo", typed, error.reason) from None
        reading = self._tracker.reading
        if self._is_obstructed() or reading.popup:
            why = "a popup stays open over the input box"
            raise await self._failure("echo", typed, why)
        if reading.composer is None:
            raise await self._failure("echo", typed, "the input box went away before Enter")
        self.submitting(text)
        self._driver.write(b"\r")

    def submitting(self, text: str) -> None:
        """Record the message whose Enter is about to be pressed."""
        self._tracker.submit(text)
        self.submitted = text

    async def _await_begin(self, typed: str) -> None:
        if self._begun():
            return
        composer = self._tracker.reading.composer
        if composer is not None and not composer.text and not self._is_obstructed():
            self._driver.begin("the message left the input box")
        elif not await self._driver.until(self._begun, BEGIN_LIMIT - TAKEN_LIMIT):
            raise await self._failure(
                "begin", typed, f"no turn began within {BEGIN_LIMIT:g} s of Enter"
            )

    # -- state --------------------------------------------------------------------------------

    def _begun(self) -> bool:
        return self.submitted is None

    def _dialog(self) -> Dialog | None:
        return self._tracker.state.dialog

    def _is_open(self, dialog_id: str) -> bool:
        """Compare by id, as an open dialog may gain details."""
        dialog = self._dialog()
        return dialog is not None and dialog.id == dialog_id

    def _is_obstructed(self) -> bool:
        return self._driver.phase in (Phase.BLOCKED, Phase.EXITED)

    def _echoed(self, typed: str) -> bool:
        return self._profile.echoed(self._driver.frame, self._tracker.reading, typed)

    def _draft(self) -> str:
        composer = self._tracker.reading.composer
        return composer.text if composer is not None else ""

    async def _failure(self, step: str, typed: str, why: str = "") -> SendError:
        """Clean up and return the error."""
        if self._driver.phase is Phase.EXITED:
            return SendError(step, "the agent ended")
        if self._driver.phase is Phase.BLOCKED:
            self._leftover = typed
            return SendError(step, f"a dialog opened:\n{self._tracker.dialog_text}")
        await self._erase(typed)
        return SendError(step, why)

    def tidy(self) -> None:
        """Remove a failed message from the composer once the dialog that covered it is gone."""
        if self._leftover and self._draft() and not self._is_obstructed():
            self._driver.write(_backspaces(self._leftover))
            self._leftover = ""

    async def _erase(self, text: str) -> None:
        """Erase with backspaces from the end, harmless in an empty composer unlike Ctrl-C. They are
        always typed, as a slow program may show the text only later."""
        self._driver.write(_backspaces(text))
        await self._driver.until(lambda: not self._draft(), CLEAR_LIMIT)


def _backspaces(text: str) -> bytes:
    """Return keys that remove a text, wherever the cursor is."""
    return b"\x1b[F" + b"\x7f" * (len(text) + 8)
