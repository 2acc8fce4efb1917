"""Whether clients get what the model said: `python -m benchmarks.exactness`.

Every answer of `benchmarks/corpus` (a file each) is given by a scripted model to the real Codex
under `agentapi server`, one turn after the other, and read back three ways:

    message     GET /messages, as the terminal shows it: every word there, and nothing else
                (`benchmarks/words.py` says what a word is)
    transcript  GET /transcript: equal to what the model sent, byte by byte
    rollout     our reader of Codex's own record: the same

What is missing, too much or unequal is printed with the answer's name; a missing word also says
whether Codex showed it at all. `--keep FILE` keeps what was read, `--again FILE` judges it again.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentapi.agents.codex.rollout.follower import read_rollout
from agentapi.model.items import AgentMessage
from agentapi.scripted import Reply, Request, Say, ScriptedModel
from benchmarks.words import Verdict, judge
from tests.support.codex import PROJECT, CodexHome
from tests.support.server import Server, codex_server

CORPUS = PROJECT / "benchmarks/corpus"
ASK = "answer "
MAX_DELTAS = 60
"""Deltas of an answer at most: a long one comes in larger pieces."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A Codex on a terminal."""

    name: str
    version: str | None = None
    inline: bool = False
    rows: int = 1000
    options: tuple[str, ...] = ()


KINDS = (
    Kind("inline"),
    Kind("inline-24", rows=24),
    Kind("alternate"),
    Kind("0.125", version="0.125.0"),
    Kind("0.158", version="0.158.0"),
    Kind("link", options=("--codex-link", "on")),
)
INLINE = ("inline", "inline-24")
USUAL = ("inline", "alternate", "0.125")


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer as it came back."""

    name: str
    sent: str
    message: str = ""
    screen: str = ""
    """What the terminal showed when the turn was over."""
    transcript: str | None = None
    """None where the server has no transcript."""
    rollout: str | None = None
    fault: str = ""
    """Why there is no answer."""


def corpus() -> dict[str, str]:
    """The answers by name."""
    files = sorted(CORPUS.glob("*.md"))
    return {file.stem: file.read_bytes().decode() for file in files}


def answering(answers: dict[str, str]) -> Any:
    """The model: says the answer that it is asked for."""

    def answer(request: Request) -> Reply:
        text = answers[request.prompt.strip().removeprefix(ASK)]
        return [Say(text, chunk=max(24, len(text) // MAX_DELTAS))]

    return answer


async def measure(kind: Kind, answers: dict[str, str], folder: Path) -> list[Reading]:
    """Give every answer once and read it back."""
    readings = []
    async with ScriptedModel(answer=answering(answers)) as model:
        async with codex_server(
            folder,
            model,
            *("--term-height", str(kind.rows), *kind.options),
            version=kind.version,
            inline=kind.inline or kind.name in INLINE,
        ) as (server, home):
            await server.ready()
            for name, text in answers.items():
                readings.append(await one(server, name, text))
        said = from_rollout(home)
    return [dataclasses.replace(reading, rollout=said.get(reading.name)) for reading in readings]


async def one(server: Server, name: str, text: str) -> Reading:
    """One turn."""
    try:
        message = await server.turn(ASK + name)
    except AssertionError as error:
        await server.client.post(server.url + "/interrupt")
        return Reading(name, text, fault=str(error).partition("\n")[0])
    screen, transcript = await server.screen(), await from_transcript(server)
    return Reading(name, text, message, screen, transcript)


async def from_transcript(server: Server) -> str | None:
    """The last agent message of GET /transcript; None where there is none."""
    after, texts = 0, []
    while True:
        url = f"{server.url}/transcript?after={after}&limit=1000"
        async with server.client.get(url) as response:
            if response.status == 404:
                return None
            page = await response.json()
        texts += [item["text"] for item in page["items"] if item["kind"] == "agent_message"]
        if not page["items"] or page["items"][-1]["id"] == after:
            return texts[-1] if texts else ""
        after = page["items"][-1]["id"]


def from_rollout(home: CodexHome) -> dict[str, str]:
    """Each answer by the name that it was asked by."""
    found: dict[str, str] = {}
    name = ""
    for entry in read_rollout(home.rollouts()[-1])[0]:
        text = getattr(entry.item, "text", "")
        if isinstance(entry.item, AgentMessage):
            found[name] = text
        elif text.startswith(ASK):
            name = text.removeprefix(ASK)
    return found


def report(kind: str, readings: Sequence[Reading]) -> list[str]:
    """The lines to print of one kind: a summary, then every fault."""
    verdicts = [(reading, judge(reading.sent, reading.message)) for reading in readings]
    exact = sum(not reading.fault and verdict.exact for reading, verdict in verdicts)
    leaked = sum(len(verdict.added) for _, verdict in verdicts)
    lines = [
        f"{kind}: {len(readings)} answers",
        f"  message with every word and nothing else  {share(exact, len(readings))}",
        f"  words too many in all                     {leaked}",
        f"  rollout byte-equal                        {equal(readings, 'rollout')}",
        f"  transcript byte-equal                     {equal(readings, 'transcript')}",
    ]
    for reading, verdict in verdicts:
        lines += [f"    {reading.name}: {fault}" for fault in faults(reading, verdict)]
    return lines


def share(part: int, whole: int) -> str:
    """`12 of 12 (100.0 %)`."""
    return f"{part} of {whole} ({100 * part / max(1, whole):.1f} %)"


def equal(readings: Sequence[Reading], field: str) -> str:
    """The share of answers of which a record holds exactly what was sent."""
    texts = [(reading.sent, getattr(reading, field)) for reading in readings]
    if all(text is None for _, text in texts):
        return "not served"
    return share(sum(sent == text for sent, text in texts), len(texts))


def faults(reading: Reading, verdict: Verdict) -> list[str]:
    """What is wrong with one answer, a line each."""
    if reading.fault:
        return [reading.fault]
    found = []
    if verdict.missing:
        shown = judge(reading.sent, reading.screen).missing
        where = "not on the screen either" if shown else "but on the screen"
        found.append(f"missing, {where}: {' '.join(verdict.missing)[:300]}")
    if verdict.added:
        found.append(f"too much: {' '.join(verdict.added)[:300]}")
    if verdict.moved:
        found.append(f"in another order: {verdict.moved[:300]}")
    for field in ("rollout", "transcript"):
        text = getattr(reading, field)
        if text is not None and text != reading.sent:
            found.append(f"{field}: {text[:100]!r} was {reading.sent[:100]!r}")
    return found


async def run(kinds: Sequence[Kind], only: Sequence[str]) -> dict[str, list[Reading]]:
    """Measure some kinds, one after the other."""
    answers = {n: text for n, text in corpus().items() if not only or n in only}
    cache = PROJECT / ".cache/benchmarks"
    cache.mkdir(parents=True, exist_ok=True)
    found = {}
    for kind in kinds:
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            found[kind.name] = await measure(kind, answers, Path(folder))
    return found


def main() -> int:
    """Measure and print; status 1 when anything is not exact."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exactness")
    names = [kind.name for kind in KINDS]
    parser.add_argument("kinds", nargs="*", choices=[[], *names], default=[], metavar="KIND")
    parser.add_argument("--only", nargs="+", default=[], metavar="ANSWER")
    parser.add_argument("--keep", type=Path, metavar="FILE")
    parser.add_argument("--again", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.again:
        kept = json.loads(options.again.read_text())
        found = {kind: [Reading(**reading) for reading in kept[kind]] for kind in kept}
    else:
        wanted = options.kinds or USUAL
        found = asyncio.run(run([kind for kind in KINDS if kind.name in wanted], options.only))
    if options.keep:
        kept = {kind: [dataclasses.asdict(r) for r in found[kind]] for kind in found}
        options.keep.write_text(json.dumps(kept, ensure_ascii=False))
    bad = 0
    for kind, readings in found.items():
        lines = report(kind, readings)
        bad += len(lines) - 5
        print("\n".join(lines), flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
