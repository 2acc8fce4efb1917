"""Turn evidence from the agent's session record (Codex's rollout).

The record is reliable but late: after a restart it is read from its beginning, and no version
writes everything. So not every entry counts:

| entry                 | it counts                                                              |
|-----------------------|------------------------------------------------------------------------|
| a turn began          | if in this run and after the previous turn was over: it opens a turn,  |
|                       | and votes if the record is known to contain ends, too                  |
| a turn was completed, | if its own beginning was recorded in the currently open turn           |
| failed or aborted     |                                                                        |

So a turn left open by an earlier run is ignored, an end read after the next message was submitted
does not end that one, and a version that writes only beginnings (0.80) keeps nothing open. Ignored
entries are still listed in the evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from agentapi.conversation.status import PhaseFusion, Source
from agentapi.model.conversation import Phase
from agentapi.model.items import Entry, Turn


class RecordedTurns:
    """Turns recorded in, evidence of `Source.ROLLOUT` out. `clock` returns the aware time, from the
    same clock as the record's timestamps."""

    def __init__(self, fusion: PhaseFusion, clock: Callable[[], datetime]) -> None:
        self._fusion, self._clock = fusion, clock
        self._run = self._since = _whole_milliseconds(clock())
        """When this run began, and the time before which the beginning of a turn is old."""
        self._begun = False
        """Whether the last recorded turn belongs to the current turn."""
        self._in_run = False
        """Whether the last recorded turn began in this run."""
        self._records_ends = False
        fusion.between_turns = self._turn_over

    def take(self, entry: Entry) -> None:
        """Take the next entry; only turns matter."""
        match entry.item:
            case Turn("started") if entry.time is not None:
                self._started(entry.turn, entry.time)
            case Turn(event) if event != "started" and self._in_run:
                self._ended(entry.turn, event, entry.time)

    def reset(self) -> None:
        """Start over with another record, or with the same one from its beginning."""
        self._begun = self._in_run = self._records_ends = False
        self._fusion.withdraw(Source.ROLLOUT)

    def _started(self, turn: int, time: datetime) -> None:
        self._in_run = time >= self._run
        self._begun = time >= self._since
        if self._begun:
            detail = f"turn {turn} started"
            self._fusion.record(Source.ROLLOUT, Phase.WORKING, detail, self._records_ends)

    def _ended(self, turn: int, event: str, time: datetime | None) -> None:
        ours = self._begun and self._fusion.reported(Source.ROLLOUT)
        self._begun = self._in_run = False
        # 0.80 writes this end, but no other.
        self._records_ends = self._records_ends or event != "aborted"
        self._fusion.record(Source.ROLLOUT, Phase.IDLE, f"turn {turn} {event}", ours)
        if ours and time is not None:
            self._since = time  # the next turn may have begun long before this line was read

    def _turn_over(self) -> None:
        self._since = _whole_milliseconds(self._clock())


def _whole_milliseconds(time: datetime) -> datetime:
    """Truncate a time to milliseconds, as in the record."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
