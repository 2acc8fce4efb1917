"""`python -m tests.support.record_agents [AGENT …] [--only SCENARIO …] [--missing]`: record the
other agents, as real programs under the daemon's own terminal, against the scripted model.

Each scenario runs in a fresh home under /var/tmp (a neutral path: recordings show it). It becomes
`tests/recordings/agents/AGENT/SCENARIO.cast` and, beside it, a `.json`:

    agent, version, scenario, size
    typed      [{time, what, text}]: `prompt` (a bracketed paste), `enter`, `keys`
    sent       [{prompt, tool_output, steps}]: each request of a turn and the reply, exact text
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from agentapi.scripted import ScriptedModel
from agentapi.terminal import Emulator, PtyProcess, child_environment
from tests.support.agent_looks import LOOKS
from tests.support.agents import AGENTS, Agent, make_agent, pinned
from tests.support.cast import CastWriter
from tests.support.codex import PROJECT
from tests.support.record import sent_to

RECORDINGS = PROJECT / "tests/recordings/agents"
HOME = Path("/var/tmp/agents-demo")
PATIENCE = 60.0
"""Seconds to wait for anything."""


class Live:
    """A running program in the middle of a scenario."""

    def __init__(self, agent: Agent, model: ScriptedModel, columns: int, rows: int) -> None:
        self.agent = agent
        self.looks = LOOKS[agent.name]
        self.model = model
        self.cast = CastWriter(columns, rows)
        self._emulator = Emulator(columns, rows)
        self._process: PtyProcess
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Start the program."""
        self._process = await PtyProcess.spawn(
            self.agent.argv,
            cwd=self.agent.workdir,
            env=child_environment(self.agent.environment()),
            columns=self._emulator.columns,
            rows=self._emulator.rows,
            on_output=self._show,
            on_exit=lambda _: self._changed.set(),
        )

    async def stop(self) -> None:
        """End the program."""
        await self._process.stop(2)

    def type(self, text: str, what: str = "keys") -> None:
        """Type: `what` says in the recording what it was."""
        self.cast.input(text, what)
        self._process.write(text.encode())

    async def keys(self, text: str) -> None:
        """Press keys one by one, as a person does."""
        for key in text.replace("\x1b[B", "\x00"):
            self.type("\x1b[B" if key == "\x00" else key)
            await asyncio.sleep(0.4)

    async def paste(self, text: str) -> None:
        """Paste a prompt and wait until it is drawn."""
        self.type(f"\x1b[200~{text}\x1b[201~", "prompt")
        await self.until(text.splitlines()[0])
        await self.quiet(0.4)

    async def submit(self, text: str) -> None:
        """A prompt and Enter; the model was asked when this returns."""
        count = len(self.model.requests) + 1
        await self.paste(text)
        self.type("\r", "enter")
        async with asyncio.timeout(PATIENCE):
            await self.model.wait_for_request(count)

    async def turn(self, text: str) -> None:
        """A whole turn."""
        await self.submit(text)
        await self.done()

    async def done(self) -> None:
        """Wait for the end of the turn and of its drawing."""
        async with asyncio.timeout(PATIENCE):
            while self.model.finished < len(self.model.requests):
                await self._next(0.2)
        await self.quiet(3.0)

    async def ready(self) -> None:
        """Wait until it takes a prompt, and would be believed to: opencode shows its composer
        before it does, and of the others a quiet time tells."""
        await self.until(self.looks.ready)
        await self.quiet(3.0)

    async def until(self, wanted: str) -> None:
        """Wait until the screen shows a text.

        Raises `TimeoutError` with the screen."""
        try:
            async with asyncio.timeout(PATIENCE):
                while wanted not in self._screen():
                    await self._next(PATIENCE)
        except TimeoutError:
            raise TimeoutError(f"no {wanted!r} on this screen:\n{self._screen()}") from None

    async def quiet(self, seconds: float) -> None:
        """Wait until it has painted nothing for so long."""
        async with asyncio.timeout(PATIENCE):
            while await self._next(seconds):
                pass

    async def _next(self, seconds: float) -> bool:
        """Wait for output, at most so long; whether some came."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
        return self._changed.is_set()

    def _screen(self) -> str:
        return "\n".join(self._emulator.screen_lines())

    def _show(self, data: bytes) -> None:
        self.cast.output(data)
        self._emulator.feed(data)
        self._process.write(self._emulator.take_replies())
        self._changed.set()


Play = Callable[[Live], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """What to do with a program, and how it is set up."""

    play: Play
    rows: int = 24
    trusted: bool = True
    without: tuple[str, ...] = ()
    """The agents that cannot do it."""


def turns(*prompts: str) -> Play:
    """Play: these turns, one after the other."""

    async def play(live: Live) -> None:
        await live.ready()
        for text in prompts:
            await live.turn(text)

    return play


async def start(live: Live) -> None:
    """Nothing but the start."""
    await live.ready()


async def trust(live: Live) -> None:
    """The trust dialog, left open."""
    await live.until(live.looks.trust)
    await live.quiet(1.0)


async def trust_accepted(live: Live) -> None:
    """The trust dialog, accepted."""
    await trust(live)
    await live.keys(live.looks.trusted)
    await live.ready()


async def typed(live: Live) -> None:
    """A prompt that is not sent."""
    await live.ready()
    await live.paste("hello there")


async def approval(live: Live) -> None:
    """The dialog that asks whether a command may run, left open."""
    await live.ready()
    await live.submit("approve touch made")
    await live.until(live.looks.asks)
    await asyncio.sleep(3)  # by the clock: behind its dialog claude blinks without end


async def approval_allowed(live: Live) -> None:
    """The same, answered yes."""
    await approval(live)
    await live.keys(live.looks.allow)
    await live.until("command has finished")
    await live.done()


async def approval_refused(live: Live) -> None:
    """The same, refused with Esc."""
    await approval(live)
    await live.keys("\x1b")
    await live.done()


async def interrupt(live: Live) -> None:
    """A turn that is stopped in the middle of its answer."""
    await live.ready()
    await live.submit("slow 100")
    await live.until("word10")
    await live.keys(live.looks.stop)
    await live.quiet(3.0)


LONG = ("hello", "lines 15", "tell me your name", "lines 70", "markdown", "hello again")
"""Answers of which some are longer than a small window, between short ones."""

SCENARIOS = {
    "start": Scenario(start),
    "trust-open": Scenario(trust, trusted=False, without=("opencode",)),
    "trust-accepted": Scenario(trust_accepted, trusted=False, without=("opencode",)),
    "typed": Scenario(typed),
    "hello": Scenario(turns("hello")),
    "slow": Scenario(turns("slow 20")),
    "three-turns": Scenario(turns("hello", "echo the same words", "echo the same words"), rows=50),
    "approval-open": Scenario(approval),
    "approval-allowed": Scenario(approval_allowed),
    "approval-allowed-80x50": Scenario(approval_allowed, rows=50),
    "approval-refused": Scenario(approval_refused),
    "interrupt": Scenario(interrupt),
    "long": Scenario(turns(*LONG)),
    "long-80x50": Scenario(turns(*LONG), rows=50),
    "hello-80x1000": Scenario(turns("hello"), rows=1000, without=("opencode",)),
}


async def record(name: str, title: str) -> Path:
    """Run one scenario and write its two files; returns the `.cast`.

    Raises `TimeoutError` when the program does not do what the scenario waits for."""
    scenario = SCENARIOS[title]
    async with ScriptedModel() as model:
        agent = make_agent(name, HOME, model, trusted=scenario.trusted)
        live = Live(agent, model, 80, scenario.rows)
        await live.start()
        try:
            await scenario.play(live)
            notes = {
                "agent": name,
                "version": pinned(name),
                "scenario": title,
                "size": [80, scenario.rows],
                "sent": sent_to(model),
            }
            path = RECORDINGS / name / f"{title}.cast"
            live.cast.save(path, notes)
        finally:
            await live.stop()
    return path


def main() -> int:
    """Record; status 1 when a scenario failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.record_agents")
    parser.add_argument("agents", nargs="*", metavar="AGENT", help=", ".join(AGENTS))
    parser.add_argument("--only", nargs="+", default=list(SCENARIOS), metavar="SCENARIO")
    parser.add_argument("--missing", action="store_true", help="only those not recorded yet")
    options = parser.parse_args()
    failed = 0
    for name in options.agents or AGENTS:
        for title in options.only:
            made = (RECORDINGS / name / f"{title}.cast").exists()
            if name in SCENARIOS[title].without or (options.missing and made):
                continue
            HOME.mkdir()  # an error when another recorder is at work: they would mix
            try:
                path = asyncio.run(record(name, title))
                print(f"{name} {title}: {path.stat().st_size} bytes", flush=True)
            except TimeoutError as error:
                failed += 1
                print(f"{name} {title}: FAILED: {error}", flush=True)
            finally:
                shutil.rmtree(HOME, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
