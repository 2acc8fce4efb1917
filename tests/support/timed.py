"""Replay a recording with the time of each piece of evidence (`tests.recordings.evidence`), all of
it or without some sources, through the real driver and in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from agentapi.agents.codex.link.companion import LinkCompanion
from agentapi.agents.codex.link.events import DialogChanged, PhaseReported
from agentapi.agents.codex.link.link import CodexLink
from agentapi.agents.generic.console import Console
from agentapi.agents.generic.tui import TuiDriver
from agentapi.agents.registry import profile_for
from agentapi.conversation.status import Source
from agentapi.model.conversation import Choice, Dialog, Phase
from agentapi.model.events import ItemChanged
from agentapi.model.items import AgentMessage, Entry, Turn
from tests.support.deaf import NUMBERS, Without, blind
from tests.support.replay import Replayed, prompt, run_virtual

EVIDENCE = Path(__file__).parents[1] / "recordings/evidence"
ROLLOUT_KINDS = ("turn", "words", "anew")
LINK_KINDS = ("stand", "ask", "said")
_SIGNS = {Source.OSC: "\x1b]7501;", Source.TITLE: "\x1b]0;", Source.NOTIFICATION: "\x1b]9;"}


@dataclass(frozen=True)
class Timed:
    """A recording that was read."""

    path: Path
    head: dict[str, Any]
    lines: list[tuple[float, str, Any]]

    @property
    def name(self) -> str:
        """`MODE-VERSION-SCENARIO`, for test ids."""
        return f"{self.path.parent.name}-{self.path.stem}"

    @property
    def sources(self) -> set[Source]:
        """Those that spoke in it; the screen always does."""
        output = "".join(value for _, kind, value in self.lines if kind == "o")
        kinds = {kind for _, kind, _ in self.lines}
        found = {source for source, sign in _SIGNS.items() if sign in output}
        found |= {Source.LINK} if "stand" in kinds else set()
        return found | {Source.ROLLOUT, Source.SCREEN}


@cache
def timed_recordings() -> list[Timed]:
    """All of them."""
    return [_read(path) for path in sorted(EVIDENCE.glob("*/*.jsonl"))]


def _read(path: Path) -> Timed:
    head, *lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return Timed(path, head, [(at, kind, value) for at, kind, value in lines])


def replay_timed(recording: Timed, *without: Source) -> Replayed:
    """Replay it without these sources."""
    return run_virtual(_replay(recording, without))


async def _replay(recording: Timed, without: tuple[Source, ...]) -> Replayed:
    loop = asyncio.get_running_loop()
    began = datetime.fromisoformat(recording.head["began"]) - timedelta(seconds=loop.time())
    head = recording.head
    companion = LinkCompanion(CodexLink(lambda event: None), lambda why: None)
    companion.link._thread.id = "known already"  # what else it tells is in the recording
    driver = TuiDriver(
        prompt(blind() if Source.SCREEN in without else profile_for("codex")),
        Console(["replay"], env={}, columns=head["columns"], rows=head["rows"]),
        companion=companion,
        clock=lambda: began + timedelta(seconds=loop.time()),
    )
    result = Replayed(driver)
    await driver.start_detached(lambda event: result.events.append((loop.time(), event)))
    play = _player(driver, companion, without)
    for at, kind, value in recording.lines:
        await asyncio.sleep(max(0.0, at - loop.time()))
        play(kind, value)
    await asyncio.sleep(5)
    return result


def _player(
    driver: TuiDriver, companion: LinkCompanion, without: tuple[Source, ...]
) -> Callable[[str, Any], None]:
    told = [source for source in without if source in NUMBERS]
    edit = Without(*told) if told else bytes
    turn = 0

    def play(kind: str, value: Any) -> None:
        nonlocal turn
        if (kind in LINK_KINDS and Source.LINK in without) or (
            kind in ROLLOUT_KINDS and Source.ROLLOUT in without
        ):
            return
        match kind:
            case "o":
                driver.feed(edit(value.encode()))
            case "submit":
                driver.typist.submitting(value)
            case "stand":
                companion.handle(PhaseReported(Phase(value[0]), value[1]))
            case "ask":
                companion.handle(DialogChanged(_dialog(value)))
            case "said":
                companion.handle(ItemChanged("", "", AgentMessage(value), partial=False))
            case "anew":
                driver.recorded((), anew=True)
            case "words":
                driver.recorded([Entry(0, turn, None, AgentMessage(value))])
            case "turn":
                event, time = value
                turn += event == "started"
                driver.recorded([Entry(0, turn, datetime.fromisoformat(time), Turn(event))])
            case _:
                raise AssertionError(kind)

    return play


def _dialog(value: dict[str, Any] | None) -> Dialog | None:
    if value is None:
        return None
    choices = tuple(Choice(**choice) for choice in value["choices"])
    return Dialog(**{**value, "choices": choices})
