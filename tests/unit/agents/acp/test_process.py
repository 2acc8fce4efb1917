"""A process group on pipes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentapi.agents.acp.process import (
    TAIL_LINE_LENGTH,
    TAIL_LINES,
    Ending,
    LastLines,
    StdioProcess,
)
from tests.support.acp_watch import gone


async def shell(script: str) -> StdioProcess:
    return await StdioProcess.spawn(["sh", "-c", script], cwd="/", env=os.environ)


async def output(process: StdioProcess) -> bytes:
    """All that it writes."""
    pieces = []
    while piece := await process.read():
        pieces.append(piece)
    return b"".join(pieces)


async def ended(ending: Awaitable[Ending], process: StdioProcess) -> Ending:
    """Wait for its end; somebody reads its output, as its owner does. It may take a second more
    where nobody does."""
    reading = asyncio.create_task(output(process))
    found = await ending
    await reading
    return found


async def test_what_goes_in_comes_out() -> None:
    process = await StdioProcess.spawn(["cat"], cwd="/", env=os.environ)
    sent = os.urandom(3_000_000)
    reading = asyncio.create_task(output(process))
    await process.write(sent)
    assert await process.end(10) in (Ending(0, None), Ending(None, signal.SIGINT))
    assert sent.startswith(await reading)


async def test_it_leads_a_group_and_session_of_its_own(tmp_path: Path) -> None:
    process = await StdioProcess.spawn(["cat"], cwd=tmp_path, env={"PATH": os.environ["PATH"]})
    assert os.getpgid(process.pid) == os.getsid(process.pid) == process.pid
    await ended(process.end(10), process)


async def test_its_directory_and_environment_are_the_given_ones(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "ONLY": "this"}
    process = await StdioProcess.spawn(
        ["sh", "-c", "pwd; echo $ONLY $HOME"], cwd=tmp_path, env=environment
    )
    assert (await output(process)).decode() == f"{tmp_path}\nthis\n"
    assert await process.wait() == Ending(0, None)


@pytest.mark.parametrize(
    ("script", "ending"),
    [("exit 7", Ending(7, None)), ("kill -TERM $$", Ending(None, signal.SIGTERM))],
)
async def test_how_it_ended(script: str, ending: Ending) -> None:
    process = await shell(script)
    assert await ended(process.wait(), process) == ending
    assert await process.end(0) == ending
    with pytest.raises(ProcessLookupError):  # reaped: not even a zombie is there
        os.kill(process.pid, 0)


async def test_its_last_words_are_all_there_when_it_has_ended() -> None:
    process = await shell("echo out; seq 1000 >&2; exit 1")
    await process.wait()
    assert process.tail.text().splitlines() == [str(n) for n in range(901, 1001)]
    assert await output(process) == b"out\n"
    assert process.output_ended.is_set()


async def test_the_end_of_the_leader_is_the_end_of_its_group() -> None:
    process = await shell("trap '' INT TERM; sleep 300 & echo $!; exit 0")
    child = os.pidfd_open(int(await process.read()))
    assert await ended(process.wait(), process) == Ending(0, None)
    await gone(child)


@pytest.mark.parametrize("how", ["stopped", "died"])
async def test_a_command_in_a_session_of_its_own_ends_too(how: str) -> None:
    process = await shell("trap '' INT; (setsid sh -c 'echo $$; exec sleep 300'; :) & exec cat")
    command = int(await process.read())
    assert os.getsid(command) == command != process.pid
    held = os.pidfd_open(command)
    if how == "stopped":
        await ended(process.end(0.05), process)
    else:
        os.kill(process.pid, signal.SIGKILL)
        await ended(process.wait(), process)
    await gone(held)


async def test_writing_to_one_that_does_not_listen_is_an_error() -> None:
    process = await shell("exec 0<&-; echo closed; exec sleep 300")
    await process.read()
    with pytest.raises(ConnectionError):
        for _ in range(2):
            await process.write(b"hello\n")
    await ended(process.end(10), process)
    with pytest.raises(ConnectionError):
        await process.write(b"hello\n")


@pytest.mark.parametrize("argv", [["no-such-program"], ["/etc/passwd"]])
async def test_what_cannot_be_started_is_an_os_error(argv: list[str]) -> None:
    with pytest.raises(OSError):
        await StdioProcess.spawn(argv, cwd="/", env=os.environ)


@given(st.lists(st.binary(max_size=50), max_size=50))
def test_tail_is_bounded_however_it_is_fed(pieces: list[bytes]) -> None:
    tail = LastLines()
    for piece in pieces:
        tail.feed(piece * 200)
    lines = tail.text().split("\n")
    assert len(lines) <= TAIL_LINES + 1
    assert max(map(len, lines)) <= TAIL_LINE_LENGTH


def test_tail_keeps_the_last_lines_and_an_open_one() -> None:
    tail = LastLines()
    tail.feed(b"\none\r\ntw")
    tail.feed(b"o \n\x1b[1;31mthr\xff\x1b[0m")
    assert tail.text() == "one\ntwo\nthr\ufffd"
