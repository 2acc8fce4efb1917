"""When each source of evidence spoke last, and where two of them disagree.

The fusion (`conversation.status`) has no clock; the driver that feeds it looks here after each
piece of news. A driver whose agent speaks a protocol has nothing to fuse: it notes what that said.
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
"""Seconds that two sources must disagree to be worth a line in the log: one is always the first to
know."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What a source said last."""

    source: str
    phase: Phase
    detail: str
    age: float
    """Seconds since it began to say so."""
    counts: bool
    """Whether it still says so, in this turn."""


@runtime_checkable
class ProvidesEvidence(Protocol):
    """A driver that can say what its phase rests on."""

    def evidence(self) -> Sequence[SourceReport]:
        """The last evidence of each source that ever spoke, the strongest first."""


class EvidenceLog:
    """The evidence of one fusion with its times. Lives on the event loop."""

    def __init__(self, fusion: PhaseFusion) -> None:
        self._fusion = fusion
        self._said: dict[Source, tuple[Evidence, float]] = {}
        self._logged: set[tuple[object, ...]] = set()
        self._waiting = Timer(DISAGREEMENT, self._log)

    def look(self) -> None:
        """Note what is new."""
        for source, evidence in self._fusion.evidence.items():
            known = self._said.get(source)
            if known is None or known[0] is not evidence:
                self._said[source] = (evidence, _now())
        if self._disagreeing():
            self._waiting.start()
        else:
            self._waiting.cancel()

    def told(self) -> tuple[SourceReport, ...]:
        """The last evidence of each source, the strongest first."""
        now = _now()
        return tuple(
            SourceReport(
                source.label, said.phase, said.detail, max(0.0, now - at), self._counts(said)
            )
            for source, (said, at) in sorted(self._said.items())
        )

    def stop(self) -> None:
        """No timer is left."""
        self._waiting.cancel()

    def _counts(self, said: Evidence) -> bool:
        stands = self._fusion.evidence.get(said.source) is said
        return stands and said.votes and self._fusion.reported(said.source)

    def _disagreeing(self) -> list[tuple[Evidence, Evidence]]:
        """The pairs that say different things of the same turn and were not logged yet. What is
        said of a dialog is no vote on whether the agent works."""
        votes = [
            said
            for source, said in sorted(self._fusion.evidence.items())
            if said.phase is not Phase.BLOCKED and said.votes and self._fusion.reported(source)
        ]
        return [
            (one, other)
            for one, other in combinations(votes, 2)
            if one.phase is not other.phase and _key(one, other) not in self._logged
        ]

    def _log(self) -> None:
        for one, other in self._disagreeing():
            self._logged.add(_key(one, other))
            log.warning(
                "sources disagree: %s says %s, %s says %s; the first one counts",
                *(one.reason, one.phase.value, other.reason, other.phase.value),
            )


class ProtocolLog:
    """What a protocol said last of each of its topics. Lives on the event loop."""

    def __init__(self, *topics: str) -> None:
        """`topics`: the names of the sources, the strongest first."""
        self._topics = topics
        self._said: dict[str, tuple[Phase, str, float, bool]] = {}

    def note(self, topic: str, phase: Phase, detail: str) -> None:
        """It was said now, perhaps again."""
        self._said[topic] = (phase, detail, _now(), True)

    def over(self, topic: str) -> None:
        """What was said of it no longer holds."""
        if topic in self._said:
            self._said[topic] = (*self._said[topic][:3], False)

    def told(self) -> tuple[SourceReport, ...]:
        """The last word on each topic, the strongest first."""
        now = _now()
        known = [(topic, self._said[topic]) for topic in self._topics if topic in self._said]
        return tuple(
            SourceReport(topic, phase, detail, max(0.0, now - at), holds)
            for topic, (phase, detail, at, holds) in known
        )


def _key(one: Evidence, other: Evidence) -> tuple[object, ...]:
    return one.source, one.phase, other.source, other.phase


def _now() -> float:
    return asyncio.get_running_loop().time()
