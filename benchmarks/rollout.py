"""`python -m benchmarks.rollout [--megabytes N]`: reading a rollout, and following one.

Cold reading: a file made by repeating a recorded session, dropped from the page cache where the
kernel allows it, read in a fresh parser. The recordings lack Codex's instructions, which make up
most of a real file: `as recorded` is the file without them, the worst case; `real` has them filled
in at their length (0.80 writes 2,755 characters with each turn). Followed: the same as the server
reads it, beside an event loop; what is told is let go, and the memory is what the process grew by.
Following: from the end of a write to the callback.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from agentapi.agents.codex.rollout.follower import Batch, RolloutFollower, read_rollout
from agentapi.agents.codex.versions import TRIED

RECORDINGS = Path(__file__).parents[1] / "tests/recordings/rollouts"
VERSIONS = (TRIED[0], TRIED[2], TRIED[-1])
"""One of each form of record."""
RUNS = 3


def make(path: Path, version: str, megabytes: int, *, real: bool) -> None:
    """Write a rollout of about so many megabytes: recorded turns, over and over."""
    turns = (RECORDINGS / version / "turns.jsonl").read_bytes()
    if real:
        turns = turns.replace(b'"(left out)"', b'"%b"' % (b"instructions " * 212))
    with path.open("wb") as file:
        for _ in range(megabytes * 1_000_000 // len(turns) + 1):
            file.write(turns)
        file.flush()
        os.fsync(file.fileno())


def read_cold(path: Path) -> tuple[float, int]:
    """Megabytes a second, and the number of items."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    begun = time.perf_counter()
    entries, _ = read_rollout(path)
    return path.stat().st_size / 1e6 / (time.perf_counter() - begun), len(entries)


async def follow_cold(path: Path) -> tuple[float, float]:
    """Megabytes a second until all of a file is told, and megabytes that the process grew by."""
    size = await asyncio.to_thread(os.path.getsize, path)
    done = asyncio.Event()
    follower = RolloutFollower(path, lambda batch: done.set() if batch.caught_up else None)
    before = resident()
    begun = time.perf_counter()
    follower.start()
    await done.wait()
    speed = size / 1e6 / (time.perf_counter() - begun)
    grown = resident() - before
    await follower.stop()
    return speed, grown


def resident() -> float:
    """Megabytes of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def follow(path: Path, count: int) -> list[float]:
    """Milliseconds from the end of a write to the callback, one by one."""
    told = asyncio.Event()

    def take(batch: Batch) -> None:
        told.set()

    follower = RolloutFollower(path, take)
    follower.start()
    await told.wait()
    payload = {"type": "agent_message", "message": "Some words of an agent. " * 10}
    record = {"timestamp": "2026-01-02T03:04:05Z", "type": "event_msg", "payload": payload}
    line = json.dumps(record).encode() + b"\n"
    taken = []
    with path.open("ab", buffering=0) as file:
        for _ in range(count):
            await asyncio.sleep(0.005)
            told.clear()
            file.write(line)
            begun = time.perf_counter()
            await told.wait()
            taken.append((time.perf_counter() - begun) * 1000)
    await follower.stop()
    return taken


def spread(values: list[float]) -> str:
    """min / median / max."""
    return f"{min(values):8.2f} {statistics.median(values):8.2f} {max(values):8.2f}"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollout")
    parser.add_argument("--megabytes", type=int, default=100)
    megabytes: int = parser.parse_args().megabytes
    print(f"{'':36} {'min':>8} {'median':>8} {'max':>8}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rollout.jsonl"
        for version in VERSIONS:
            for real in (False, True):
                make(path, version, megabytes, real=real)
                runs = [read_cold(path) for _ in range(RUNS)]
                name = f"{version} {'real' if real else 'as recorded'}, {megabytes} MB, MB/s"
                print(f"{name:36} {spread([speed for speed, _ in runs])}   {runs[0][1]} items")
        make(path, VERSIONS[0], 2 * megabytes, real=False)
        cold = [asyncio.run(follow_cold(path)) for _ in range(RUNS)]
        name = f"{VERSIONS[0]} as recorded, {2 * megabytes} MB"
        print(f"{name + ' followed, MB/s':36} {spread([speed for speed, _ in cold])}")
        print(f"{'  memory, MB':36} {spread([grown for _, grown in cold])}")
        make(path, VERSIONS[-1], 0, real=False)
        taken = asyncio.run(follow(path, 200))
        print(f"{'a line written to its item, ms':36} {spread(taken)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
