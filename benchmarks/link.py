"""What the link costs and gains: `python -m benchmarks.link`.

One linked Codex answers, in one run: from `POST /message` to its 200; from the arrival of a piece
of text at our socket to the event (pieces at least 50 ms apart); and from the model's last byte to
`stable` at a client. The machine may be busy: minimum, median and maximum.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from agentapi.codex.rpc import RpcConnection
from agentapi.drivers.base import ItemChanged
from agentapi.scripted import Reply, Request, Say, ScriptedModel
from agentapi.transcript_items import AgentMessage
from benchmarks.latency import PROMPT, Table, ms, show
from tests.support.codex import PROJECT
from tests.support.linked import linked
from tests.support.server import codex_server

WORDS = "".join(f"word{number} " for number in range(40))


def answer(request: Request) -> Reply:
    """A short answer, or for a prompt of one word forty pieces, 60 ms apart."""
    if request.prompt == "pieces":
        return (Say(WORDS, chunk=len(WORDS) // 40, pause=0.06),)
    return (Say("It is fine today, with a little wind from the west."),)


async def posts(folder: Path, rounds: int) -> Table:
    """Through the API."""
    post, done = [], []
    async with (
        ScriptedModel(answer=answer) as model,
        codex_server(folder, model, "--codex-link") as (server, _),
    ):
        await server.ready()
        await asyncio.sleep(1)
        for _ in range(rounds):
            count, start = len(server.statuses), time.monotonic()
            sent = await server.send(PROMPT)
            post.append(time.monotonic() - start)
            assert sent.status == 200, sent.error
            await server.wait_status("running", "stable", since=count)
            stable = next(e for e in reversed(server.events) if e.name == "status_change")
            done.append(stable.at - model.last_byte_at)
            await asyncio.sleep(0.3)
    return [
        ("POST /message to 200", ms(post), "ms"),
        ("model's last byte to `stable` at a client", ms(done), "ms"),
    ]


async def deltas(folder: Path) -> Table:
    """From the frame at our socket to the driver's event with the whole text so far."""
    arrived: list[float] = []
    take = RpcConnection._take

    def noting(connection: RpcConnection, text: str) -> None:
        if '"item/agentMessage/delta"' in text:
            arrived.append(time.perf_counter())
        take(connection, text)

    told: list[float] = []
    RpcConnection._take = noting  # type: ignore
    async with linked(folder) as talk:
        talk.model.answer = answer
        await talk.turn("hello")
        arrived.clear()
        sink = talk.take

        def timed(event: object) -> None:
            if _grows(event):
                told.append(time.perf_counter())
            sink(event)  # type: ignore[arg-type]

        talk.driver._sink = timed
        await talk.turn("pieces")
    pairs = list(zip(arrived, told, strict=False))
    return [("delta at the socket to the event", ms([b - a for a, b in pairs]), "ms")]


def _grows(event: object) -> bool:
    item = event.item if isinstance(event, ItemChanged) and event.partial else None
    return isinstance(item, AgentMessage) and bool(item.text)


async def main(rounds: int) -> None:
    """Measure and print."""
    cache = PROJECT / ".cache/benchmarks"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        for name in ("posts", "deltas"):
            (Path(folder) / name).mkdir()
        table = await posts(Path(folder) / "posts", rounds)
        table += await deltas(Path(folder) / "deltas")
    show(table)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=20, help="messages to send (20)")
    asyncio.run(main(arguments.parse_args().rounds))
