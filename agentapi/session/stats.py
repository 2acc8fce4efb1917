"""Counts and durations of one session, kept as plain numbers.

`/metrics` formats them for Prometheus on request; nothing here needs that library.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds, in seconds."""


@dataclass(slots=True)
class Durations:
    """A histogram of seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    """The count of each bucket; the last one has no upper bound."""
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class SessionStats:
    """The statistics of a session."""

    sent: Durations = field(default_factory=Durations)
    """From the start of sending a user message to the start of the agent's turn."""
    done: Durations = field(default_factory=Durations)
    """From the last change of the agent's text until the status became `stable`."""
    send_failures: dict[str, int] = field(default_factory=dict)
    """User messages that could not be sent, by the step that failed."""
    keystrokes: int = 0
    """`raw` messages."""
    terminal_bytes: int = 0
    """Bytes of the agent's terminal handed to `/terminal` clients."""

    def failed(self, step: str) -> None:
        """Count a user message that could not be sent."""
        self.send_failures[step] = self.send_failures.get(step, 0) + 1
