"""Type a message into an unknown program and verify that it was accepted.

The same steps as `Typist`, by conventions that all programs share: typed text appears at the
cursor, and leaves the line once it is accepted. The terminal settings supply the rest: canonical
mode, maximum line length, and echo.
"""

from __future__ import annotations

import asyncio
import logging

from agentapi.agents.generic.dialog import ENTER
from agentapi.agents.generic.prompt import BLANKS, END
from agentapi.agents.generic.typist import (
    BEGIN_LIMIT,
    CLEAR_LIMIT,
    MARKED_LIMIT,
    TAKEN_LIMIT,
    Typist,
)
from agentapi.conversation.plain import SIDES
from agentapi.conversation.status import Source
from agentapi.model.comparison import squeeze
from agentapi.model.conversation import Choice, Dialog, Phase
from agentapi.model.errors import Busy, DialogOpen, SendError

DIALOG_REST = 0.6
"""Seconds to wait before keys after a dialog appeared: claude drops keys for more than 0.3 s."""
ECHO_LIMIT = 5.0
"""Seconds that a program has to show the typed text: copilot takes 0.3 s on an idle machine."""
BEFORE_ENTER = 0.1
"""Seconds between the text on the screen and Enter: gemini takes an Enter within 30 ms of a paste
for a line break."""
BEFORE_ENTER_AT_MOST = 1.0
"""The upper limit on a slow machine: it is twice the time until the text appeared."""
LEFT = 0.1
"""Seconds for which the text must be gone from the line: a program without synchronized output may
show an empty line for a moment."""
READ_LOOK = 0.1
"""Seconds between two checks whether a line was read."""
REPAINT = 0.3
"""Seconds for which a line may still show the last message: claude reports the end of a turn before
it has redrawn the line."""
MAX_LINE = 4095
"""Maximum bytes of a line in canonical mode (`termios(3)`); the terminal drops the rest."""
STUCK = (
    "the input line holds text that cannot be removed, and a message would be joined to it: take it"
    " out at the terminal, or with keystrokes as type raw (Ctrl-U is \\u0015, Ctrl-C \\u0003)"
)
SEEN_ROWS = 12
"""Rows of the screen in an error message."""

log = logging.getLogger(__name__)


class PlainTypist(Typist):
    """Types messages into an unknown program, one at a time."""

    dialog_rest = DIALOG_REST
    _base = ""
    """The text left of the cursor before typing, where no prompt is displayed."""
    _before = ""
    """The text left of the cursor before typing, including the prompt."""
    _again = False
    """Whether Enter was pressed a second time."""
    _enter_at = 0
    """The version of the frame at which Enter was pressed."""

    async def send(self, text: str) -> None:
        """Send one message. Raises `SendError` and leaves nothing in the line."""
        self._driver.catch_up()
        self._check()
        text = self._normalize_line_breaks(text)
        typed = self._typeable(text)
        try:
            async with self.keyboard:
                await self._empty_composer()
                self._base = self._before = self._left()
                self._again = False
                self._tracker.prepare()
                self._tracker.typing = typed
                with self._abandon_on_error():
                    self._paste(typed)
                    await self._await_echo(typed)
                    await self._press_enter(text, typed)
                    await self._await_departure(typed, TAKEN_LIMIT)
            with self._abandon_on_error():
                await self._await_begin(typed)
        finally:
            self._tracker.typing = ""

    # -- the steps ---------------------------------------------------------------------------

    def _check(self) -> None:
        """Raise an error if the message cannot be sent now."""
        reading = self._tracker.reading
        if reading.dialog is not None or self._driver.phase is Phase.BLOCKED:
            raise DialogOpen(reading.dialog_text or self._driver.screen())
        if self._driver.phase is not Phase.IDLE:
            raise Busy
        line = self._driver.line_mode
        if line.canonical and not line.echo:
            raise SendError(
                "check",
                "the program shows nothing of what is typed, as for a password: answer it with"
                f" keystrokes as type raw{self._seen()}",
            )

    def _typeable(self, text: str) -> str:
        """Return the text to type, if the terminal can take it as one message."""
        typed = super()._typeable(text)
        canonical = self._driver.line_mode.canonical
        size = len(typed.encode())
        if canonical and size > MAX_LINE:
            raise SendError(
                "check",
                f"the message has {size} bytes, and a line of this program's terminal takes"
                f" {MAX_LINE}: send a shorter one",
            )
        if self._in_brackets:
            return typed
        if "\n" in typed:
            raise SendError(
                "check",
                "the message has several lines, and this program takes each as a message of its"
                " own (it does not ask for bracketed paste): send one line",
            )
        if "\t" in typed and not canonical:
            raise SendError(
                "check", "the message holds a tab, which would be a key to this program"
            )
        return typed

    @property
    def _in_brackets(self) -> bool:
        return self._driver.bracketed_paste and not self._driver.line_mode.canonical

    def _paste(self, typed: str) -> None:
        text = f"\x1b[200~{typed}\x1b[201~" if self._in_brackets else typed
        self._driver.write(text.encode())

    async def _await_echo(self, typed: str) -> None:
        began = asyncio.get_running_loop().time()
        seen = await self._driver.until(
            lambda: self._echoed(typed) or self._is_obstructed(), ECHO_LIMIT
        )
        if self._is_obstructed():
            raise await self._failure("echo", typed)
        if not seen:
            raise await self._failure(
                "echo", typed, f"the program does not show the message after {ECHO_LIMIT:g} s"
            )
        took = asyncio.get_running_loop().time() - began
        await asyncio.sleep(min(max(BEFORE_ENTER, 2 * took), BEFORE_ENTER_AT_MOST))

    async def _press_enter(self, text: str, typed: str) -> None:
        """Press Enter. Nothing may happen between the last check of the screen and the key."""
        self._driver.catch_up()
        if self._is_obstructed():
            raise await self._failure("echo", typed)
        if not self._echoed(typed):
            raise await self._failure("echo", typed, "the message went away before Enter")
        self._enter_at = self._driver.frame.version
        self.submitting(text)
        self._driver.write(b"\r")

    async def _await_departure(self, typed: str, limit: float) -> None:
        """Wait until the program reports the turn, or the message leaves the line."""

        def moved() -> bool:
            return self._begun() or self._gone(typed) or self._became_line_break(typed)

        while await self._driver.until(moved, limit):
            if self._begun():
                return
            if self._became_line_break(typed):
                await self._enter_again(typed)
                continue
            if not await self._driver.until(lambda: self._begun() or not self._gone(typed), LEFT):
                if not await self._await_read(limit):
                    return
                self._driver.begin("the message left the input line")
                return

    async def _await_read(self, limit: float) -> bool:
        """Return whether the program reads the line. In canonical mode the kernel echoes lines and
        clears the input line without the program; there may be no output."""
        loop = asyncio.get_running_loop()
        end = loop.time() + limit
        while self._unread and loop.time() < end:
            await self._driver.until(lambda: not self._unread, READ_LOOK)
        return not self._unread

    async def _enter_again(self, typed: str) -> None:
        """Remove the line break that Enter became, and press Enter again."""
        self._driver.write(b"\x7f")
        back = await self._driver.until(
            lambda: self._echoed(typed) or self._is_obstructed(), ECHO_LIMIT
        )
        await asyncio.sleep(BEFORE_ENTER_AT_MOST)
        self._driver.catch_up()
        again, self._again = self._again, True
        if again or not back or self._is_obstructed() or not self._echoed(typed):
            raise await self._failure("begin", typed, "the program took Enter for a line break")
        self._enter_at = self._driver.frame.version
        self._driver.write(b"\r")

    async def _await_begin(self, typed: str) -> None:
        if not self._begun():
            await self._await_departure(typed, BEGIN_LIMIT - TAKEN_LIMIT)
        if not self._begun() and self._unread and not self._is_obstructed():
            self._driver.discard_input()
            why = f"the program did not read the message within {BEGIN_LIMIT:g} s of Enter"
            raise SendError("begin", f"{why}, and it was taken back{self._seen()}")
        if not self._begun():
            why = f"the program did not take the message within {BEGIN_LIMIT:g} s of Enter"
            raise await self._failure("begin", typed, why)

    async def _choose(self, dialog: Dialog, choice: Choice) -> None:
        """Press the key of a choice. Enter follows only if the choice is displayed as marked, or if
        Enter is the choice."""
        mark, enter = choice.key.removesuffix("\r"), choice.key.endswith("\r")
        self._driver.write(mark.encode())
        reading = self._tracker
        if choice.id == ENTER:
            self._driver.write(b"\r")
        elif not enter:
            await self._confirm(dialog, choice)
        elif await self._driver.until(
            lambda: reading.reading.marked == choice.id or self._is_highlighted(choice),
            MARKED_LIMIT,
        ):
            self._driver.write(b"\r")
        else:
            raise SendError("answer", f"the arrow keys did not mark {choice.label!r}")

    # -- state --------------------------------------------------------------------------------

    def _begun(self) -> bool:
        """Return whether the turn began, even if it was too short to be seen."""
        if self.submitted is not None and self._tracker.fusion.reported(Source.OSC):
            self._driver.begin("osc 7501: a turn too short to be seen")
        return super()._begun()

    @property
    def _unread(self) -> bool:
        return self._driver.line_mode.canonical and bool(self._driver.unread_input())

    def _is_obstructed(self) -> bool:
        return super()._is_obstructed() or self._tracker.reading.dialog is not None

    def _is_highlighted(self, choice: Choice) -> bool:
        """Return whether a choice is marked only by its background colour."""
        rows = (row for row, line in enumerate(self._driver.frame.lines) if choice.label in line)
        return any(choice.label in self._driver.highlighted(row) for row in rows)

    def _gone(self, typed: str) -> bool:
        """Return whether the screen has changed since Enter and the line no longer holds our
        text."""
        if self._driver.frame.version == self._enter_at or self._echoed(typed):
            return False
        composer = self._tracker.reading.composer
        return composer is None or not composer.text

    def _became_line_break(self, typed: str) -> bool:
        """Return whether Enter became a line break: the cursor is in an empty row below the
        text."""
        composer = self._tracker.reading.composer
        if composer is None or not composer.text or self._left().strip(BLANKS + SIDES):
            return False
        return squeeze(composer.text)[-END:] == squeeze(typed)[-END:]

    def _draft(self) -> str:
        """Return the text in the line; without a prompt, what was added to it."""
        composer = self._tracker.reading.composer
        if composer is not None:
            return composer.text
        return self._left().removeprefix(self._base).strip()

    def _left(self) -> str:
        column, row = self._driver.frame.cursor
        return self._driver.frame.lines[row][:column]

    def _seen(self) -> str:
        """Return the end of the screen for an error message."""
        lines = [line for line in self._driver.screen().split("\n") if line.strip()]
        return "; the screen ends with:\n" + "\n".join(lines[-SEEN_ROWS:]) if lines else ""

    # -- cleaning up ---------------------------------------------------------------------------

    async def _failure(self, step: str, typed: str, why: str = "") -> SendError:
        """Erase the message and return the error. Nothing is typed into a possible question."""
        seen = self._seen()
        reading, why = self._tracker, why or "the screen showed what looks like a question"
        await self._driver.until(
            lambda: reading.reading.dialog is None or self._driver.phase is Phase.BLOCKED,
            CLEAR_LIMIT,
        )
        error = await super()._failure(step, typed, why)
        if error.reason != why:
            return error
        if not self._emptied(typed):
            self._leftover = typed
            why += "; the message may still stand in the input line"
        return SendError(step, why + seen)

    async def _empty_composer(self) -> None:
        """Remove leftovers of a failed message, a person or an interrupted turn from the line.
        Raises `SendError` if that fails."""
        if left := self._leftover:
            await self._erase(left)
            if not self._emptied(left):
                raise SendError("check", f"{STUCK}{self._seen()}")
            self._leftover = ""
        self._base = self._left() if self._tracker.reading.composer is None else ""
        await self._driver.until(lambda: not self._draft(), REPAINT)  # the last message, mostly
        if draft := self._draft():
            log.warning("the input line held %d characters, which were removed", len(draft))
            await self._erase(draft)
            if self._draft():
                raise SendError("check", f"{STUCK}{self._seen()}")

    async def _erase(self, text: str) -> None:
        """Erase with the kill key, once per row, else with backspaces; both are harmless in an
        empty line."""
        line = self._driver.line_mode
        kill = line.kill if line.canonical else b"\x15"
        for _ in range(text.count("\n") + 1):
            self._driver.write(kill)
        if await self._driver.until(lambda: self._emptied(text), CLEAR_LIMIT):
            return
        self._driver.write(b"\x7f" * (len(text) + 8))
        await self._driver.until(lambda: self._emptied(text), CLEAR_LIMIT)

    def _emptied(self, text: str) -> bool:
        """Return whether the line is empty; without a prompt, whether none of the text is left."""
        if self._draft():
            return False
        if self._tracker.reading.composer is not None or self._left() == self._before:
            return True
        row = self._driver.frame.cursor[1]
        rows = self._driver.frame.lines[max(0, row - text.count("\n") - 1) : row + 1]
        shown = squeeze("".join(rows))
        return not any(squeeze(line) in shown for line in text.split("\n") if line.strip())

    def tidy(self) -> None:
        """Do nothing: `_empty_composer` removes leftovers before the next message."""
