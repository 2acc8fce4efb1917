"""Codex's TUI on an app-server that we are a client of too.

The screen stays what people see and what the messages are made of; what the link says goes first
for the phase, carries the sends, the interrupts and the answers, and tells the exact items besides.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentapi.codex.link import CodexLink
from agentapi.codex.link_events import (
    Asked,
    Failure,
    Followed,
    ItemSeen,
    LinkEvent,
    Lost,
    Standing,
    TurnSeen,
    UsageSeen,
)
from agentapi.codex.rpc import RpcError, RpcLost
from agentapi.conversation.model import Phase
from agentapi.conversation.status import Source
from agentapi.conversation.tracker import Said
from agentapi.drivers.base import (
    Busy,
    DialogOpen,
    ItemChanged,
    SendError,
    SessionKnown,
    TurnChanged,
    UsageChanged,
)
from agentapi.drivers.tui import ANSWER_LIMIT, INTERRUPT_LIMIT, TuiDriver
from agentapi.transcript_items import AgentMessage, UserMessage

LAST_WORDS = 12
"""Letters of the end of an answer that the screen must show before the turn's end is told."""
PAINT_LIMIT = 2.0
"""Seconds that the screen may lag behind the link: 0.142 paints on for half a second after the end
of a turn, and a busy machine adds to that."""
RECENT = 8
"""User messages of the link that are kept to put right what the screen shows of them."""

_NO_LETTERS = re.compile(r"[\W_]+")

log = logging.getLogger(__name__)


class LinkedTui(TuiDriver):
    """One TUI and the link beside it. `lost` is told, once, that the link is of no use any more."""

    def __init__(
        self, *args: Any, link: CodexLink, lost: Callable[[str], None], **named: Any
    ) -> None:
        super().__init__(*args, **named)
        self.link = link
        self._lost = lost
        self.usage: Mapping[str, object] | None = None
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._last_words = ""
        """The end of the answer, letters only."""
        self._sending: str | None = None
        """The message whose turn was asked for; only the link says that it began."""

    # -- the driver's face -----------------------------------------------------------------------

    async def send(self, text: str) -> None:
        """Begin a turn by a call: nothing is typed, and every character is text.

        Raises `SendError`."""
        self.catch_up()
        self._check()
        if self.link.thread is None:  # no session on the link yet, or not any more
            await super().send(text)
            return
        self.tracker.prepare()
        self.tracker.submit(text)
        self._sending = text
        try:
            await self.link.send(text)
        except (RpcError, RpcLost, TimeoutError) as error:
            self._take_back()
            raise SendError("begin", str(error) or "no turn began") from error
        except asyncio.CancelledError:
            self._take_back()
            raise
        self._begin_sent("link: turn started")

    async def interrupt(self) -> None:
        """End the turn by a call, and see it end; a no-op between turns."""
        if self.phase not in (Phase.WORKING, Phase.BLOCKED):
            return
        try:
            known = await self.link.interrupt()
        except RpcLost as error:
            raise SendError("interrupt", str(error)) from error
        if not known:
            await super().interrupt()
            return
        await self.until(lambda: self.phase not in (Phase.WORKING, Phase.BLOCKED), INTERRUPT_LIMIT)

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        """Answer the open dialog: by a call where the agent asked on the link, else by its key.

        Raises `LookupError`, and `SendError` when the dialog stays open."""
        asked = self.link.asks(dialog_id)
        if asked is None:
            await super().answer(dialog_id, choice_id)
            return
        try:
            await self.link.answer(asked, choice_id)
        except RpcLost as error:
            raise SendError("answer", str(error)) from error
        if not await self.until(lambda: self.link.asks(dialog_id) is None, ANSWER_LIMIT):
            raise SendError("answer", f"the dialog is still open {ANSWER_LIMIT:g} s after it")

    def _check(self) -> None:
        """Refuse before anything is sent."""
        state = self.tracker.state
        if state.phase is Phase.BLOCKED:
            raise DialogOpen(self.tracker.reading.dialog_text or state.because)
        if state.phase is not Phase.IDLE:
            raise Busy

    def _begin_sent(self, because: str) -> None:
        """The message's turn began: tell it, once."""
        if self._sending is not None:
            self.typist.submitted, self._sending = self._sending, None
            self.begin(because)

    def _take_back(self) -> None:
        if self._sending is not None:
            self._sending = None
            self.tracker.abandon()

    # -- what the link says ------------------------------------------------------------------------

    def linked(self, event: LinkEvent) -> None:
        """Take what the link tells."""
        match event:
            case Followed(thread, record):
                self._emit(SessionKnown(thread, record))
            case Standing(phase, detail):
                if phase is not Phase.IDLE:
                    self._begin_sent(f"link: {detail}")
                self.tracker.fusion.note(Source.LINK, phase, detail)
                self._evaluate()
            case Asked(dialog):
                self.tracker.ask(dialog)
                self._evaluate()
            case ItemSeen(turn, number, item, partial):
                if isinstance(item, UserMessage) and not partial:
                    self._recent.append(item.text)
                elif isinstance(item, AgentMessage) and not partial:
                    self._last_words = _letters(item.text)[-LAST_WORDS:]
                self._emit(ItemChanged(turn, number, item, partial))
            case TurnSeen(turn, what, reason, duration):
                self._emit(TurnChanged(turn, what, reason, duration))
            case UsageSeen(usage):
                self.usage = usage
                self._emit(UsageChanged(usage))
            case Failure(message, retries):
                log.info("Codex told an error%s: %s", ", and tries again" * retries, message)
            case Lost(why):
                self._lost(why)

    def unlink(self) -> None:
        """The link says nothing any more."""
        self.tracker.ask(None)
        self.tracker.fusion.withdraw(Source.LINK)
        self._evaluate()

    def _drained(self) -> None:
        """No more frames come; but the screen must show what the link has told."""
        if self._draining.elapsed < PAINT_LIMIT and not self._painted():
            self._draining.restart()
            return
        super()._drained()

    def _painted(self) -> bool:
        if self.phase is Phase.BLOCKED:  # else a key would go to the composer
            return self.tracker.reading.dialog is not None
        return self._last_words in _letters("".join(self.frame.lines))

    def _say(self, said: Sequence[Said]) -> None:
        """A person's words as they were typed, where the link has them: the screen wraps them."""
        super()._say([self._exact(part) if part.by_user else part for part in said])

    def _exact(self, part: Said) -> Said:
        shown = "".join(part.text.split())
        for text in reversed(self._recent):
            if "".join(text.split()) == shown:
                return Said(text, by_user=True)
        return part


def _letters(text: str) -> str:
    return _NO_LETTERS.sub("", text)
