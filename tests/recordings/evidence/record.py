"""`python -m tests.recordings.evidence.record [VERSION …] [--only SCENARIO …]`: record evidence.

The real Codex under the real driver, with what no terminal shows: the link's words and the lines of
the rollout, each when it came. A recording is one file of JSON lines, `MODE-VERSION/SCENARIO.jsonl`
(mode `linked` or `alone`): first `{codex, scenario, columns, rows, began, phases}`, then
`[seconds, kind, value]`:

    o       output of the terminal, text
    submit  a message of ours is about to be submitted, its text
    stand   the link's word on the phase, [phase, detail]
    ask     the link's question, a dialog; null when it is decided
    said    a whole message of the agent, as the link told it
    turn    a line of the rollout on a turn, [event, its time]
    words   a message of the agent in the rollout, its text
    anew    another rollout begins, or the same from its first line
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from agentapi.agents.codex.driver import CodexDriver
from agentapi.agents.codex.link.companion import LinkCompanion
from agentapi.agents.codex.link.events import DialogChanged, LinkEvent, PhaseReported
from agentapi.agents.codex.rollout.feed import WatchedRolloutFeed
from agentapi.agents.codex.versions import REMOTE, TRIED
from agentapi.agents.registry import profile_for
from agentapi.conversation.tracker import Tracker
from agentapi.model.conversation import Phase
from agentapi.model.events import ItemChanged
from agentapi.model.items import AgentMessage, Entry, Turn
from agentapi.scripted import ScriptedModel
from agentapi.transcript.transcript import Transcript
from tests.support.codex import codex_binary, codex_home
from tests.support.linked import Linked

FOLDER = Path(__file__).parent
HOME = Path("/var/tmp/agentapi-demo")
ROWS = 300
LINKED = tuple(version for version in TRIED if REMOTE.of(version))
"""Recorded with the link."""
ALONE = (*(version for version in TRIED if not REMOTE.of(version)), TRIED[-1])
"""Recorded without it."""
REST = 1.0
"""Seconds before each turn: with other evidence the agent is known to be idle a little later."""
SEEN = 1.0
"""Seconds that a recording goes on: the last lines of the rollout are late."""


class Tape:
    """The time line of one run."""

    def __init__(self) -> None:
        self.began = datetime.now(UTC)
        self.lines: list[tuple[float, str, Any]] = []
        self._start = asyncio.get_running_loop().time()

    def note(self, kind: str, value: Any) -> None:
        """Something happened now."""
        self.lines.append((round(asyncio.get_running_loop().time() - self._start, 4), kind, value))

    def output(self, data: bytes) -> None:
        """The terminal's output; a character that is cut in two goes to the next line whole."""
        text = (self._cut + data).decode("utf-8", "ignore")
        self._cut = (self._cut + data)[len(text.encode()) :]
        self.note("o", text)

    _cut = b""

    def handle(self, event: LinkEvent) -> None:
        """The link's word."""
        match event:
            case PhaseReported(phase, detail):
                self.note("stand", [phase.value, detail])
            case DialogChanged(dialog):
                self.note("ask", dialog and dataclasses.asdict(dialog))
            case ItemChanged(_, _, AgentMessage(text), False):
                self.note("said", text)

    def recorded(self, entries: Sequence[Entry], anew: bool = False) -> None:
        """Lines of the rollout."""
        if anew:
            self.note("anew", None)
        for entry in entries:
            match entry.item:
                case Turn(event) if entry.time is not None:
                    self.note("turn", [event, entry.time.isoformat()])
                case AgentMessage(text):
                    self.note("words", text)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear what is submitted and what the link says, before the driver does."""
        submit, handle = Tracker.submit, LinkCompanion.handle

        def submitted(tracker: Tracker, text: str) -> None:
            self.note("submit", text)
            submit(tracker, text)

        def told(companion: LinkCompanion, event: LinkEvent) -> None:
            self.handle(event)
            handle(companion, event)

        with (
            patch.object(Tracker, "submit", submitted),
            patch.object(LinkCompanion, "handle", told),
        ):
            yield

    def save(self, path: Path, head: dict[str, Any]) -> None:
        """Write the recording."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rows: list[Any] = [{**head, "began": self.began.isoformat()}, *self.lines]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        path.write_text(text, encoding="utf-8")


async def _turn(run: Linked) -> None:
    await _send(run, "markdown")


async def _tool(run: Linked) -> None:
    await _send(run, "run seq 3; sleep 1")


async def _two_turns(run: Linked) -> None:
    await _send(run, "hello")
    await asyncio.sleep(REST)
    await _send(run, "markdown")


async def _approval(run: Linked) -> None:
    await run.driver.send("approve date -u")
    await run.until(lambda: run.phase is Phase.BLOCKED, "a dialog")
    await run.driver.answer(run.dialog.id, run.dialog.choices[0].id)
    await run.until(lambda: run.phase is Phase.IDLE, "the end of the turn")


async def _interrupt(run: Linked) -> None:
    await run.driver.send("slow 100")
    await asyncio.sleep(1)  # by the clock: some versions paint a paragraph only when it is whole
    await run.driver.interrupt()
    await run.until(lambda: run.phase is Phase.IDLE, "the end of the turn")


async def _typed(run: Linked) -> None:
    """Two turns that a person types at the terminal."""
    await _type(run, "hello")
    await asyncio.sleep(REST)
    await _type(run, "run seq 3")


async def _type(run: Linked, text: str) -> None:
    since = len(run.events)
    await run.driver.keys(text)
    await run.until(lambda: text in run.driver.screen().split("›")[-1], "the words")
    await asyncio.sleep(0.3)  # by the clock: a paste is told from keys by its speed
    await run.driver.keys("\r")
    await run.until(lambda: run.phases_since(since) == ["working", "idle"], f"the end of {text!r}")


async def _send(run: Linked, text: str) -> None:
    since = len(run.events)
    await run.driver.send(text)
    await run.until(lambda: run.phases_since(since) == ["working", "idle"], f"the end of {text!r}")


SCENARIOS: dict[str, Callable[[Linked], Awaitable[None]]] = {
    "turn": _turn,
    "tool": _tool,
    "approval": _approval,
    "interrupt": _interrupt,
    "two-turns": _two_turns,
    "typed": _typed,
}


async def record(version: str, scenario: str, *, link: bool) -> Path:
    """Run one scenario and write its file."""
    tape = Tape()
    async with ScriptedModel() as model:
        home = codex_home(HOME, model.url, approvals=scenario == "approval")
        driver = CodexDriver(
            profile_for("codex"),
            [str(codex_binary(version))],
            cwd=home.workdir,
            env=home.environment(),
            rows=ROWS,
            link="on" if link else "off",
        )
        run = Linked(driver, model, home)

        def recorded(entries: Sequence[Entry], anew: bool = False) -> None:
            tape.recorded(entries, anew)
            driver.recorded(entries, anew)

        feed = WatchedRolloutFeed(home.codex_home, recorded)
        feed.bind(Transcript())
        driver.watch(tape.output)
        try:
            with tape.listening():
                await driver.start(run.take)
                await run.until(lambda: "idle" in run.phases, "the start")
                await asyncio.sleep(REST)
                await SCENARIOS[scenario](run)
                await asyncio.sleep(SEEN)
            phases = run.phases
        finally:
            await driver.stop(2)
            await feed.stop()
    head = {"codex": version, "scenario": scenario, "columns": 80, "rows": ROWS, "phases": phases}
    path = FOLDER / f"{'linked' if link else 'alone'}-{version}" / f"{scenario}.jsonl"
    tape.save(path, head)
    return path


def main() -> int:
    """Record; status 1 when a scenario failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.recordings.evidence.record")
    parser.add_argument("versions", nargs="*", default=[], metavar="VERSION")
    parser.add_argument("--only", nargs="+", default=list(SCENARIOS), metavar="SCENARIO")
    options = parser.parse_args()
    runs = [(version, True) for version in LINKED]
    runs += [(version, False) for version in ALONE]
    failed = 0
    for version, link in runs:
        if options.versions and version not in options.versions:
            continue
        for scenario in options.only:
            HOME.mkdir()  # an error when another recorder is at work: they would mix
            try:
                path = asyncio.run(record(version, scenario, link=link))
                print(f"{path.relative_to(FOLDER)}: {path.stat().st_size} bytes", flush=True)
            except (AssertionError, TimeoutError) as error:
                failed += 1
                print(f"{version} {scenario} link={link}: FAILED: {error}", flush=True)
            finally:
                shutil.rmtree(HOME, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
