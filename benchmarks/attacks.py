"""The most expensive 16 KiB that a program can print: what each attack costs the emulator, and how
long `/healthz` of a real daemon takes while a program prints nothing else.

`python -m benchmarks.attacks` prints both; `… attacks emulator` or `… attacks daemon` one of them,
and a second word keeps the attacks whose name holds it.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp

from agentapi.terminal import Emulator
from tests.support.daemon import daemon

PIECE = 16_384
"""Bytes of an attack: what one turn of the daemon's loop reads at most."""
SIZES = ((80, 24), (80, 1000))
PIECES = 3
SECONDS = 4.0
"""How long the daemon is watched under one attack."""


class Attack(NamedTuple):
    """`unit` repeated; `start` comes once, before the clock starts."""

    name: str
    unit: bytes
    start: bytes = b""

    def piece(self) -> bytes:
        """`PIECE` bytes of it."""
        return (self.unit * (PIECE // max(1, len(self.unit)) + 1))[:PIECE]


SYNC = b"\x1b[?2026h\x1b[?2026l"
FULL = b"".join(
    b"\r\n%d of the rows that are not blank, as far as the right edge" % n for n in range(2000)
)
TRUE_COLOURS = [b"\x1b[38;2;%d;%d;7m" % (n % 256, n // 256) for n in range(9000)]

ATTACKS = (
    Attack("RIS", b"\x1bc"),
    Attack("RIS after a letter", b"\x1bcx"),
    Attack("DECSTR", b"\x1b[!p"),
    Attack("SU 999", b"\x1b[999S"),
    Attack("SU 999 in a region", b"\x1b[999S", b"\x1b[2;999r"),
    Attack("SU 2", b"\x1b[2S"),
    Attack("SD 999", b"\x1b[999T"),
    Attack("IL 999", b"\x1b[999L", b"\x1b[H"),
    Attack("IL 1 at the top", b"\x1b[L", b"\x1b[H"),
    Attack("IL and DL in turn", b"\x1b[L\x1b[2M", FULL + b"\x1b[H"),
    Attack("DL 999", b"\x1b[999M", b"\x1b[H"),
    Attack("DL 2", b"\x1b[2M", b"\x1b[H"),
    Attack("SU over a full screen", b"\x1b[999S\x1b#8"),
    Attack("DECALN", b"\x1b#8"),
    Attack("DECALN and a letter", b"\x1b#8x"),
    Attack("DECALN and RIS", b"\x1b#8\x1bc"),
    Attack("DECALN and ED 2", b"\x1b#8\x1b[2J"),
    Attack("ED 2", b"\x1b[2J"),
    Attack("ED 2 in changing colours", b"\x1b[41m\x1b[2J\x1b[42m\x1b[2J"),
    Attack("ED 2 and a letter", b"\x1b[2Jx"),
    Attack("ED 0 from the top", b"\x1b[H\x1b[J"),
    Attack("ED 1 from the bottom", b"\x1b[1J", b"\x1b[999H"),
    Attack("ED 3", b"\x1b[3J"),
    Attack("a line and ED 3", b"\n\x1b[3J", b"\x1b[999H"),
    Attack("EL 2", b"\x1b[2K"),
    Attack("EL 0 and a letter", b"\rx\x1b[K"),
    Attack("ECH 65535", b"\x1b[65535X", b"\x1b[H"),
    Attack("ICH 65535", b"\x1b[65535@", b"\x1b[H"),
    Attack("DCH 65535", b"\x1b[65535P", b"\x1b[H"),
    Attack("ICH 1", b"\x1b[@", b"\x1b[H"),
    Attack("REP 65535", b"x\x1b[65535b"),
    Attack("REP 65535 of a wide one", "漢\x1b[65535b".encode()),
    Attack("REP at the bottom", b"x\x1b[65535b", b"\x1b[999H"),
    Attack("insert mode", b"x\r", b"\x1b[4h"),
    Attack("alternate screen 1049", b"\x1b[?1049h\x1b[?1049l"),
    Attack("alternate screen 47 and a letter", b"\x1b[?47hx\x1b[?47lx"),
    Attack("alternate screen 1049, many modes", b"\x1b[?" + b"1049;47;" * 25 + b"1049h\x1b[?47l"),
    Attack("alternate screen in colours", b"\x1b[41m\x1b[?47h\x1b[?47l\x1b[42m\x1b[?47h\x1b[?47l"),
    Attack("mouse modes", b"\x1b[?1000;1002;1003;9h"),
    Attack("origin mode", b"\x1b[?6h\x1b[?6l"),
    Attack("line feeds", b"\n"),
    Attack("line feeds at the bottom", b"\n", b"\x1b[999H"),
    Attack("index at the bottom", b"\x1bD", b"\x1b[999H"),
    Attack("reverse index at the top", b"\x1bM", b"\x1b[H"),
    Attack("line feeds in a region", b"\n", b"\x1b[1;998r\x1b[998H"),
    Attack("line feeds in a region of two", b"\n", b"\x1b[1;2r\x1b[2H"),
    Attack("region and scrolling", b"\x1b[1;9r\x1b[9H\n\x1b[2;8r\x1b[8H\n"),
    Attack("tab stops", b"\x1bH\x1b[C"),
    Attack("tabs", b"\t\r"),
    Attack("CHT and CBT", b"\x1b[999I\x1b[999Z"),
    Attack("TBC", b"\x1b[3g\x1bH"),
    Attack("charsets", b"\x1b(0q\x1b(Bq"),
    Attack("shifts", b"\x0ex\x0fx"),
    Attack("saved cursors", b"\x1b7\x1b8"),
    Attack("long OSC", b"\x1b]52;c;" + b"A" * 60_000 + b"\x07"),
    Attack("unending OSC", b"A", b"\x1b]2;"),
    Attack("unending DCS", b"A", b"\x1bPq"),
    Attack("unending CSI", b"1;", b"\x1b["),
    Attack("titles", b"\x1b]2;a\x07"),
    Attack("titles in change", b"\x1b]2;a\x07\x1b]2;b\x07"),
    Attack("stack of titles", b"\x1b[22t\x1b[23t"),
    Attack("long titles", b"\x1b]2;" + b"t" * 4000 + b"\x07"),
    Attack("states", b"\x1b]7501;state=working\x07\x1b]7501;state=idle\x07"),
    Attack("notifications", b"\x1b]9;x\x07"),
    Attack("bells", b"\x07"),
    Attack("links", b"\x1b]8;;a\x07x"),
    Attack("links in change", b"\x1b]8;;a\x07x\x1b]8;;b\x07y"),
    Attack("colour questions", b"\x1b]4;" + b"1;?;" * 500 + b"1;?\x07"),
    Attack("special colours", b"\x1b]10;" + b"?;" * 900 + b"?\x07"),
    Attack("XTGETTCAP", b"\x1bP+q" + b"544e;" * 60 + b"\x1b\\"),
    Attack("DECRQSS", b"\x1bP$qm\x1b\\"),
    Attack("kitty graphics", b"\x1b_Ga=q,i=1;AAAA\x1b\\"),
    Attack("kitty graphics, many keys", b"\x1b_G" + b"a=q," * 2000 + b"i=1\x1b\\"),
    Attack("OSC 7501, many fields", b"\x1b]7501;" + b"a=b:" * 2000 + b"\x07"),
    Attack("DA1", b"\x1b[c"),
    Attack("CPR", b"\x1b[6n"),
    Attack("XTVERSION", b"\x1b[>q"),
    Attack("DECRQM", b"\x1b[?2026$p"),
    Attack("XTWINOPS", b"\x1b[18t"),
    Attack("keyboard stack", b"\x1b[>1u\x1b[<9u"),
    Attack("SGR, long list", b"\x1b[" + b"1;" * 120 + b"1m"),
    Attack(
        "SGR, never the same",
        b"".join(TRUE_COLOURS),
    ),
    Attack(
        "SGR and a letter, never the same",
        b"x".join(TRUE_COLOURS),
    ),
    Attack("SGR 0", b"\x1b[m"),
    Attack("combining on one cell", "\u0301".encode(), b"a"),
    Attack("letters with a mark", "e\u0301".encode()),
    Attack("wide", "漢".encode()),
    Attack("wide and narrow", "漢a".encode()),
    Attack("flags", "🇩🇪".encode()),
    Attack("joiners", "👨\u200d".encode()),
    Attack("skin tones", "👍🏽".encode()),
    Attack("zero-width", "\u200b".encode()),
    Attack("not UTF-8", b"\xff"),
    Attack("faint cells", b"\x1b[2mx\x1b[mx"),
    Attack("controls inside sequences", b"\x1b[1\r\rm"),
    Attack("aborted sequences", b"\x1b[\x18"),
    Attack("escapes", b"\x1b"),
    Attack("unknown controls", b"\x01"),
    Attack("C1 and DEL", b"\x7f"),
    Attack("synchronized updates", b"\x1b[?2026h\x1b[?2026l"),
    Attack("synchronized updates of a letter", b"\x1b[?2026hx\x1b[?2026l"),
    Attack("synchronized updates, a letter between", b"x\x1b[?2026h\x1b[?2026l"),
    Attack("synchronized updates, two letters", b"\x1b[?2026hx\x1b[?2026ly"),
    Attack("synchronized updates and DECALN", b"\x1b#8\x1b[?2026h\x1b[?2026l"),
    Attack(
        "synchronized updates and ED 2",
        b"\x1b#8" + SYNC + b"\x1b[2J" + SYNC,
    ),
    Attack("synchronized scrolling", b"\n\x1b[?2026h\x1b[?2026l", FULL),
    Attack("synchronized faint screen", b"x\x1b[?2026h\x1b[?2026l", b"\x1b[2m" + FULL),
    Attack("resets of an update", b"\x1b[?2026h\x1bc"),
    Attack("letters all over", b"".join(b"\x1b[%dHx" % n for n in range(1, 1001))),
    Attack("letters", b"x"),
    Attack("carriage returns", b"\r"),
    Attack("numbered lines", b"".join(b"%d\r\n" % n for n in range(10_000))),
)


def cost(attack: Attack, columns: int, rows: int) -> tuple[float, float]:
    """(most milliseconds of processor time a piece, milliseconds of the frame after it)."""
    emulator = Emulator(columns, rows)
    emulator.feed(attack.start)
    emulator.take_frame()
    piece = attack.piece()
    fed, shown = 0.0, 0.0
    for _ in range(PIECES):
        start = time.process_time()
        emulator.feed(piece)
        emulator.take_replies()
        emulator.take_signals()
        middle = time.process_time()
        emulator.take_frame()
        fed = max(fed, middle - start)
        shown = max(shown, time.process_time() - middle)
        if fed > 3:
            break
    return fed * 1e3, shown * 1e3


def emulator(attacks: list[Attack]) -> None:
    heads = "".join(f"{f'{columns}x{rows}':>12}{'frame':>8}" for columns, rows in SIZES)
    print(f"{'ms per 16 KiB':42}{heads}")
    worst = [0.0] * len(SIZES)
    for attack in attacks:
        costs = [cost(attack, *size) for size in SIZES]
        worst = [max(old, fed) for old, (fed, _) in zip(worst, costs, strict=True)]
        print(
            f"{attack.name:42}" + "".join(f"{fed:12.1f}{shown:8.1f}" for fed, shown in costs),
            flush=True,
        )
    print(f"{'worst':42}" + "".join(f"{fed:12.1f}{'':8}" for fed in worst))


FLOODER = """
import os, sys
start, piece = (open(name, "rb").read() for name in sys.argv[1:3])
os.write(1, start)
while piece:
    os.write(1, piece)
sys.stdin.read()
"""


async def latency(attack: Attack, rows: int, kind: str = "custom") -> list[float]:
    """Milliseconds that `/healthz` took, one call after the other, while the attack went on."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("start", "piece")]
        for file, data in zip(files, (attack.start, attack.piece()), strict=True):
            file.write_bytes(data)
        program = (sys.executable, "-c", FLOODER, *map(str, files))
        words = ("--term-height", str(rows), "--type", kind, "--", *program)
        async with daemon(*words) as running:
            taken = []
            url = await running.url() + "/healthz"
            end = time.perf_counter() + SECONDS
            while time.perf_counter() < end:
                start = time.perf_counter()
                async with aiohttp.ClientSession() as client, client.get(url) as response:
                    await response.read()
                taken.append((time.perf_counter() - start) * 1e3)
                await asyncio.sleep(0.02)
            return taken


async def latencies(attacks: list[Attack]) -> None:
    print(f"{'ms of /healthz, 80x1000':42}{'median':>10}{'worst':>10}")
    for attack in (Attack("nothing, for comparison", b""), *attacks):
        taken = await latency(attack, 1000)
        print(f"{attack.name:42}{statistics.median(taken):10.1f}{max(taken):10.1f}", flush=True)


def main() -> None:
    which = sys.argv[1] if len(sys.argv) > 1 else "both"
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    attacks = [attack for attack in ATTACKS if word in attack.name]
    if which in ("emulator", "both"):
        emulator(attacks)
    if which in ("daemon", "both"):
        asyncio.run(latencies(attacks))


if __name__ == "__main__":
    main()
