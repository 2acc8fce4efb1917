"""Codex's app-server as the companion of its TUI: we are a client of it, too.

The screen stays what people see and what the messages are made of. What the link says goes first
for the phase; sends, interrupts and answers are calls instead of keys; and it
reports the exact items besides.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from agentapi.agents.codex.link.events import Asked, Failure, LinkEvent, Lost, Standing
from agentapi.agents.codex.link.link import CodexLink
from agentapi.agents.codex.link.rpc import RpcError, RpcLost
from agentapi.agents.generic.companion import Driven
from agentapi.agents.generic.stopper import INTERRUPT_AGAIN, INTERRUPT_LIMIT
from agentapi.agents.generic.tui import ANSWER_LIMIT
from agentapi.conversation.completeness import PAINT_LIMIT, STALL_LIMIT, ExpectedText
from agentapi.conversation.question import same_question
from agentapi.conversation.status import Source
from agentapi.model.comparison import squeeze
from agentapi.model.conversation import Dialog, Phase
from agentapi.model.errors import Busy, DialogOpen, SendError
from agentapi.model.events import ItemChanged, SessionKnown, TurnChanged, UsageChanged
from agentapi.model.items import AgentMessage, Entry, Turn, UserMessage

OPEN_LIMIT = 5.0
"""Seconds that the link has to report the TUI's session (0.3 s after its start; on a busy machine
0.4 s after its input box is there): before that a message would have to be typed."""
BEGIN_LIMIT = 15.0
"""Seconds that a turn has to begin after Codex took its message (3 to 20 ms measured)."""
END_LIMIT = 1.0
"""Seconds without a new frame after which the screen is complete, when it shows the last line that
the link reported, but not every line: some are drawn differently."""
RECENT = 8
"""User messages of the link that are kept to put right what the screen shows of them."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Sending:
    """A message on its way: it is published when Codex has taken it and its turn was seen to
    begin, in either order."""

    text: str
    turn: str | None = None
    """The turn's id, once Codex has taken the message."""
    begun: str = ""
    """By what the turn was seen to begin."""


class LinkCompanion:
    """The link beside one TUI. `lost` is called, once, when the link is of no use any more."""

    _driver: Driven

    def __init__(self, link: CodexLink, lost: Callable[[str], None]) -> None:
        self.link = link
        self._lost = lost
        self.usage: Mapping[str, object] | None = None
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._expected = ExpectedText()
        self._sending: Sending | None = None
        self._recorded_turn = ""
        """The id of the last turn that the rollout says began."""
        self._linked_ids: dict[str, str] = {}
        """The link's ids of questions that the screen showed first, by the ids they have there."""
        self._loss = ""
        """Why the link is of no use any more."""

    def attach(self, driver: Driven) -> None:
        """The driver of the TUI."""
        self._driver = driver

    # -- instead of keys -------------------------------------------------------------------------

    async def send(self, text: str) -> bool:
        """Begin a turn by a call: nothing is typed, and every character is text. False when there
        is no session on the link yet, or not any more.

        Raises `SendError`."""
        if self.link.thread is None:
            return False
        driver = self._driver
        driver.catch_up()
        driver.read()  # what was said before is published before
        self._check()
        driver.tracker.prepare()
        driver.tracker.submit(text)
        self._sending = sending = Sending(text)
        try:
            sending.turn = await self.link.send(text)
            driver.evaluate()
            await driver.until(
                lambda: self._sending is not sending or bool(self._loss), BEGIN_LIMIT
            )
            if self._sending is sending:
                raise SendError("begin", self._why_not())
        except (RpcError, RpcLost) as error:
            raise SendError("begin", str(error)) from error
        finally:
            if self._sending is sending:
                self._sending = None
                driver.tracker.abandon()
                driver.evaluate()
        return True

    async def interrupt(self) -> bool:
        """End the turn by a call, and see it end; a no-op between turns. False when the link knows
        of no turn."""
        driver = self._driver
        if driver.phase not in (Phase.WORKING, Phase.BLOCKED):
            return True
        try:
            known = await self.link.interrupt()
            if known and not await driver.until(driver.end_published, INTERRUPT_AGAIN):
                await self.link.interrupt()
        except RpcLost as error:
            raise SendError("interrupt", str(error)) from error
        if known:
            await driver.until(driver.end_published, INTERRUPT_LIMIT)
        return known

    async def answer(self, dialog_id: str, choice_id: str) -> bool:
        """Answer the open dialog by a call. False where the agent did not ask on the link.

        Raises `LookupError`, and `SendError` when the dialog stays open."""
        linked = self._linked_ids.get(dialog_id, dialog_id)
        asked = self.link.asks(linked)
        if asked is None:
            return False
        try:
            await self.link.answer(asked, choice_id)
        except RpcLost as error:
            raise SendError("answer", str(error)) from error
        if not await self._driver.until(lambda: self.link.asks(linked) is None, ANSWER_LIMIT):
            raise SendError("answer", f"the dialog is still open {ANSWER_LIMIT:g} s after it")
        return True

    def _check(self) -> None:
        """Refuse before anything is sent."""
        tracker = self._driver.tracker
        state = tracker.state
        if state.phase is Phase.BLOCKED:
            raise DialogOpen(tracker.dialog_text or state.because)
        if state.phase is not Phase.IDLE:
            raise Busy

    def _why_not(self) -> str:
        if self._driver.phase is Phase.EXITED:
            return self._driver.tracker.state.because
        return self._loss or f"Codex took the message and began no turn within {BEGIN_LIMIT:g} s"

    # -- when a sent message's turn begins -------------------------------------------------------

    def _saw_begin(self, because: str) -> None:
        """A turn began while a message was on its way: it is the message's."""
        if self._sending is not None:
            self._sending.begun = self._sending.begun or because

    def evaluated(self) -> None:
        """Publish the sent message as soon as its turn runs, before anything that answers it."""
        sending, driver = self._sending, self._driver
        if sending is None:
            return
        if driver.phase is Phase.WORKING:
            self._saw_begin(driver.tracker.state.because)
        if sending.turn and sending.turn == self._recorded_turn:
            self._saw_begin("rollout: turn started")
        if sending.turn is not None and sending.begun:
            self._sending = None
            driver.open_turn(sending.text, sending.begun)

    def recorded(self, entries: Sequence[Entry]) -> None:
        """The rollout has a turn's beginning some 7 ms before the app-server reports it."""
        for entry in entries:
            if entry.item == Turn("started"):
                self._recorded_turn = entry.key

    @property
    def holds_phase(self) -> bool:
        """A turn that may be the sent message's is published with it, or when that failed."""
        return self._sending is not None and bool(self._sending.begun)

    @property
    def settling_time(self) -> float | None:
        """Longer, until the link knows the session."""
        return OPEN_LIMIT if self.link.thread is None else None

    # -- what the link says ------------------------------------------------------------------------

    def linked(self, event: LinkEvent) -> None:
        """Take an event of the link."""
        driver = self._driver
        match event:
            case SessionKnown():
                driver.restart_settling()  # as long as usual from now on
                driver.publish(event)
            case Standing(phase, detail):
                if phase is not Phase.IDLE:
                    self._saw_begin(f"link: {detail}")
                driver.tracker.fusion.record(Source.LINK, phase, detail)
                driver.evaluate()
            case Asked(dialog):
                driver.tracker.set_question(dialog and self._with_known_id(dialog))
                driver.evaluate()
            case ItemChanged(turn, _, item, partial):
                if isinstance(item, UserMessage) and not partial:
                    self._recent.append(item.text)
                elif isinstance(item, AgentMessage) and not partial:
                    self._expected.add(turn, item.text)
                driver.publish(event)
            case TurnChanged():
                if event.event == "started":
                    self._expected.clear()
                    self._saw_begin("link: turn started")
                    driver.evaluate()
                driver.publish(event)
            case UsageChanged(usage):
                self.usage = usage
                driver.publish(event)
            case Failure(message, retries):
                log.info("Codex told an error%s: %s", ", and tries again" * retries, message)
            case Lost(why):
                self._loss = why
                driver.wake()
                self._lost(why)

    def _with_known_id(self, dialog: Dialog) -> Dialog:
        """The link's question under the id of the screen's, where that was seen first: clients know
        it already, and its choices."""
        tracker = self._driver.tracker
        shown = tracker.state.dialog
        first = shown is not None and not tracker.question_reported
        if shown and first and same_question(dialog, shown) and _labels(dialog) == _labels(shown):
            self._linked_ids[shown.id] = dialog.id
        told = next((id for id, linked in self._linked_ids.items() if linked == dialog.id), None)
        return replace(dialog, id=told) if told else dialog

    # -- what the screen has yet to show -----------------------------------------------------------

    def end_displayed(self) -> bool:
        """Whether the screen shows all that was said in the turn, once the TUI has seen its end."""
        if not self._expected or self._driver.phase is not Phase.IDLE or self._tui_works():
            return False
        self._driver.read()
        return self._expected.is_shown_in(self._driver.tracker.message.text)

    @property
    def patience(self) -> float | None:
        """Seconds without a new frame after which none is waited for."""
        tracker = self._driver.tracker
        if self._driver.phase is Phase.BLOCKED:  # else a key would go to the composer
            return 0.0 if tracker.screen.complete else PAINT_LIMIT
        whole = self._expected.is_shown_in(tracker.message.text)
        if self._tui_works():
            return PAINT_LIMIT if self._expected and whole else STALL_LIMIT
        if whole:
            return None  # the record may have more than the link
        return END_LIMIT if self._expected.end_is_shown_in(tracker.message.text) else PAINT_LIMIT

    def _tui_works(self) -> bool:
        """What the TUI itself says, whatever the link knows already."""
        tracker = self._driver.tracker
        told = tracker.fusion.evidence
        said = told.get(Source.OSC) or told.get(Source.TITLE)
        return bool(tracker.reading.working) or (said is not None and said.phase is Phase.WORKING)

    def original_text(self, text: str) -> str:
        """A person's words as they were typed, where the link has them: the screen wraps them."""
        shown = squeeze(text)
        return next((known for known in reversed(self._recent) if squeeze(known) == shown), text)


def _labels(dialog: Dialog) -> list[tuple[str, str]]:
    return [(choice.id, squeeze(choice.label)) for choice in dialog.choices]
