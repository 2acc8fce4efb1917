"""Record when each source last reported, and log disagreements.

The fusion (`conversation.status`) has no clock, so its driver calls `EvidenceLog.update` after each
change. A driver whose agent speaks a protocol has nothing to fuse and uses `ProtocolLog`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol, runtime_checkable

from agentapi.conversation.status import Evidence, PhaseFusion, Source
from agentapi.model.conversation import Phase
from agentapi.timing.timer import Timer

DISAGREEMENT = 1.0
"""Seconds that two sources must disagree before it is logged: one always lags behind the other."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SourceReport:
    """The last report of a source."""

    source: str
    phase: Phase
    detail: str
    age: float
    """Seconds since its first such report."""
    counts: bool
    """Whether the report is still valid in this turn."""


@runtime_checkable
class ProvidesEvidence(Protocol):
    """A driver that can list the evidence for its phase."""

    def evidence(self) -> Sequence[SourceReport]:
        """Return the last report of each source, strongest first."""


class EvidenceLog:
    """The timestamped evidence of one fusion. Used on the event loop."""

    def __init__(self, fusion: PhaseFusion) -> None:
        self._fusion = fusion
        self._reports: dict[Source, tuple[Evidence, float]] = {}
        self._logged: set[tuple[object, ...]] = set()
        self._log_timer = Timer(DISAGREEMENT, self._log)

    def update(self) -> None:
        """Record new evidence."""
        for source, evidence in self._fusion.evidence.items():
            known = self._reports.get(source)
            if known is None or known[0] is not evidence:
                self._reports[source] = (evidence, _now())
        if self._disagreeing():
            self._log_timer.start()
        else:
            self._log_timer.cancel()

    def reports(self) -> tuple[SourceReport, ...]:
        """Return the last report of each source, strongest first."""
        now = _now()
        return tuple(
            SourceReport(
                source.label,
                evidence.phase,
                evidence.detail,
                max(0.0, now - at),
                self._counts(evidence),
            )
            for source, (evidence, at) in sorted(self._reports.items())
        )

    def stop(self) -> None:
        """Cancel the timer."""
        self._log_timer.cancel()

    def _counts(self, evidence: Evidence) -> bool:
        stands = self._fusion.evidence.get(evidence.source) is evidence
        return stands and evidence.votes and self._fusion.reported(evidence.source)

    def _disagreeing(self) -> list[tuple[Evidence, Evidence]]:
        """Return the pairs that disagree about this turn and were not logged yet. Evidence of a
        dialog does not count."""
        votes = [
            evidence
            for source, evidence in sorted(self._fusion.evidence.items())
            if evidence.phase is not Phase.BLOCKED
            and evidence.votes
            and self._fusion.reported(source)
        ]
        return [
            (first, second)
            for first, second in combinations(votes, 2)
            if first.phase is not second.phase and _key(first, second) not in self._logged
        ]

    def _log(self) -> None:
        for first, second in self._disagreeing():
            self._logged.add(_key(first, second))
            log.warning(
                "sources disagree: %s says %s, %s says %s; the first one counts",
                *(first.reason, first.phase.value, second.reason, second.phase.value),
            )


class ProtocolLog:
    """The last report of a protocol on each topic. Used on the event loop."""

    def __init__(self, *topics: str) -> None:
        """`topics`: the names of the sources, strongest first."""
        self._topics = topics
        self._reports: dict[str, tuple[Phase, str, float, bool]] = {}

    def record(self, topic: str, phase: Phase, detail: str) -> None:
        """Record a report, perhaps repeated."""
        self._reports[topic] = (phase, detail, _now(), True)

    def expire(self, topic: str) -> None:
        """Mark the report on a topic as no longer valid."""
        if topic in self._reports:
            self._reports[topic] = (*self._reports[topic][:3], False)

    def reports(self) -> tuple[SourceReport, ...]:
        """Return the last report on each topic, strongest first."""
        now = _now()
        known = [(topic, self._reports[topic]) for topic in self._topics if topic in self._reports]
        return tuple(
            SourceReport(topic, phase, detail, max(0.0, now - at), holds)
            for topic, (phase, detail, at, holds) in known
        )


def _key(first: Evidence, second: Evidence) -> tuple[object, ...]:
    return first.source, first.phase, second.source, second.phase


def _now() -> float:
    return asyncio.get_running_loop().time()
