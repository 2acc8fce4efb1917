"""Replay a recording of a terminal through the driver, in virtual time: hours in milliseconds.

The real emulator, tracker and driver run without a program, and the clock jumps to the next
deadline.
"""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from agentapi.agents.generic.console import Console
from agentapi.agents.generic.deadlines import STILL
from agentapi.agents.generic.tui import TuiDriver
from agentapi.agents.registry import profile_for
from agentapi.conversation.profile import AgentProfile
from agentapi.model.events import AgentText, DriverEvent, PhaseChanged, QuestionRendered, UserText

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Does not wait: advances the clock by the timeout."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("the loop waits for something that cannot come in virtual time")
        if not ready and timeout is not None:
            self.now += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next deadline when idle."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual seconds since the loop was created."""
        return self._jumping.now


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


@dataclass
class Replayed:
    """The driver and its events after a replay."""

    driver: TuiDriver
    events: list[tuple[float, DriverEvent]] = field(default_factory=list)

    @property
    def phases(self) -> list[str]:
        """The phases in order, without repetitions."""
        seen: list[str] = []
        for _, event in self.events:
            if isinstance(event, PhaseChanged) and (not seen or seen[-1] != event.state.phase):
                seen.append(event.state.phase.value)
        return seen

    @property
    def statuses(self) -> list[str]:
        """The wire's statuses in order, without repetitions."""
        seen: list[str] = []
        for _, event in self.events:
            if isinstance(event, PhaseChanged):
                status = event.state.phase.status.value
                if not seen or seen[-1] != status:
                    seen.append(status)
        return seen

    @property
    def conversation(self) -> list[tuple[str, str]]:
        """(role, text) of each message, as the session would number them."""
        return conversation(event for _, event in self.events)


def conversation(events: Iterable[DriverEvent]) -> list[tuple[str, str]]:
    """Return (role, text) of each message published by a driver, as numbered by the session. A
    question open at the end is part of the last message."""
    messages: list[tuple[str, str]] = []
    question = ""
    for event in events:
        if isinstance(event, UserText):
            messages.append(("user", event.text))
        elif isinstance(event, AgentText):
            if messages and messages[-1][0] == "agent":
                messages.pop()
            messages.append(("agent", event.text))
        elif isinstance(event, QuestionRendered):
            question = event.text
    if question:
        said = messages.pop()[1] if messages and messages[-1][0] == "agent" else ""
        messages.append(("agent", f"{said}\n\n{question}" if said else question))
    return messages


Edit = Callable[[bytes], bytes]


def replay(
    path: Path,
    profile: AgentProfile | None = None,
    edit: Edit = lambda data: data,
    run: int = 0,
    patient: bool = False,
    rest: float = STILL - 1,
) -> Replayed:
    """Replay an asciicast file, or one `run` of a program that was started several times.

    A paste followed by Enter counts as a message of ours. `edit` may change the output, for example
    to remove a signal. Recorded messages may have been sent as soon as the agent was ready, so only
    a `patient` replay uses the longer settling time. The last screen stays for `rest` seconds; if
    the program has exited, it is no question."""
    header, *lines = path.read_text(encoding="utf-8").split("\n")
    head = json.loads(header)
    if lines and lines[-1]:
        lines.pop()  # whoever wrote it was killed
    runs: list[list[list[Any]]] = [[]]
    for entry in (json.loads(line) for line in lines if line):
        if entry[1] == "m":
            runs.append([])
        else:
            runs[-1].append(entry)
    profile = profile or profile_for("codex")
    return run_virtual(
        _replay(head, runs[run], profile if patient else prompt(profile), edit, rest)
    )


def prompt(profile: AgentProfile) -> AgentProfile:
    """Return the profile with the settling time used when the recordings were made."""
    return replace(profile, settle_at_most=profile.settle)


async def _replay(
    head: dict[str, Any],
    entries: list[list[Any]],
    profile: AgentProfile,
    edit: Edit,
    rest: float,
) -> Replayed:
    console = Console(["replay"], env={}, columns=head["width"], rows=head["height"])
    driver = TuiDriver(profile, console)
    result = Replayed(driver)
    loop = asyncio.get_running_loop()
    await driver.start_detached(lambda event: result.events.append((loop.time(), event)))
    pasted: str | None = None
    begun = entries[0][0] if entries else 0.0
    for time, kind, text in entries:
        await asyncio.sleep(max(0.0, time - begun - loop.time()))
        if kind == "o":
            driver.feed(edit(text.encode()))
        elif kind == "i" and text.startswith("\x1b[200~"):
            pasted = text.removeprefix("\x1b[200~").removesuffix("\x1b[201~")
            if not profile.has_composer:
                driver.tracker.prepare()
        elif kind == "i" and text == "\r" and pasted is not None:
            driver.typist.submitting(pasted)
            if not profile.has_composer:  # it was seen to leave the input line, or not recorded
                driver.begin("the message was taken")
            pasted = None
        elif kind == "r":
            columns, rows = text.split("x")
            await driver.resize(int(columns), int(rows))
    await asyncio.sleep(rest)
    return result
