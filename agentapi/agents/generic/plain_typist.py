"""Type a message into a program of which nothing is known, and see that it was taken.

The same three steps as with an input box that is known (`Typist`), by what all programs have in
common: what is typed shows at the cursor, and has left the line when it was taken. The terminal
itself tells the rest: whether it collects lines, of which length, and whether it echoes.
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
"""Seconds for which keys wait after a dialog was painted: claude drops keys for more than 0.3 s."""
ECHO_LIMIT = 5.0
"""Seconds that a program has to show what was typed: copilot takes 0.3 s on an idle machine."""
BEFORE_ENTER = 0.1
"""Seconds between the text on the screen and Enter: gemini takes an Enter within 30 ms of a paste
for a line break."""
BEFORE_ENTER_AT_MOST = 1.0
"""The same where everything takes longer: twice as long as the text took to show."""
LEFT = 0.1
"""Seconds for which the text must have left the line: a program that paints without synchronized
output may show its line without words for a moment."""
READ_LOOK = 0.1
"""Seconds between two looks whether a line was read."""
REPAINT = 0.3
"""Seconds for which a line may still show the last message: claude says that it is done with a
turn before it has painted that."""
MAX_LINE = 4095
"""Bytes of a line that a terminal in canonical mode takes (`termios(3)`); it drops the rest."""
STUCK = (
    "the input line holds text that cannot be removed, and a message would be joined to it: take it"
    " out at the terminal, or with keystrokes as type raw (Ctrl-U is \\u0015, Ctrl-C \\u0003)"
)
SEEN_ROWS = 12
"""Rows of the screen that an error shows."""

log = logging.getLogger(__name__)


class PlainTypist(Typist):
    """Types into one program; one message at a time."""

    dialog_rest = DIALOG_REST
    _base = ""
    """What stood before the cursor when nothing was typed yet."""
    _before = ""
    """What stood left of the cursor then, prompt and all."""
    _again = False
    """Whether Enter was pressed a second time."""
    _enter_at = 0
    """The version of the frame at which Enter was pressed."""

    async def send(self, text: str) -> None:
        """Send one message. Raises `SendError`; then nothing of it is left in the line."""
        self._driver.catch_up()
        self._check()
        text = self._one_kind_of_line_break(text)
        typed = self._typeable(text)
        try:
            async with self.keyboard:
                await self._empty_composer()
                self._base = self._before = self._left()
                self._again = False
                self._tracker.prepare()
                self._tracker.typing = typed
                with self._or_abandon():
                    self._paste(typed)
                    await self._see_echo(typed)
                    await self._press_enter(text, typed)
                    await self._see_left(typed, TAKEN_LIMIT)
            with self._or_abandon():
                await self._see_begin(typed)
        finally:
            self._tracker.typing = ""

    # -- the steps ---------------------------------------------------------------------------

    def _check(self) -> None:
        """Refuse before anything is typed."""
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
        """What to type, if the terminal can take it as one message."""
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

    async def _see_echo(self, typed: str) -> None:
        began = asyncio.get_running_loop().time()
        seen = await self._driver.until(lambda: self._echoed(typed) or self._hindered(), ECHO_LIMIT)
        if self._hindered():
            raise await self._given_up("echo", typed)
        if not seen:
            raise await self._given_up(
                "echo", typed, f"the program does not show the message after {ECHO_LIMIT:g} s"
            )
        took = asyncio.get_running_loop().time() - began
        await asyncio.sleep(min(max(BEFORE_ENTER, 2 * took), BEFORE_ENTER_AT_MOST))

    async def _press_enter(self, text: str, typed: str) -> None:
        """Nothing may happen between the last look at the screen and the key."""
        self._driver.catch_up()
        if self._hindered():
            raise await self._given_up("echo", typed)
        if not self._echoed(typed):
            raise await self._given_up("echo", typed, "the message went away before Enter")
        self._enter_at = self._driver.frame.version
        self.submitting(text)
        self._driver.write(b"\r")

    async def _see_left(self, typed: str, limit: float) -> None:
        """See the message taken: by the program's own signal, or because it left the line."""

        def moved() -> bool:
            return self._begun() or self._gone(typed) or self._broke_line(typed)

        while await self._driver.until(moved, limit):
            if self._begun():
                return
            if self._broke_line(typed):
                await self._enter_again(typed)
                continue
            if not await self._driver.until(lambda: self._begun() or not self._gone(typed), LEFT):
                if not await self._was_read(limit):
                    return
                self._driver.begin("the message left the input line")
                return

    async def _was_read(self, limit: float) -> bool:
        """Whether the program reads the line: where the kernel collects lines it echoes them, and
        they leave the input line, without the program. No output need tell of it."""
        loop = asyncio.get_running_loop()
        end = loop.time() + limit
        while self._unread and loop.time() < end:
            await self._driver.until(lambda: not self._unread, READ_LOOK)
        return not self._unread

    async def _enter_again(self, typed: str) -> None:
        """Take back the line break that Enter became, and press Enter once more: the message was
        seen to wait in the line."""
        self._driver.write(b"\x7f")
        back = await self._driver.until(lambda: self._echoed(typed) or self._hindered(), ECHO_LIMIT)
        await asyncio.sleep(BEFORE_ENTER_AT_MOST)
        self._driver.catch_up()
        again, self._again = self._again, True
        if again or not back or self._hindered() or not self._echoed(typed):
            raise await self._given_up("begin", typed, "the program took Enter for a line break")
        self._enter_at = self._driver.frame.version
        self._driver.write(b"\r")

    async def _see_begin(self, typed: str) -> None:
        if not self._begun():
            await self._see_left(typed, BEGIN_LIMIT - TAKEN_LIMIT)
        if not self._begun() and self._unread and not self._hindered():
            self._driver.take_back()
            why = f"the program did not read the message within {BEGIN_LIMIT:g} s of Enter"
            raise SendError("begin", f"{why}, and it was taken back{self._seen()}")
        if not self._begun():
            why = f"the program did not take the message within {BEGIN_LIMIT:g} s of Enter"
            raise await self._given_up("begin", typed, why)

    async def _choose(self, dialog: Dialog, choice: Choice) -> None:
        """A key picks a choice, or marks it; Enter takes only a choice that is seen marked, unless
        it is all that the program asks for."""
        mark, enter = choice.key.removesuffix("\r"), choice.key.endswith("\r")
        self._driver.write(mark.encode())
        reading = self._tracker
        if choice.id == ENTER:
            self._driver.write(b"\r")
        elif not enter:
            await self._confirm(dialog, choice)
        elif await self._driver.until(
            lambda: reading.reading.marked == choice.id or self._lit(choice), MARKED_LIMIT
        ):
            self._driver.write(b"\r")
        else:
            raise SendError("answer", f"the arrow keys did not mark {choice.label!r}")

    # -- what they see -------------------------------------------------------------------------

    def _begun(self) -> bool:
        """A turn that is over before it was seen to begin has begun, too."""
        if self.submitted is not None and self._tracker.fusion.reported(Source.OSC):
            self._driver.begin("osc 7501: a turn too short to be seen")
        return super()._begun()

    @property
    def _unread(self) -> bool:
        return self._driver.line_mode.canonical and bool(self._driver.unread_input())

    def _hindered(self) -> bool:
        return super()._hindered() or self._tracker.reading.dialog is not None

    def _lit(self, choice: Choice) -> bool:
        """Whether a choice is marked by nothing but its ground."""
        rows = (row for row, line in enumerate(self._driver.frame.lines) if choice.label in line)
        return any(choice.label in self._driver.highlighted(row) for row in rows)

    def _gone(self, typed: str) -> bool:
        """Whether the screen has changed since Enter and the line holds no words of ours."""
        if self._driver.frame.version == self._enter_at or self._echoed(typed):
            return False
        composer = self._tracker.reading.composer
        return composer is None or not composer.text

    def _broke_line(self, typed: str) -> bool:
        """Whether Enter became a line break: the cursor stands in an empty row below the words."""
        composer = self._tracker.reading.composer
        if composer is None or not composer.text or self._left().strip(BLANKS + SIDES):
            return False
        return squeeze(composer.text)[-END:] == squeeze(typed)[-END:]

    def _draft(self) -> str:
        """What stands in the line; where no prompt shows, what did not stand there before."""
        composer = self._tracker.reading.composer
        if composer is not None:
            return composer.text
        return self._left().removeprefix(self._base).strip()

    def _left(self) -> str:
        column, row = self._driver.frame.cursor
        return self._driver.frame.lines[row][:column]

    def _seen(self) -> str:
        """The end of the screen, for an error."""
        lines = [line for line in self._driver.screen().split("\n") if line.strip()]
        return "; the screen ends with:\n" + "\n".join(lines[-SEEN_ROWS:]) if lines else ""

    # -- cleaning up ---------------------------------------------------------------------------

    async def _given_up(self, step: str, typed: str, why: str = "") -> SendError:
        """Erase the message, if it can be seen: not into what may be a question."""
        seen = self._seen()
        reading, why = self._tracker, why or "the screen showed what looks like a question"
        await self._driver.until(
            lambda: reading.reading.dialog is None or self._driver.phase is Phase.BLOCKED,
            CLEAR_LIMIT,
        )
        error = await super()._given_up(step, typed, why)
        if error.reason != why:
            return error
        if not self._emptied(typed):
            self._left_behind = typed
            why += "; the message may still stand in the input line"
        return SendError(step, why + seen)

    async def _empty_composer(self) -> None:
        """Take out what a message that failed, somebody, or an interrupted turn left in the line;
        nothing is typed behind it."""
        if left := self._left_behind:
            await self._erase(left)
            if not self._emptied(left):
                raise SendError("check", f"{STUCK}{self._seen()}")
            self._left_behind = ""
        self._base = self._left() if self._tracker.reading.composer is None else ""
        await self._driver.until(lambda: not self._draft(), REPAINT)  # the last message, mostly
        if draft := self._draft():
            log.warning("the input line held %d characters, which were removed", len(draft))
            await self._erase(draft)
            if self._draft():
                raise SendError("check", f"{STUCK}{self._seen()}")

    async def _erase(self, text: str) -> None:
        """By the key that erases a line, once a row, else by backspaces; both are harmless in an
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
        """Whether the line is seen to hold nothing; where no prompt shows, none of the text."""
        if self._draft():
            return False
        if self._tracker.reading.composer is not None or self._left() == self._before:
            return True
        row = self._driver.frame.cursor[1]
        rows = self._driver.frame.lines[max(0, row - text.count("\n") - 1) : row + 1]
        shown = squeeze("".join(rows))
        return not any(squeeze(line) in shown for line in text.split("\n") if line.strip())

    def tidy(self) -> None:
        """A message that a question covered when it failed is taken out before the next one."""
