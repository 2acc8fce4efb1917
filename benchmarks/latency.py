"""How long a message takes, beside what Codex itself takes: `python -m benchmarks.latency`.

A bare driver (no server) measures Codex alone: paste to echo, Enter to its `working` signal, the
model's last byte to its `done` signal. Then the same Codex runs under `agentapi server`, and a
client over loopback measures the whole. All in one run on one machine, which may be busy: minimum,
median and maximum.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from agentapi.agents.registry import profile_for
from agentapi.model.frames import AgentState
from agentapi.scripted import Reply, Request, Say, ScriptedModel
from agentapi.terminal import Emulator, ExitStatus, PtyProcess
from tests.support.codex import PROJECT, CodexHome, codex_command, codex_home
from tests.support.server import Server, codex_server, serving

PROMPT = "Say a few words about the weather."
COLUMNS, ROWS = 80, 1000
TICK = 0.06
"""Seconds between two lines of the program that prints the time."""
CLOCK_PROGRAM = """
import sys, time
print("> ", end="", flush=True)
sys.stdin.readline()
for _ in range({count}):
    print(time.monotonic_ns(), flush=True)
    time.sleep({tick})
sys.stdin.read()
"""
Table = list[tuple[str, list[float], str]]


def answer(request: Request) -> Reply:
    """A short answer, whatever was asked."""
    return (Say("It is fine today, with a little wind from the west."),)


class Bare:
    """Codex on a terminal, and nothing else of ours."""

    def __init__(self) -> None:
        self._emulator = Emulator(COLUMNS, ROWS)
        self._profile = profile_for("codex")
        self._changed = asyncio.Event()
        self._stopping = False
        self.state = ""
        self.process: PtyProcess

    async def start(self, command: Sequence[str], home: CodexHome) -> None:
        """Start it and wait until it takes a prompt."""
        self.process = await PtyProcess.spawn(
            command,
            cwd=home.workdir,
            env=home.environment(),
            columns=COLUMNS,
            rows=ROWS,
            on_output=self._output,
            on_exit=self._exited,
        )
        await self.until(lambda: self.state == "idle" and self._ready())
        await asyncio.sleep(1)

    async def until(self, condition: Callable[[], bool]) -> float:
        """When the condition came true, in seconds of `time.monotonic()`."""
        async with asyncio.timeout(30):
            while not condition():
                self._changed.clear()
                await self._changed.wait()
        return time.monotonic()

    def shows(self, text: str) -> bool:
        """Whether the composer holds a text."""
        composer = self._profile.read(self._emulator.take_frame()).composer
        return composer is not None and text in composer.text

    def complete(self) -> bool:
        """Whether the screen shows the end of the turn."""
        return self._profile.read(self._emulator.take_frame()).ended

    async def stop(self) -> None:
        """End it."""
        self._stopping = True
        await self.process.stop(1)

    def _ready(self) -> bool:
        composer = self._profile.read(self._emulator.take_frame()).composer
        return composer is not None and composer.ready

    def _output(self, data: bytes) -> None:
        self._emulator.feed(data)
        self.process.write(self._emulator.take_replies())
        for signal in self._emulator.take_signals():
            if isinstance(signal, AgentState):
                self.state = signal.state
        self._changed.set()

    def _exited(self, status: ExitStatus) -> None:
        if not self._stopping:
            raise RuntimeError(f"Codex ended: {status}")


async def bare_rounds(model: ScriptedModel, folder: Path, rounds: int) -> Table:
    """Codex alone."""
    home = codex_home(folder, model.url)
    bare = Bare()
    await bare.start(codex_command(), home)
    echo, begin, done, painted = [], [], [], []
    for _ in range(rounds):
        start = time.monotonic()
        bare.process.write(f"\x1b[200~{PROMPT}\x1b[201~".encode())
        echo.append(await bare.until(lambda: bare.shows(PROMPT)) - start)
        start = time.monotonic()
        bare.process.write(b"\r")
        begin.append(
            await bare.until(lambda: bare.state != "done" and bare.state != "idle") - start
        )
        end = await bare.until(lambda: bare.state == "done")
        done.append(end - model.last_byte_at)
        painted.append(await bare.until(bare.complete) - model.last_byte_at)
        await asyncio.sleep(0.3)
    await bare.stop()
    return [
        ("Codex alone: paste to echo", ms(echo), "ms"),
        ("Codex alone: Enter to `working`", ms(begin), "ms"),
        ("Codex alone: both", ms([a + b for a, b in zip(echo, begin, strict=True)]), "ms"),
        ("Codex alone: model's last byte to `done`", ms(done), "ms"),
        ("Codex alone: model's last byte to its last line", ms(painted), "ms"),
    ]


async def server_rounds(model: ScriptedModel, folder: Path, rounds: int) -> Table:
    """The same through the API; then what an idle and a working Codex cost the daemon."""
    post, done = [], []
    async with codex_server(folder, model) as (server, _):
        await server.ready()
        await asyncio.sleep(1)
        for _ in range(rounds):
            count = len(server.statuses)
            start = time.monotonic()
            sent = await server.send(PROMPT)
            post.append(time.monotonic() - start)
            assert sent.status == 200, sent.error
            await server.wait_status("running", "stable", since=count)
            stable = next(e for e in reversed(server.events) if e.name == "status_change")
            done.append(stable.at - model.last_byte_at)
            await asyncio.sleep(0.3)
        await asyncio.sleep(5)  # the last timers of a turn's end
        idle = await cost(server.process.pid, 5)
        model.hold()
        await server.send(PROMPT)
        await model.wait_until_held()
        busy = await cost(server.process.pid, 5)
        model.release()
        await server.wait_status("running", "stable", since=len(server.statuses) - 1)
    return [
        ("POST /message to 200", ms(post), "ms"),
        ("model's last byte to `stable` at a client", ms(done), "ms"),
        ("daemon, idle Codex: wake-ups", [idle[1]], "/s"),
        ("daemon, idle Codex: processor", [idle[0]], "%"),
        ("daemon, Codex spins: wake-ups", [busy[1]], "/s"),
        ("daemon, Codex spins: processor", [busy[0]], "%"),
    ]


async def clock_rounds(folder: Path, count: int) -> Table:
    """From a program's print to the event at a client, both on the machine's one clock."""
    script = folder / "clock.py"
    script.write_text(CLOCK_PROGRAM.format(count=count, tick=TICK))
    env = {"HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    delays: list[float] = []
    command = (sys.executable, "-u", str(script))
    async with serving(folder, command, "--term-height", "50", env=env, cwd=folder) as server:
        await server.ready()
        await server.raw("\r")
        seen: set[str] = set()
        await server.until(lambda: stamped(server, seen, delays) >= count, "every time stamp")
    return [("a byte on the PTY to the event at a client", ms(delays), "ms")]


def stamped(server: Server, seen: set[str], delays: list[float]) -> int:
    """Note the delay of each time stamp when it is first in an event."""
    for event in server.events:
        if event.name == "message_update":
            for stamp in re.findall(r"^\d{9,}$", event.data["message"], re.MULTILINE):
                if stamp not in seen:
                    seen.add(stamp)
                    delays.append(event.at - int(stamp) / 1e9)
    return len(seen)


async def start_rounds(folder: Path, rounds: int) -> Table:
    """From exec to the first 200 on /status; resident memory two seconds after."""
    first, memory = [], []
    for number in range(rounds):
        port = 43_100 + number
        command = (PROJECT / ".venv/bin/agentapi", "server", "--port", str(port), "--", "cat")
        start = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        while not await answers(port):  # noqa: ASYNC110 (another process: nothing to wait on)
            await asyncio.sleep(0.002)
        first.append(time.monotonic() - start)
        await asyncio.sleep(2)
        memory.append(resident(process.pid))
        process.terminate()
        await process.wait()
    return [("start to the first 200", ms(first), "ms"), ("resident memory", memory, "MB")]


async def answers(port: int) -> bool:
    """Whether GET /status is answered with 200."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    line = await reader.readline()
    writer.close()
    return b" 200 " in line


def resident(pid: int) -> float:
    """Resident memory in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


async def cost(pid: int, seconds: float) -> tuple[float, float]:
    """(processor in percent, voluntary context switches a second) over some seconds."""
    before, start = counters(pid), time.monotonic()
    await asyncio.sleep(seconds)
    after, passed = counters(pid), time.monotonic() - start
    return (after[0] - before[0]) / passed * 100, (after[1] - before[1]) / passed


def counters(pid: int) -> tuple[float, float]:
    """(seconds of processor, voluntary context switches) so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.MULTILINE)
    return ticks / os.sysconf("SC_CLK_TCK"), float(found[1]) if found else 0.0


def ms(seconds: Sequence[float]) -> list[float]:
    """Seconds as milliseconds."""
    return [value * 1000 for value in seconds]


def show(table: Table) -> None:
    """Print the figures."""
    print(f"{'':50}{'min':>9}{'median':>9}{'max':>9}")
    for name, values, unit in table:
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{name:50}{low:9.1f}{middle:9.1f}{high:9.1f} {unit}")


async def main(rounds: int) -> None:
    """Measure and print."""
    cache = PROJECT / ".cache/benchmarks"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        base = Path(folder)
        for name in ("bare", "server", "clock"):
            (base / name).mkdir()
        async with ScriptedModel(answer=answer) as model:
            table = await bare_rounds(model, base / "bare", rounds)
            table += await server_rounds(model, base / "server", rounds)
        table += await clock_rounds(base / "clock", rounds * 5)
        table += await start_rounds(base, 5)
    show(table)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=20, help="messages to send (20)")
    asyncio.run(main(arguments.parse_args().rounds))
