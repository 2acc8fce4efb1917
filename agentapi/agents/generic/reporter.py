"""Decides when a change of the conversation or of the phase may be published, and in which order.

The conversation is read from a frame at once, then at most forty times a second. The text that
belongs to a phase goes out before the phase, and a turn is over only when the screen shows its end
or no more frames come.
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
from agentapi.model.events import AgentText, PhaseChanged, QuestionPainted, UserText
from agentapi.timing.timer import Timer

READ_INTERVAL = 0.025
"""Seconds between two readings of the conversation."""
DRAIN = 0.4
"""Seconds without a new frame after which the screen is complete, when a turn is over but its end
is not on the screen yet: Codex says `done` up to 25 ms before it has painted the last lines, and
0.125 goes on painting for 0.4 s, on a busy machine with pauses of 0.5 s."""
DRAIN_CAP = 3.0
"""Seconds after which the end of a turn is published all the same; so long a message without words
is waited for, and after its end one whose end was not seen may still become longer."""
PAINT_CAP = 60.0
"""Seconds after which it is published whatever the record says that the screen should show."""


class Reporter:
    """Publishes for one driver. `evaluate` is called when no more frames are waited for."""

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
        """Where the events go."""
        self._reported = PhaseState(Phase.STARTING, "not started yet")
        self._question = ""
        self._read_version = -1
        self._silenced = False
        self._in_turn = False
        """Whether a turn was published and its end was not; it may ask."""
        self._ending: Evidence | None = None
        """What ended the turn whose last words are still being painted."""
        self._drained = False
        """Whether no more frames are waited for."""
        self._reading = Timer(READ_INTERVAL, self.read)
        self._draining = Timer(DRAIN, self._no_more_frames, limit=DRAIN_CAP)
        self._standing = Timer(DRAIN_CAP, tracker.message.freeze)

    # -- the conversation ------------------------------------------------------------------------

    def read_soon(self) -> None:
        """Read the conversation now, or at the end of the pause between two readings."""
        self._reading.soon()

    def read(self, again: bool = False, ended: bool = False) -> None:
        """Read the conversation from the frame, unless it was read already and not `again`. Until
        the end of a turn is published (`ended`), its status line may stand on the screen."""
        frame = self._console.frame
        if not self._silenced and (again or frame.version != self._read_version):
            self._read_version = frame.version
            open_turn = self._reported.phase is Phase.WORKING and not again
            self._say(self._tracker.message.read(open_turn, ended))

    def _say(self, said: Sequence[TextChange]) -> None:
        for part in said:
            if part.by_user:
                self.publish(UserText(self._companion.exact(part.text)))
            else:
                self.publish(AgentText(part.text))

    def publish_question(self) -> None:
        """Publish how the screen shows the open question, when that has changed."""
        if self._tracker.question != self._question:
            self._question = self._tracker.question
            self.publish(QuestionPainted(self._question))

    def open_turn(self, text: str, reason: str) -> None:
        """Publish a sent message before anything that answers it."""
        self.publish(UserText(text))
        self._read_version = -1
        phase = self._tracker.state.phase
        if phase is not Phase.WORKING and self._reported.phase is not Phase.WORKING:
            # The turn was over before it was seen to begin.
            self._publish_state(PhaseState(Phase.WORKING, reason))
        elif self._tracker.screen.answers_at_once:
            self.publish_phase()
        self._reading.soon()
        self.publish_phase()

    # -- the phase -------------------------------------------------------------------------------

    def end_published(self) -> bool:
        """Whether the end of the turn was published, which may wait until it is painted."""
        return self._reported.phase not in (Phase.WORKING, Phase.BLOCKED)

    def publish_phase(self) -> None:
        """Publish a change of the phase, after the text that belongs before it."""
        if self._companion.holds_phase:
            return
        state, said = self._tracker.state, self._tracker.fusion.deciding
        ended, self._ending = self._ending, None
        if ended and said and _overtaken(ended, said):
            self._end_turn(PhaseState(ended.phase, ended.reason))  # painted behind the next one
        if state == self._reported:
            self._draining.cancel()
            return
        stopped = self._reported.phase is Phase.WORKING and state.phase is not Phase.WORKING
        if stopped or (self._in_turn and state.phase is Phase.IDLE):
            if not self._all_painted():
                self._ending = said if state.phase is Phase.IDLE else None
                self._publish_decided()
                return
            if state.phase is Phase.IDLE:
                self._end_turn(state)
                return
            self.read(again=True)
        self._publish_state(state)

    def _publish_decided(self) -> None:
        """Publish at once that a question is gone, even if the end of its turn is not painted."""
        if self._reported.phase is Phase.BLOCKED:
            self._publish_state(PhaseState(Phase.WORKING, "the question is decided"))

    def _end_turn(self, state: PhaseState) -> None:
        """Publish the turn's last words, then that it is over."""
        self.read(again=True, ended=True)
        self._say(self._tracker.message.finish())
        self._standing.restart()
        self._publish_state(state)

    def _publish_state(self, state: PhaseState) -> None:
        self._reported = state
        if state.phase is not Phase.BLOCKED:
            self._in_turn = state.phase is Phase.WORKING
        self.publish(PhaseChanged(state))

    # -- the end of a turn -----------------------------------------------------------------------

    def _all_painted(self) -> bool:
        """Whether the screen shows the end of the turn; else wait for it, but not for ever."""
        shown = self._companion.end_shown() or self._drained or self._tracker.screen.complete
        if shown or self._tracker.state.phase is Phase.EXITED:
            self._draining.cancel()
            self._drained = False
            return True
        self._draining.restart()
        return False

    def _no_more_frames(self) -> None:
        """None came for a while: none is waited for, unless the screen lags behind what is known
        of the turn, or shows nothing whole."""
        unfinished = self._console.painting or not self._tracker.message.text
        self.read()  # words that were found only now may have more behind them
        still = asyncio.get_running_loop().time() - self._console.shown_at
        cap = PAINT_CAP if still < self._patience() else DRAIN_CAP if unfinished else 0.0
        if self._draining.elapsed < cap:
            self._draining.restart()
            return
        self._drained = True
        self._evaluate()

    def _patience(self) -> float:
        """Seconds without a new frame after which the screen does not lag any more."""
        known = self._companion.patience
        return self._record_patience() if known is None else known

    # -- the end of the program --------------------------------------------------------------------

    def silence(self) -> None:
        """The program is being ended: what it still paints is no message."""
        self._silenced = True

    def stop(self) -> None:
        """No timer is left."""
        for timer in (self._reading, self._draining, self._standing):
            timer.cancel()


def _overtaken(ended: Evidence, said: Evidence) -> bool:
    """Whether the next turn begins before the screen shows the last one's end. A title blinks in
    turns, too."""
    same = said.source is ended.source and said.source in (Source.LINK, Source.OSC)
    return same and said.phase is Phase.WORKING
