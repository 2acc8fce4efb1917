"""Publish changes of the conversation and the phase in the right order.

The conversation is read from a frame at once, then at most forty times a second. Text is published
before the phase that follows it. A turn is over only when the screen shows its end, or no more
frames come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from agentapi.agents.driver import Sink
from agentapi.agents.generic.companion import Companion
from agentapi.agents.generic.console import Console
from agentapi.conversation.message_reader import TextChange
from agentapi.conversation.status import Evidence, Source
from agentapi.conversation.tracker import Tracker
from agentapi.model.conversation import Phase, PhaseState
from agentapi.model.events import AgentText, PhaseChanged, QuestionRendered, UserText
from agentapi.timing.timer import Timer

READ_INTERVAL = 0.025
"""Seconds between two readings of the conversation."""
DRAIN = 0.4
"""Seconds without a new frame after which the screen is complete, if a turn is over but its end is
not displayed yet. Codex reports `done` up to 25 ms before it has drawn the last lines, and 0.125
continues drawing for 0.4 s, with pauses of 0.5 s on a busy machine."""
DRAIN_CAP = 3.0
"""Seconds after which the end of a turn is published anyway. Also the time to wait for an empty
message, and for late output of one whose end was not seen."""
PAINT_CAP = 60.0
"""Seconds after which it is published even if the screen lacks recorded text."""


class Reporter:
    """Publishes events for one driver. Calls `evaluate` when it stops waiting for frames."""

    def __init__(
        self,
        tracker: Tracker,
        console: Console,
        companion: Companion,
        *,
        record_patience: Callable[[], float],
        evaluate: Callable[[], None],
    ) -> None:
        """`record_patience` returns how many seconds the screen may lag behind the record."""
        self._tracker, self._console, self._companion = tracker, console, companion
        self._record_patience = record_patience
        self._evaluate = evaluate
        self.publish: Sink = lambda event: None
        """Receives the events."""
        self._reported = PhaseState(Phase.STARTING, "not started yet")
        self._question = ""
        self._read_version = -1
        self._silenced = False
        self._in_turn = False
        """Whether a turn was published but not its end; it may be blocked."""
        self._ending: Evidence | None = None
        """The evidence that ended the turn whose last words are still being drawn."""
        self._drained = False
        """Whether to stop waiting for frames."""
        self._reading = Timer(READ_INTERVAL, self.read)
        self._draining = Timer(DRAIN, self._no_more_frames, limit=DRAIN_CAP)
        self._late_limit = Timer(DRAIN_CAP, tracker.message.freeze)

    # -- the conversation ------------------------------------------------------------------------

    def read_soon(self) -> None:
        """Read the conversation now, or after the read interval."""
        self._reading.soon()

    def read(self, again: bool = False, ended: bool = False) -> None:
        """Read the conversation from the frame, once unless `again`. Until the end of a turn is
        published (`ended`), the screen may show its status line."""
        frame = self._console.frame
        if not self._silenced and (again or frame.version != self._read_version):
            self._read_version = frame.version
            open_turn = self._reported.phase is Phase.WORKING and not again
            self._publish_changes(self._tracker.message.read(open_turn, ended))

    def _publish_changes(self, changes: Sequence[TextChange]) -> None:
        for change in changes:
            if change.by_user:
                self.publish(UserText(self._companion.original_text(change.text)))
            else:
                self.publish(AgentText(change.text))

    def publish_question(self) -> None:
        """Publish the displayed question, if it has changed."""
        if self._tracker.question != self._question:
            self._question = self._tracker.question
            self.publish(QuestionRendered(self._question))

    def open_turn(self, text: str, reason: str) -> None:
        """Publish a sent message before anything that answers it."""
        self.publish(UserText(text))
        self._read_version = -1
        phase = self._tracker.state.phase
        if phase is not Phase.WORKING and self._reported.phase is not Phase.WORKING:
            # The turn was over before it was seen to begin.
            self._publish_state(PhaseState(Phase.WORKING, reason))
        elif self._tracker.screen.answers_immediately:
            self.publish_phase()
        self._reading.soon()
        self.publish_phase()

    # -- the phase -------------------------------------------------------------------------------

    def end_published(self) -> bool:
        """Return whether the end of the turn was published, which may wait until it is
        displayed."""
        return self._reported.phase not in (Phase.WORKING, Phase.BLOCKED)

    def publish_phase(self) -> None:
        """Publish a change of the phase, after the text that belongs before it."""
        if self._companion.holds_phase:
            return
        state, deciding = self._tracker.state, self._tracker.fusion.deciding
        ended, self._ending = self._ending, None
        if ended and deciding and _overtaken(ended, deciding):
            self._end_turn(PhaseState(ended.phase, ended.reason))  # drawn after the next one began
        if state == self._reported:
            self._draining.cancel()
            return
        stopped = self._reported.phase is Phase.WORKING and state.phase is not Phase.WORKING
        if stopped or (self._in_turn and state.phase is Phase.IDLE):
            if not self._end_displayed():
                self._ending = deciding if state.phase is Phase.IDLE else None
                self._publish_answered()
                return
            if state.phase is Phase.IDLE:
                self._end_turn(state)
                return
            self.read(again=True)
        self._publish_state(state)

    def _publish_answered(self) -> None:
        """Publish at once that a question is gone, even before the end of its turn is displayed."""
        if self._reported.phase is Phase.BLOCKED:
            self._publish_state(PhaseState(Phase.WORKING, "the question is decided"))

    def _end_turn(self, state: PhaseState) -> None:
        """Publish the turn's last words, then that it is over."""
        self.read(again=True, ended=True)
        self._publish_changes(self._tracker.message.finish())
        self._late_limit.restart()
        self._publish_state(state)

    def _publish_state(self, state: PhaseState) -> None:
        self._reported = state
        if state.phase is not Phase.BLOCKED:
            self._in_turn = state.phase is Phase.WORKING
        self.publish(PhaseChanged(state))

    # -- the end of a turn -----------------------------------------------------------------------

    def _end_displayed(self) -> bool:
        """Return whether the screen shows the end of the turn; else start waiting for it."""
        shown = self._companion.end_displayed() or self._drained or self._tracker.screen.complete
        if shown or self._tracker.state.phase is Phase.EXITED:
            self._draining.cancel()
            self._drained = False
            return True
        self._draining.restart()
        return False

    def _no_more_frames(self) -> None:
        """Stop waiting for frames, unless the screen lags behind the record or is incomplete."""
        unfinished = self._console.in_update or not self._tracker.message.text
        self.read()  # more may follow words found only now
        still = asyncio.get_running_loop().time() - self._console.shown_at
        cap = PAINT_CAP if still < self._patience() else DRAIN_CAP if unfinished else 0.0
        if self._draining.elapsed < cap:
            self._draining.restart()
            return
        self._drained = True
        self._evaluate()

    def _patience(self) -> float:
        """Return the seconds without a new frame after which the screen is up to date."""
        known = self._companion.patience
        return self._record_patience() if known is None else known

    # -- the end of the program --------------------------------------------------------------------

    def silence(self) -> None:
        """Ignore further output, as the program is being stopped."""
        self._silenced = True

    def stop(self) -> None:
        """Cancel all timers."""
        for timer in (self._reading, self._draining, self._late_limit):
            timer.cancel()


def _overtaken(ended: Evidence, latest: Evidence) -> bool:
    """Return whether the next turn began before the end of the last one was displayed. A title
    flickers in turns, too."""
    same = latest.source is ended.source and latest.source in (Source.LINK, Source.OSC)
    return same and latest.phase is Phase.WORKING
