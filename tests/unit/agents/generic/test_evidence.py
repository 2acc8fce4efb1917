"""When each source spoke last, and who disagrees: in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from agentapi.agents.generic.evidence import DISAGREEMENT, EvidenceLog
from agentapi.conversation.status import PhaseFusion, Source
from agentapi.model.conversation import Phase
from tests.support.replay import run_virtual


class Stage:
    """A fusion that has started, and its log."""

    def __init__(self) -> None:
        self.fusion = PhaseFusion()
        self.log = EvidenceLog(self.fusion)
        self.fusion.update_screen(True, None)
        self.fusion.settle()

    def record(self, source: Source, phase: Phase, detail: str = "said") -> None:
        self.fusion.record(source, phase, detail)
        self.log.update()

    def reports(self) -> list[tuple[str, str, float, bool]]:
        return [(s.source, s.phase.value, round(s.age, 3), s.counts) for s in self.log.reports()]


def play(script: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await script(Stage())

    run_virtual(main())


def test_ages_count_from_when_a_source_first_reported_it() -> None:
    async def script(stage: Stage) -> None:
        assert stage.reports() == []
        stage.record(Source.TITLE, Phase.WORKING)
        await asyncio.sleep(2)
        stage.record(Source.OSC, Phase.WORKING)
        stage.record(Source.TITLE, Phase.WORKING)
        await asyncio.sleep(1)
        assert stage.reports() == [("osc 7501", "working", 1, True), ("title", "working", 3, True)]

    play(script)


def test_what_was_withdrawn_or_said_before_the_turn_is_told_but_does_not_count() -> None:
    async def script(stage: Stage) -> None:
        stage.record(Source.OSC, Phase.IDLE)
        stage.record(Source.SCREEN, Phase.WORKING)
        stage.fusion.withdraw(Source.SCREEN)
        stage.log.update()
        assert stage.reports() == [("osc 7501", "idle", 0, True), ("screen", "working", 0, False)]
        stage.fusion.submit()
        stage.log.update()
        assert [counts for *_, counts in stage.reports()] == [False, False]

    play(script)


def test_a_lasting_disagreement_is_logged_once_with_both(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def script(stage: Stage) -> None:
        for _ in range(2):
            stage.record(Source.OSC, Phase.IDLE, "done")
            stage.record(Source.SCREEN, Phase.WORKING, "working line")
            await asyncio.sleep(2 * DISAGREEMENT)
            stage.fusion.withdraw(Source.SCREEN)
            stage.log.update()

    play(script)
    assert [record.getMessage() for record in caplog.records] == [
        "sources disagree: osc 7501: done says idle, screen: working line says working;"
        " the first one counts"
    ]


def test_a_source_that_lags_is_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    async def script(stage: Stage) -> None:
        for _ in range(3):
            stage.record(Source.OSC, Phase.IDLE, "done")
            stage.record(Source.TITLE, Phase.WORKING)
            await asyncio.sleep(DISAGREEMENT / 2)
            stage.record(Source.TITLE, Phase.IDLE)
            await asyncio.sleep(DISAGREEMENT)
            stage.record(Source.OSC, Phase.BLOCKED, "no vote")
            await asyncio.sleep(2 * DISAGREEMENT)

    play(script)
    assert caplog.records == []
