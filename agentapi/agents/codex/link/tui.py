"""Codex's TUI on an app-server that we are a client of too.

The screen stays what people see and what the messages are made of; what the link says goes first
for the phase, carries the sends, the interrupts and the answers, and tells the exact items besides.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentapi.agents.codex.link.events import Asked, Failure, LinkEvent, Lost, Standing
from agentapi.agents.codex.link.link import CodexLink
from agentapi.agents.codex.link.rpc import RpcError, RpcLost
from agentapi.agents.generic.stopper import INTERRUPT_AGAIN, INTERRUPT_LIMIT
from agentapi.agents.generic.tui import ANSWER_LIMIT, TuiDriver
from agentapi.conversation.completeness import PAINT_LIMIT, STALL_LIMIT, Owed
from agentapi.conversation.question import same_question
from agentapi.conversation.status import Source
from agentapi.conversation.tracker import Said
from agentapi.model.comparison import squeeze
from agentapi.model.conversation import Dialog, Phase
from agentapi.model.errors import Busy, DialogOpen, SendError
from agentapi.model.events import ItemChanged, SessionKnown, TurnChanged, UsageChanged
from agentapi.model.items import AgentMessage, Entry, Turn, UserMessage

OPEN_LIMIT = 5.0
"""Seconds that the link has to tell of the TUI's session (0.3 s after its start; on a busy machine
0.4 s after its input box is there): before that a message would have to be typed."""
BEGIN_LIMIT = 15.0
"""Seconds that a turn has to begin after Codex took its message (3 to 20 ms measured)."""
END_LIMIT = 1.0
"""Seconds without a new frame after which the screen is complete, when it shows the last line that
the link told, but not every line: some are drawn differently."""
RECENT = 8
"""User messages of the link that are kept to put right what the screen shows of them."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Sending:
    """A message on its way: its turn is told when Codex has taken it and the turn was seen to
    begin, in either order."""

    text: str
    turn: str | None = None
    """The turn's id, once Codex has taken the message."""
    begun: str = ""
    """By what the turn was seen to begin."""


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
        self._owed = Owed()
        self._sending: Sending | None = None
        self._recorded_turn = ""
        """The id of the last turn that the rollout says began."""
        self._linked_ids: dict[str, str] = {}
        """The link's ids of questions that the screen showed first, by the ids they have there."""
        self._loss = ""
        """Why the link is of no use any more."""

    # -- the driver's face -----------------------------------------------------------------------

    async def send(self, text: str) -> None:
        """Begin a turn by a call: nothing is typed, and every character is text.

        Raises `SendError`."""
        self.catch_up()
        self._read()  # what was said before is told before
        self._check()
        if self.link.thread is None:  # no session on the link yet, or not any more
            await super().send(text)
            return
        self.tracker.prepare()
        self.tracker.submit(text)
        self._sending = sending = Sending(text)
        try:
            sending.turn = await self.link.send(text)
            self._evaluate()
            await self.until(lambda: self._sending is not sending or bool(self._loss), BEGIN_LIMIT)
            if self._sending is sending:
                raise SendError("begin", self._why_not())
        except (RpcError, RpcLost) as error:
            raise SendError("begin", str(error)) from error
        finally:
            if self._sending is sending:
                self._sending = None
                self.tracker.abandon()
                self._evaluate()

    async def interrupt(self) -> None:
        """End the turn by a call, and see it end; a no-op between turns."""
        if self.phase not in (Phase.WORKING, Phase.BLOCKED):
            return
        try:
            known = await self.link.interrupt()
            if known and not await self.until(self.told_over, INTERRUPT_AGAIN):
                await self.link.interrupt()
        except RpcLost as error:
            raise SendError("interrupt", str(error)) from error
        if not known:
            await super().interrupt()
            return
        await self.until(self.told_over, INTERRUPT_LIMIT)

    async def answer(self, dialog_id: str, choice_id: str) -> None:
        """Answer the open dialog: by a call where the agent asked on the link, else by its key.

        Raises `LookupError`, and `SendError` when the dialog stays open."""
        linked = self._linked_ids.get(dialog_id, dialog_id)
        asked = self.link.asks(linked)
        if asked is None:
            await super().answer(dialog_id, choice_id)
            return
        try:
            await self.link.answer(asked, choice_id)
        except RpcLost as error:
            raise SendError("answer", str(error)) from error
        if not await self.until(lambda: self.link.asks(linked) is None, ANSWER_LIMIT):
            raise SendError("answer", f"the dialog is still open {ANSWER_LIMIT:g} s after it")

    def _check(self) -> None:
        """Refuse before anything is sent."""
        state = self.tracker.state
        if state.phase is Phase.BLOCKED:
            raise DialogOpen(self.tracker.dialog_text or state.because)
        if state.phase is not Phase.IDLE:
            raise Busy

    def _why_not(self) -> str:
        if self.phase is Phase.EXITED:
            return self.tracker.state.because
        return self._loss or f"Codex took the message and began no turn within {BEGIN_LIMIT:g} s"

    def _saw_begin(self, because: str) -> None:
        """A turn began while a message was on its way: it is the message's."""
        if self._sending is not None:
            self._sending.begun = self._sending.begun or because

    def _evaluate(self) -> None:
        """Tell the sent message as soon as its turn runs, before anything that answers it."""
        if (sending := self._sending) is not None:
            if self.phase is Phase.WORKING:
                self._saw_begin(self.tracker.state.because)
            if sending.turn and sending.turn == self._recorded_turn:
                self._saw_begin("rollout: turn started")
            if sending.turn is not None and sending.begun:
                self._sending, self.typist.submitted = None, sending.text
                self.begin(sending.begun)
        super()._evaluate()

    @property
    def _settling_time(self) -> float:
        return OPEN_LIMIT if self.link.thread is None else super()._settling_time

    def _report(self) -> None:
        """A turn that may be the sent message's is told with the message, or when that failed."""
        if self._sending is None or not self._sending.begun:
            super()._report()

    def recorded(self, entries: Sequence[Entry], anew: bool = False) -> None:
        """The rollout tells a turn's beginning some 7 ms before the app-server does."""
        for entry in entries:
            if entry.item == Turn("started"):
                self._recorded_turn = entry.key
        super().recorded(entries, anew)

    # -- what the link says ------------------------------------------------------------------------

    def linked(self, event: LinkEvent) -> None:
        """Take what the link tells."""
        match event:
            case SessionKnown():
                self._settling.cancel()  # as long as usual from now on
                self._emit(event)
            case Standing(phase, detail):
                if phase is not Phase.IDLE:
                    self._saw_begin(f"link: {detail}")
                self.tracker.fusion.note(Source.LINK, phase, detail)
                self._evaluate()
            case Asked(dialog):
                self.tracker.ask(dialog and self._as_told(dialog))
                self._evaluate()
            case ItemChanged(turn, _, item, partial):
                if isinstance(item, UserMessage) and not partial:
                    self._recent.append(item.text)
                elif isinstance(item, AgentMessage) and not partial:
                    self._owed.add(turn, item.text)
                self._emit(event)
            case TurnChanged():
                if event.event == "started":
                    self._owed.clear()
                    self._saw_begin("link: turn started")
                    self._evaluate()
                self._emit(event)
            case UsageChanged(usage):
                self.usage = usage
                self._emit(event)
            case Failure(message, retries):
                log.info("Codex told an error%s: %s", ", and tries again" * retries, message)
            case Lost(why):
                self._loss = why
                self._changed.set()
                self._lost(why)

    def _as_told(self, dialog: Dialog) -> Dialog:
        """The link's question under the id of the screen's, where that was seen first: clients know
        it already, and its choices."""
        shown = self.tracker.state.dialog
        first = shown is not None and not self.tracker.asks
        if shown and first and same_question(dialog, shown) and _labels(dialog) == _labels(shown):
            self._linked_ids[shown.id] = dialog.id
        told = next((id for id, linked in self._linked_ids.items() if linked == dialog.id), None)
        return replace(dialog, id=told) if told else dialog

    # -- what the screen still owes ----------------------------------------------------------------

    def _all_painted(self) -> bool:
        """Whether the screen shows the end of the turn: its mark, or all that was said in it."""
        if self._owed and self.phase is Phase.IDLE and not self._tui_works():
            self._read()
            self._complete = self._complete or self._owed.whole(self.tracker.text)
        return super()._all_painted()

    def _patience(self) -> float:
        """Seconds without a new frame after which none is waited for."""
        if self.phase is Phase.BLOCKED:  # else a key would go to the composer
            return 0.0 if self.tracker.complete else PAINT_LIMIT
        whole = self._owed.whole(self.tracker.text)
        if self._tui_works():
            return PAINT_LIMIT if self._owed and whole else STALL_LIMIT
        if whole:
            return super()._patience()  # the record may have told more than the link
        return END_LIMIT if self._owed.ended(self.tracker.text) else PAINT_LIMIT

    def _tui_works(self) -> bool:
        """What the TUI itself says, whatever the link knows already."""
        told = self.tracker.fusion.evidence
        said = told.get(Source.OSC) or told.get(Source.TITLE)
        return bool(self.tracker.reading.working) or (
            said is not None and said.phase is Phase.WORKING
        )

    def _say(self, said: Sequence[Said]) -> None:
        """A person's words as they were typed, where the link has them: the screen wraps them."""
        super()._say([self._exact(part) if part.by_user else part for part in said])

    def _exact(self, part: Said) -> Said:
        shown = squeeze(part.text)
        for text in reversed(self._recent):
            if squeeze(text) == shown:
                return Said(text, by_user=True)
        return part


def _labels(dialog: Dialog) -> list[tuple[str, str]]:
    return [(choice.id, squeeze(choice.label)) for choice in dialog.choices]
