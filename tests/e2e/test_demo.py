"""`scripts/demo` as a newcomer runs it (after the set-up, which the tests have behind them)."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from tests.support.codex import PROJECT

pytestmark = pytest.mark.codex


async def demo(folder: Path, *options: str) -> Process:
    command = [sys.executable, "-m", "agentapi.scripted.demo", "--scripted", "--port=0"]
    return await asyncio.create_subprocess_exec(
        *command,
        f"--folder={folder}",
        *options,
        cwd=PROJECT,
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
    )


async def read_until(process: Process, word: str) -> list[str]:
    """The lines of its output up to the one with this word."""
    assert process.stdout
    lines: list[str] = []
    while not lines or word not in lines[-1]:
        raw = await process.stdout.readline()
        assert raw, f"it ended without {word!r}:\n{''.join(lines)}"
        lines.append(raw.decode())
    return lines


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that were started for this demo."""
    mark = str(folder / "codex-home").encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().decode())
        except OSError:
            continue
    return found


async def all_gone(folder: Path) -> None:
    """Wait for the last process to end: a shell that Codex starts in a session of its own, to
    read the user's environment, can outlive it by a moment. The test's time limit bounds this."""
    while processes_of(folder):  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def test_once_answers_and_leaves_nothing(
    scratch: Path, codex: Callable[[str | None], Path]
) -> None:
    codex(None)
    process = await demo(scratch, "--once")
    out, errors = await process.communicate()
    told = out.decode()
    assert process.returncode == 0, told + errors.decode()
    events, _, answer = told.partition("The answer, as the terminal shows it:")
    statuses = [line.split()[-1] for line in events.splitlines() if "status_change" in line]
    assert statuses == ["running", "stable", "running", "stable"]
    assert "1 user" in events
    assert "Ran uname -sr" in answer
    assert "who: a real Codex" in answer
    await all_gone(scratch)
    assert not (scratch / "codex-home/auth.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_it_stays_up_until_it_is_told_to_end(
    scratch: Path, codex: Callable[[str | None], Path], number: signal.Signals
) -> None:
    codex(None)
    process = await demo(scratch, "--prompt", "hello")
    lines = await read_until(process, "curl -N")
    url = lines[-1].split()[-1].removesuffix("/events")
    async with aiohttp.ClientSession() as client, client.get(f"{url}/status") as response:
        assert (await response.json())["status"] == "stable"
    assert processes_of(scratch) != []
    process.send_signal(number)
    assert await process.wait() == 0
    await all_gone(scratch)


async def test_a_second_demo_in_the_same_folder_says_so(
    scratch: Path, codex: Callable[[str | None], Path]
) -> None:
    codex(None)
    first = await demo(scratch, "--prompt", "hello")
    await read_until(first, "curl -N")
    second = await demo(scratch, "--once")
    _, errors = await second.communicate()
    assert second.returncode == 1
    assert "another demo runs" in errors.decode()
    first.send_signal(signal.SIGINT)
    assert await first.wait() == 0
