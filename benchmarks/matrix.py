"""The same conversation with every Codex version: `scripts/matrix [VERSION …]`.

Each version talks through the real `agentapi server` twice, with the screen alone and with the
link to Codex's app-server, and every check of `benchmarks/matrix_checks.py` is made. Prints a
table of what holds; `--write` writes docs/codex-versions.md; `--record` also records the terminal
of every version anew (tests/recordings/codex).
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Sequence
from pathlib import Path

import aiohttp

from agentapi.agents.codex.versions import TRIED
from agentapi.scripted import ScriptedModel
from benchmarks.matrix_checks import FREE, GUARDED, RESUME, Check, Talk
from benchmarks.matrix_page import NOT_REACHED, Column, page, table
from tests.support.codex import PROJECT, codex_binary
from tests.support.server import Server, codex_server

PAGE = PROJECT / "docs/codex-versions.md"
LINK = ("--codex-link", "on")
UNABLE = re.compile(r"^Error: .*--codex-link on: (.*)$", re.MULTILINE)


async def run(version: str, linked: bool, folder: Path) -> Column:
    """The three parts with one version."""
    column = Column(version, linked)
    free, guarded = folder / "free", folder / "guarded"
    free.mkdir()
    guarded.mkdir()
    async with ScriptedModel() as model:
        await play(column, FREE, free, model, (), approvals=False)
        if column.unable:
            return column
        resume = ("resume", last_session(free))
        await play(column, RESUME, free, model, resume, approvals=False)
        await play(column, GUARDED, guarded, model, (), approvals=True)
    return column


async def play(
    column: Column,
    part: Sequence[tuple[str, Check]],
    folder: Path,
    model: ScriptedModel,
    arguments: Sequence[str],
    approvals: bool,
) -> None:
    """Make a part's checks on one server. One that does not start or ends too early leaves the
    checks that it did not reach without a result."""
    names = [name for name, _ in part]
    column.results.update(dict.fromkeys(names, NOT_REACHED))
    try:
        async with codex_server(
            folder,
            model,
            *(LINK if column.linked else ()),
            version=column.version,
            arguments=arguments,
            approvals=approvals,
        ) as (server, home):
            if not await started(server, column):
                return
            talk = Talk(server, model, home, column.version, column.notes)
            for name, check in part:
                column.results[name] = await outcome(check(talk))
                await calm(server)
    except (AssertionError, TimeoutError, OSError, aiohttp.ClientError) as error:
        reached = [name for name in names if column.results[name] != NOT_REACHED]
        column.fail(names[len(reached)] if len(reached) < len(names) else names[-1], brief(error))


async def started(server: Server, column: Column) -> bool:
    """Wait until it is ready, and see that it is linked where it should be; False when this Codex
    cannot be linked."""
    try:
        await server.ready()
    except AssertionError:
        await server.ended()
        if column.linked and (why := UNABLE.search(server.log)):
            column.unable = why[1]
            return False
        raise
    if column.linked:
        found = (await server.get("/session"))["link"]
        assert found == "on", f"GET /session says that the link is {found}"
    return True


async def outcome(check: Awaitable[None]) -> str:
    """Empty when a check holds, else why it does not."""
    try:
        await check
    except (AssertionError, TimeoutError, LookupError, aiohttp.ClientError) as error:
        return brief(error)
    return ""


async def calm(server: Server) -> None:
    """Leave no turn and no dialog to the next check."""
    if server.process.returncode is None and server.status_now != "stable":
        async with server.client.post(server.url + "/interrupt") as response:
            await response.read()


def brief(error: Exception) -> str:
    """An error in one line; of a server that did not start, its last line of log."""
    lines = str(error).strip().split("\n") or [type(error).__name__]
    ended = [line for line in lines if " ERROR " in line or line.startswith("Error")]
    return (ended[-1] if ended else lines[0] or type(error).__name__)[:300]


def last_session(folder: Path) -> str:
    """The id of the only session of a home; empty when there is none."""
    found = sorted((folder / ".codex/sessions").rglob("rollout-*.jsonl"))
    return found[-1].stem[-36:] if found else ""


def installed(version: str) -> None:
    """Install a Codex where it is not yet."""
    try:
        codex_binary(version)
    except FileNotFoundError:
        subprocess.run([PROJECT / "scripts/setup", "--codex", version], check=True)


def versions(more: Sequence[str]) -> list[str]:
    """All versions, the oldest first."""
    wanted = {*TRIED, *more}
    return sorted(wanted, key=lambda version: tuple(int(part) for part in version.split(".")))


def main() -> int:
    """Run and print; status 1 when something does not hold."""
    parser = argparse.ArgumentParser(prog="scripts/matrix", description=__doc__)
    parser.add_argument("more", nargs="*", metavar="VERSION", help="besides the usual ones")
    parser.add_argument("--only", nargs="+", metavar="VERSION", help="instead of the usual ones")
    parser.add_argument("--link", choices=("both", "on", "off"), default="both")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--record", action="store_true", help="record the terminals anew")
    options = parser.parse_args()
    wanted = options.only or versions(options.more)
    ways = {"both": (False, True), "on": (True,), "off": (False,)}[options.link]
    for version in wanted:
        installed(version)
    columns = [one(version, linked) for linked in ways for version in wanted]
    print(table(columns))
    if options.write:
        PAGE.write_text(page(columns), encoding="utf-8")
    if options.record:
        recorder = [sys.executable, "-m", "tests.support.record", *wanted]
        subprocess.run(recorder, cwd=PROJECT, check=True)
    return 0 if all(column.holds for column in columns) else 1


def one(version: str, linked: bool) -> Column:
    """One version, one way, in a folder of its own; says what comes of it."""
    cache = PROJECT / ".cache/matrix"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, ignore_cleanup_errors=True) as folder:
        column = asyncio.run(run(version, linked, Path(folder)))
    bad = [f"\n    {name}: {why}" for name, why in column.results.items() if why]
    held = len(column.results) - len(bad)
    if column.unable:
        print(f"{column.title}: cannot: {column.unable}", flush=True)
        return column
    print(f"{column.title}: {held} of {len(column.results)} hold{''.join(bad)}", flush=True)
    return column


if __name__ == "__main__":
    sys.exit(main())
