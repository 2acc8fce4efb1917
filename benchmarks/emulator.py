"""The emulator's speed beside stock pyte's on the same bytes: `python -m benchmarks.emulator`.

Throughput in MB/s of input, in reads of at most 4096 bytes, the screen looked at after each read
(as the daemon does); and the milliseconds from a spinner frame's bytes to text that was compared
with the frame before. Processor time for the former, the clock's for the latter; minimum, median
and maximum of several rounds: the spread is the machine's.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyte

from agentapi.agents.codex.versions import TRIED
from agentapi.terminal import Emulator
from agentapi.terminal.recording import read_recording

RECORDING = (
    Path(__file__).parents[1] / f"tests/recordings/codex/{TRIED[-1]}/three-prompts-alt-80x50.cast"
)
ROUNDS = 5
READ = 4096
SPINNER_SIZE = (80, 1190)
SPINNER_FRAMES = 200


class Corpus(NamedTuple):
    """Bytes for a screen of this size, and how many times stock pyte's speed is wanted."""

    name: str
    columns: int
    rows: int
    data: bytes
    wanted: float


def corpora() -> Iterator[Corpus]:
    recording = read_recording(RECORDING)
    session = recording.output() * max(1, 400_000 // len(recording.output()))
    yield Corpus("Codex recording", recording.columns, recording.rows, session, 2)
    # Words in lines of terminal width: what `cat` of a document does.
    line = b"The quick brown fox jumps over the lazy dog, and then it does so once more.\r\n"
    yield Corpus("plain text", 80, 24, line * 8_000, 5)
    scrolling = b"".join(b"line %d of the answer\r\n" % number for number in range(6_000))
    yield Corpus("scrolling text", 80, 1190, scrolling, 10)


def feed_ours(corpus: Corpus) -> None:
    emulator = Emulator(corpus.columns, corpus.rows)
    for start in range(0, len(corpus.data), READ):
        emulator.feed(corpus.data[start : start + READ])
        emulator.take_frame()
        emulator.take_replies()


def feed_stock(corpus: Corpus) -> None:
    """Stock pyte, not even asked for its screen; where it raises, the rest of a read is lost."""
    screen = pyte.Screen(corpus.columns, corpus.rows)
    stream = pyte.ByteStream(screen)
    for start in range(0, len(corpus.data), READ):
        try:
            stream.feed(corpus.data[start : start + READ])
        except TypeError:
            continue


def seconds(work: Callable[[Corpus], None], corpus: Corpus) -> list[float]:
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work(corpus)
        taken.append(time.process_time() - start)
    return taken


def spread(values: list[float], digits: int) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{low:.{digits}f} / {middle:.{digits}f} / {high:.{digits}f}"


def throughput() -> None:
    title = "MB/s of input (min / median / max)"
    print(f"{title:36}{'ours':>24}{'stock pyte':>24}{'ratio':>8}  wanted")
    for corpus in corpora():
        size = len(corpus.data) / 1e6
        ours = [size / taken for taken in seconds(feed_ours, corpus)]
        stock = [size / taken for taken in seconds(feed_stock, corpus)]
        ratio = statistics.median(ours) / statistics.median(stock)
        name = f"{corpus.name}, {corpus.columns}x{corpus.rows}"
        print(
            f"{name:36}{spread(ours, 2):>24}{spread(stock, 2):>24}{ratio:>8.1f}  {corpus.wanted:g}"
        )


def spinner() -> None:
    """A full screen on which one line spins, as Codex paints it."""
    columns, rows = SPINNER_SIZE
    emulator = Emulator(columns, rows)
    emulator.feed(b"\r\n".join(b"line %d of the answer so far" % row for row in range(rows)))
    frame = emulator.take_frame()
    taken = []
    for number in range(SPINNER_FRAMES):
        data = (
            f"\x1b[?2026h\x1b[{rows - 4};1H\x1b[2m\x1b[39m\x1b[49m{'◦•'[number % 2]}\x1b[22m "
            f"\x1b[38;5;7mWorking\x1b[39m\x1b[2m ({number}s • esc to interrupt)\x1b[m\x1b[K"
            f"\x1b[{rows - 2};3H\x1b[?25h\x1b[?2026l"
        ).encode()
        start = time.perf_counter()
        emulator.feed(data)
        now = emulator.take_frame()
        assert now.version > frame.version
        changed = [row for row, old in zip(now.lines, frame.lines, strict=True) if row is not old]
        taken.append((time.perf_counter() - start) * 1e3)
        assert len(changed) == 1
        frame = now
    print(
        f"spinner frame, {columns}x{rows}, ms (min / median / max): {spread(taken, 3)}  wanted 0.3"
    )


def main() -> None:
    warnings.simplefilter("ignore")
    throughput()
    spinner()


if __name__ == "__main__":
    main()
