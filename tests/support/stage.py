"""A driver without a program, in virtual time: a test paints what Codex would paint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agentapi.agents.generic.console import Console
from agentapi.agents.generic.tui import TuiDriver
from agentapi.agents.registry import profile_for
from agentapi.conversation.profile import AgentProfile
from agentapi.model.events import AgentText, DriverEvent, PhaseChanged, UserText
from tests.support.replay import run_virtual

BEGIN, END = b"\x1b[?2026h", b"\x1b[?2026l"
BRACKETED = b"\x1b[?2004h"
IDLE, WORKING, DONE = (
    f"\x1b]7501;state={state}:app=codex\x1b\\".encode() for state in ("idle", "working", "done")
)


class Detached(Console):
    """A terminal without a program; keeps what it would write to one."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__(["none"], env={}, columns=columns, rows=rows)
        self.written: list[bytes] = []
        self.unread = b""
        """What the program has written and nobody has read."""
        self.answer_to: Callable[[bytes], None] = lambda data: None
        """What the program does with a key or a paste."""

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.written.append(data)
        self.answer_to(data)

    def reply(self, data: bytes) -> None:
        """Keep it, too."""
        self.write(data)

    def catch_up(self) -> bool:
        """Read what is there."""
        data, self.unread = self.unread, b""
        if data:
            self.feed(data)
        return super().catch_up()


class StagedDriver(TuiDriver):
    """A driver of such a terminal."""

    console: Detached

    @property
    def written(self) -> list[bytes]:
        """What it wrote."""
        return self.console.written

    @property
    def answer_to(self) -> Callable[[bytes], None]:
        """What the program does with a key or a paste."""
        return self.console.answer_to

    @answer_to.setter
    def answer_to(self, does: Callable[[bytes], None]) -> None:
        self.console.answer_to = does

    @property
    def unread(self) -> bytes:
        """What the program has written and nobody has read."""
        return self.console.unread

    @unread.setter
    def unread(self, data: bytes) -> None:
        self.console.unread = data


class Stage:
    """A detached driver, and what it told."""

    osc = True
    """Whether the agent says by OSC 7501 that it is ready."""

    def __init__(self, agent_type: str = "codex", columns: int = 60, rows: int = 20) -> None:
        self.console = Detached(columns, rows)
        self.driver = self.drive(profile_for(agent_type))
        self.events: list[tuple[float, DriverEvent]] = []
        self.rows = rows

    def drive(self, profile: AgentProfile) -> StagedDriver:
        """The driver."""
        return StagedDriver(profile, self.console)

    async def start(self) -> None:
        """Start the driver."""
        loop = asyncio.get_running_loop()
        await self.driver.start_detached(lambda event: self.events.append((loop.time(), event)))

    def frame(self, *lines: str, composer: str | None = "") -> bytes:
        """One complete frame: these lines, and the composer below (None: nothing below, and no
        cursor, as there is no place to type)."""
        painted = "\x1b[H\x1b[2J" + "".join(
            f"\x1b[{row};1H{line}" for row, line in enumerate(lines, 1)
        )
        if composer is not None:
            row = self.rows - 2
            painted += f"\x1b[{row + 2};1H  model · ~/dir\x1b[{row};1H› {composer}"
        painted += "\x1b[?25l" if composer is None else "\x1b[?25h"
        return BEGIN + painted.encode() + END

    def paint(self, *lines: str, composer: str | None = "") -> None:
        """Show a frame."""
        self.driver.feed(self.frame(*lines, composer=composer))

    async def ready(self) -> None:
        """Codex, ready for a prompt."""
        self.driver.feed(BRACKETED)
        self.paint("  banner")
        if self.osc:
            self.driver.feed(IDLE)
        await asyncio.sleep(1)

    def submit(self, text: str) -> None:
        """A message of ours, its Enter about to be pressed."""
        self.driver.typist.submitting(text)

    def said(self) -> list[str]:
        """The agent's texts."""
        return [event.text for _, event in self.events if isinstance(event, AgentText)]

    def told(self) -> list[str]:
        """The texts of both sides and the phases, in the order in which they were told."""
        return [
            event.text if isinstance(event, UserText | AgentText) else event.state.phase.value
            for _, event in self.events
            if isinstance(event, UserText | AgentText | PhaseChanged)
        ]

    def phases(self) -> list[str]:
        """The phases."""
        states = [event.state for _, event in self.events if isinstance(event, PhaseChanged)]
        return [state.phase.value for state in states]


def play(
    script: Callable[[Stage], Awaitable[None]], agent_type: str = "codex", osc: bool = True
) -> Stage:
    """Run a script on a stage in virtual time."""

    async def main() -> Stage:
        stage = Stage(agent_type)
        stage.osc = osc
        await stage.start()
        await script(stage)
        return stage

    return run_virtual(main())
