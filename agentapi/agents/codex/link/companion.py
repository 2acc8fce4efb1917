"""Drive Codex's TUI with the help of its app-server, of which we are a client, too.

Messages are still read from the screen. The link has precedence for the phase; sends, interrupts
and answers are calls instead of keys; and the link reports the exact items.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from agentapi.agents.codex.link.events import (
    DialogChanged,
    ErrorReported,
    LinkEvent,
    LinkLost,
    PhaseReported,
)
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
"""Seconds for the link to report the TUI's session (0.3 s after its start; on a busy machine 0.4 s
after its input box appears): before that a message would have to be typed."""
BEGIN_LIMIT = 15.0
"""Seconds for a turn to start after Codex accepted its message (3 to 20 ms measured)."""
END_LIMIT = 1.0
"""Seconds without a new frame after which the screen is complete, when it shows the last line that
the link reported, but not every line: some are rendered differently."""
RECENT = 8
"""User messages of the link that are kept to correct their text on the screen."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Sending:
    """A message being sent. It is published when Codex has accepted it and its turn has started,
    in either order."""

    text: str
    turn: str | None = None
    """The turn's id, once Codex has accepted the message."""
    started_by: str = ""
    """The evidence that the turn has started."""


class LinkCompanion:
    """The link beside one TUI. `on_lost` is called once, when the link is lost."""

    _driver: Driven

    def __init__(self, link: CodexLink, on_lost: Callable[[str], None]) -> None:
        self.link = link
        self._on_lost = on_lost
        self.usage: Mapping[str, object] | None = None
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._expected = ExpectedText()
        self._sending: Sending | None = None
        self._recorded_turn = ""
        """The id of the last turn that has started according to the rollout."""
        self._link_ids: dict[str, str] = {}
        """The link's ids of dialogs that the screen showed first, by the screen's ids."""
        self._lost_reason = ""
        """Why the link was lost."""

    def attach(self, driver: Driven) -> None:
        """The driver of the TUI."""
        self._driver = driver

    # -- instead of keys -------------------------------------------------------------------------

    async def send(self, text: str) -> bool:
        """Start a turn by a call: nothing is typed, and no character is special. Return False
        while the link has no session.

        Raises `SendError`."""
        if self.link.thread is None:
            return False
        driver = self._driver
        driver.catch_up()
        driver.read()  # publish earlier text first
        self._check()
        driver.tracker.prepare()
        driver.tracker.submit(text)
        self._sending = sending = Sending(text)
        try:
            sending.turn = await self.link.send(text)
            driver.evaluate()
            await driver.until(
                lambda: self._sending is not sending or bool(self._lost_reason), BEGIN_LIMIT
            )
            if self._sending is sending:
                raise SendError("begin", self._failure())
        except (RpcError, RpcLost) as error:
            raise SendError("begin", str(error)) from error
        finally:
            if self._sending is sending:
                self._sending = None
                driver.tracker.abandon()
                driver.evaluate()
        return True

    async def interrupt(self) -> bool:
        """Interrupt the turn by a call and wait for its end; a no-op between turns. Return False
        when the link has no turn."""
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
        """Answer the open dialog by a call; return False when it did not come by the link.

        Raises `LookupError`, and `SendError` when the dialog stays open."""
        link_id = self._link_ids.get(dialog_id, dialog_id)
        question = self.link.find_question(link_id)
        if question is None:
            return False
        try:
            await self.link.answer(question, choice_id)
        except RpcLost as error:
            raise SendError("answer", str(error)) from error
        if not await self._driver.until(
            lambda: self.link.find_question(link_id) is None, ANSWER_LIMIT
        ):
            raise SendError("answer", f"the dialog is still open {ANSWER_LIMIT:g} s after it")
        return True

    def _check(self) -> None:
        """Check that the agent is idle. Raises `DialogOpen`, `Busy`."""
        tracker = self._driver.tracker
        state = tracker.state
        if state.phase is Phase.BLOCKED:
            raise DialogOpen(tracker.dialog_text or state.reason)
        if state.phase is not Phase.IDLE:
            raise Busy

    def _failure(self) -> str:
        if self._driver.phase is Phase.EXITED:
            return self._driver.tracker.state.reason
        return (
            self._lost_reason
            or f"Codex took the message and began no turn within {BEGIN_LIMIT:g} s"
        )

    # -- the start of a sent message's turn ------------------------------------------------------

    def _saw_start(self, reason: str) -> None:
        """Record that a turn has started; while a message is being sent it is the message's."""
        if self._sending is not None:
            self._sending.started_by = self._sending.started_by or reason

    def evaluated(self) -> None:
        """Publish the sent message as soon as its turn runs, before any answer."""
        sending, driver = self._sending, self._driver
        if sending is None:
            return
        if driver.phase is Phase.WORKING:
            self._saw_start(driver.tracker.state.reason)
        if sending.turn and sending.turn == self._recorded_turn:
            self._saw_start("rollout: turn started")
        if sending.turn is not None and sending.started_by:
            self._sending = None
            driver.open_turn(sending.text, sending.started_by)

    def recorded(self, entries: Sequence[Entry]) -> None:
        """Record a turn's start, which the rollout has some 7 ms before the app-server."""
        for entry in entries:
            if entry.item == Turn("started"):
                self._recorded_turn = entry.key

    @property
    def holds_phase(self) -> bool:
        """True while a turn may be the sent message's: it is published after the message, or when
        sending failed."""
        return self._sending is not None and bool(self._sending.started_by)

    @property
    def settling_time(self) -> float | None:
        """A longer settling time while the link has no session."""
        return OPEN_LIMIT if self.link.thread is None else None

    # -- events of the link ----------------------------------------------------------------------

    def handle(self, event: LinkEvent) -> None:
        """Handle an event of the link."""
        driver = self._driver
        match event:
            case SessionKnown():
                driver.restart_settling()  # with the usual settling time
                driver.publish(event)
            case PhaseReported(phase, detail):
                if phase is not Phase.IDLE:
                    self._saw_start(f"link: {detail}")
                driver.tracker.fusion.record(Source.LINK, phase, detail)
                driver.evaluate()
            case DialogChanged(dialog):
                driver.tracker.set_question(dialog and self._with_displayed_id(dialog))
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
                    self._saw_start("link: turn started")
                    driver.evaluate()
                driver.publish(event)
            case UsageChanged(usage):
                self.usage = usage
                driver.publish(event)
            case ErrorReported(message, retries):
                log.info("Codex told an error%s: %s", ", and tries again" * retries, message)
            case LinkLost(reason):
                self._lost_reason = reason
                driver.wake()
                self._on_lost(reason)

    def _with_displayed_id(self, dialog: Dialog) -> Dialog:
        """Give the link's dialog the id of the same one on the screen if that was published first:
        clients have its id and choices."""
        tracker = self._driver.tracker
        shown = tracker.state.dialog
        first = shown is not None and not tracker.question_reported
        if shown and first and same_question(dialog, shown) and _labels(dialog) == _labels(shown):
            self._link_ids[shown.id] = dialog.id
        ids = (screen_id for screen_id, link_id in self._link_ids.items() if link_id == dialog.id)
        screen_id = next(ids, None)
        return replace(dialog, id=screen_id) if screen_id else dialog

    # -- completeness of the screen --------------------------------------------------------------

    def end_displayed(self) -> bool:
        """Return whether the screen shows all of the turn's text, once the TUI has ended it."""
        if not self._expected or self._driver.phase is not Phase.IDLE or self._tui_is_working():
            return False
        self._driver.read()
        return self._expected.is_shown_in(self._driver.tracker.message.text)

    @property
    def patience(self) -> float | None:
        """Seconds without a new frame after which to stop waiting for one."""
        tracker = self._driver.tracker
        if self._driver.phase is Phase.BLOCKED:  # a key must not go to the composer
            return 0.0 if tracker.screen.complete else PAINT_LIMIT
        whole = self._expected.is_shown_in(tracker.message.text)
        if self._tui_is_working():
            return PAINT_LIMIT if self._expected and whole else STALL_LIMIT
        if whole:
            return None  # the rollout may have more than the link
        return END_LIMIT if self._expected.end_is_shown_in(tracker.message.text) else PAINT_LIMIT

    def _tui_is_working(self) -> bool:
        """Return whether the TUI itself shows that it works, regardless of the link."""
        tracker = self._driver.tracker
        evidence = tracker.fusion.evidence
        signal = evidence.get(Source.OSC) or evidence.get(Source.TITLE)
        working = signal is not None and signal.phase is Phase.WORKING
        return bool(tracker.reading.working) or working

    def original_text(self, text: str) -> str:
        """Return a user's text as it was typed, if the link has it: the screen wraps it."""
        squeezed = squeeze(text)
        return next((sent for sent in reversed(self._recent) if squeeze(sent) == squeezed), text)


def _labels(dialog: Dialog) -> list[tuple[str, str]]:
    return [(choice.id, squeeze(choice.label)) for choice in dialog.choices]
