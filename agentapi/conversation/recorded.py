"""What the agent's own record of its session (Codex's rollout) says of turns, as evidence.

The record is the agent's own word, but not of now: it is read late, from its beginning after a
restart, and no version writes all of it. So not every line speaks:

| the record says       | it counts                                                              |
|-----------------------|------------------------------------------------------------------------|
| a turn began          | if that was in this run, after the turn before was over in our eyes:   |
|                       | it opens a turn, and votes where the record was seen to tell ends, too |
| a turn was completed, | if its own beginning was noted in the turn that is open now            |
| failed or aborted     |                                                                        |

So what an earlier run left open says nothing, an end that is read after the next message was
submitted does not end that one, and a version that writes beginnings alone (0.80) keeps nothing
open. What does not count is shown in the evidence all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from agentapi.conversation.status import PhaseFusion, Source
from agentapi.model.conversation import Phase
from agentapi.model.items import Entry, Turn


class RecordedTurns:
    """Turns of the record in, evidence of `Source.ROLLOUT` out. `clock` tells the time (aware) by
    which the record's lines are dated, too."""

    def __init__(self, fusion: PhaseFusion, clock: Callable[[], datetime]) -> None:
        self._fusion, self._clock = fusion, clock
        self._run = self._since = _whole_milliseconds(clock())
        """When this run began, and the time before which a turn's beginning is old."""
        self._begun = False
        """Whether the last turn of the record is one of this turn's."""
        self._in_run = False
        """Whether the last turn of the record began in this run."""
        self._tells_ends = False
        fusion.between_turns = self._turn_over

    def take(self, entry: Entry) -> None:
        """The next entry of the record; only turns say anything."""
        match entry.item:
            case Turn("started") if entry.time is not None:
                self._started(entry.turn, entry.time)
            case Turn(event) if event != "started" and self._in_run:
                self._ended(entry.turn, event, entry.time)

    def forget(self) -> None:
        """Another record comes, or the same one from its beginning."""
        self._begun = self._in_run = self._tells_ends = False
        self._fusion.withdraw(Source.ROLLOUT)

    def _started(self, turn: int, time: datetime) -> None:
        self._in_run = time >= self._run
        self._begun = time >= self._since
        if self._begun:
            detail = f"turn {turn} started"
            self._fusion.note(Source.ROLLOUT, Phase.WORKING, detail, self._tells_ends)

    def _ended(self, turn: int, event: str, time: datetime | None) -> None:
        ours = self._begun and self._fusion.heard(Source.ROLLOUT)
        self._begun = self._in_run = False
        self._tells_ends = self._tells_ends or event != "aborted"  # which alone even 0.80 writes
        self._fusion.note(Source.ROLLOUT, Phase.IDLE, f"turn {turn} {event}", ours)
        if ours and time is not None:
            self._since = time  # the next turn may have begun long before this line was read

    def _turn_over(self) -> None:
        self._since = _whole_milliseconds(self._clock())


def _whole_milliseconds(time: datetime) -> datetime:
    """The time as the record has it, which is cut off, too."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
