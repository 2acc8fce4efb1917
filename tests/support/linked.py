"""The Codex driver with its link and a real Codex, in the test process, with all events
recorded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agentapi.agents.codex.driver import CodexDriver
from agentapi.agents.codex.link.link import CodexLink
from agentapi.agents.generic.tui import TuiDriver
from agentapi.agents.registry import profile_for
from agentapi.model.conversation import Dialog, Phase, PhaseState
from agentapi.model.events import (
    AgentText,
    DriverEvent,
    Exited,
    ItemChanged,
    NoticeRaised,
    PhaseChanged,
    UserText,
)
from agentapi.model.items import AgentMessage, Item, UserMessage
from agentapi.scripted import Say, ScriptedModel
from tests.support.codex import CodexHome, codex_binary, codex_home
from tests.support.replay import conversation
from tests.support.server import all_gone
from tests.support.two_paths import Messages, Run, Told, agreeing, compare

PATIENCE = 30.0
"""Seconds after which a test gives up waiting: the machine may be busy."""


class Linked:
    """A running driver, its events, and the model."""

    def __init__(self, driver: CodexDriver, model: ScriptedModel, home: CodexHome) -> None:
        self.driver, self.model, self.home = driver, model, home
        self.events: list[DriverEvent] = []
        self.times: list[float] = []
        self._changed = asyncio.Event()

    def take(self, event: DriverEvent) -> None:
        """The driver's sink."""
        self.events.append(event)
        self.times.append(asyncio.get_running_loop().time())
        self._changed.set()

    async def until(self, holds: Callable[[], bool], what: str = "the condition") -> None:
        """Wait until a condition on the events holds."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            tail = "\n".join(repr(event)[:300] for event in self.events[-12:])
            raise AssertionError(
                f"waited for {what}; last events:\n{tail}\n{self.driver.screen()[-1500:]}"
            ) from None

    async def turn(self, prompt: str) -> str:
        """Run a whole turn; return the agent's displayed text."""
        since = len(self.events)
        await self.driver.send(prompt)
        assert UserText(prompt) in self.events[since:]
        await self.until(lambda: self.phase is Phase.IDLE, f"the end of {prompt!r}")
        assert self.phases_since(since) == ["working", "idle"]
        return self.text

    @property
    def phases(self) -> list[str]:
        """The phases so far, without repetitions."""
        return self.phases_since(0)

    def phases_since(self, since: int) -> list[str]:
        """Return the phase changes from event number `since` on."""
        told = [e.state.phase.value for e in self.events[:since] if isinstance(e, PhaseChanged)]
        seen = told[-1:] or [""]
        for event in self.events[since:]:
            if isinstance(event, PhaseChanged) and seen[-1] != event.state.phase.value:
                seen.append(event.state.phase.value)
        return seen[1:]

    @property
    def phase(self) -> Phase:
        """The last published phase."""
        return self.state.phase

    @property
    def state(self) -> PhaseState:
        """The last published state, which may have a dialog."""
        states = [event.state for event in self.events if isinstance(event, PhaseChanged)]
        assert states
        return states[-1]

    @property
    def dialog(self) -> Dialog:
        """The open dialog."""
        assert self.state.dialog is not None
        return self.state.dialog

    @property
    def text(self) -> str:
        """The last published text of the agent."""
        return [event.text for event in self.events if isinstance(event, AgentText)][-1]

    @property
    def notices(self) -> list[str]:
        """The notices so far."""
        return [event.message for event in self.events if isinstance(event, NoticeRaised)]

    @property
    def items(self) -> list[Item]:
        """The latest version of each item, in order of first appearance."""
        return list(self._by_id.values())

    @property
    def _by_id(self) -> dict[str, Item]:
        found: dict[str, Item] = {}
        for event in self.events:
            if isinstance(event, ItemChanged):
                found[event.id] = event.item
        return found

    @property
    def said(self) -> list[str]:
        """The recorded agent messages."""
        return [item.text for item in self.items if isinstance(item, AgentMessage)]

    @property
    def asked(self) -> list[str]:
        """The recorded user messages."""
        return [item.text for item in self.items if isinstance(item, UserMessage)]

    @property
    def sent(self) -> list[str]:
        """The messages the model sent, byte for byte."""
        return [s.text for reply in self.model.replies for s in reply if isinstance(s, Say)]

    def run(self) -> Run:
        """Return the results, for comparison with a replay of the screen alone."""
        whole = {e.id for e in self.events if isinstance(e, ItemChanged) and not e.partial}
        exact: Messages | None = [
            ("user" if isinstance(item, UserMessage) else "agent", item.text)
            for number, item in self._by_id.items()
            if isinstance(item, UserMessage | AgentMessage) and number in whole
        ]
        phases = [Told(0.0, "starting")]
        for at, event in zip(self.times, self.events, strict=True):
            if isinstance(event, PhaseChanged) and phases[-1].phase != event.state.phase.value:
                phases.append(Told(at, event.state.phase.value))
        if "starting" in [told.phase for told in phases[1:]]:
            exact = None  # the TUI that is started in its place may have no link
        cut = self.phase not in (Phase.IDLE, Phase.BLOCKED)
        linked = self.driver.link == "on"  # else nobody told the items of what came after
        return Run(phases, conversation(self.events), exact if linked else None, cut=cut)

    async def agreed(self) -> None:
        """Wait until all sources agree with the link: the TUI is the last to report the end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                while not agreeing((e.source, e.phase.value) for e in self.driver.evidence()):
                    self._changed.clear()
                    await self._changed.wait()

    @property
    def ended(self) -> bool:
        """Whether the driver published the exit."""
        return isinstance(self.events[-1], Exited)

    @property
    def tui(self) -> TuiDriver:
        """The TUI that runs now."""
        assert self.driver.program is not None
        return self.driver.program

    @property
    def link(self) -> CodexLink:
        """The link beside it."""
        assert self.driver.companion is not None
        return self.driver.companion.link


@asynccontextmanager
async def linked(
    folder: Path,
    *arguments: str,
    version: str | None = None,
    link: str = "on",
    rows: int = 1000,
    record: Path | None = None,
    **home_options: Any,
) -> AsyncIterator[Linked]:
    """Run a driver until it is ready. At the end no process with `folder` in its environment may be
    left."""
    async with ScriptedModel() as model:
        home = codex_home(folder, model.url, **home_options)
        record = record or folder / "run.cast"
        env = home.environment() | {"XDG_CACHE_HOME": str(Path.home() / ".cache")}
        driver = CodexDriver(
            profile_for("codex"),
            [str(codex_binary(version)), *arguments],
            cwd=home.workdir,
            env=env,
            rows=rows,
            record=record,
            link=link,
        )
        running = Linked(driver, model, home)
        try:
            await driver.start(running.take)
            await running.until(lambda: "idle" in running.phases, "the start")
            yield running
            if link == "on":
                await running.agreed()
                await compare(record, running.run())
        finally:
            await driver.stop(2)
        await all_gone(folder)
