"""The tests' own terminal, around small real programs."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.support.cast import CastWriter
from tests.support.terminal import Terminal

ENVIRONMENT = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"}
ASKS = r"""
import os, sys, termios, tty
tty.setraw(0)
for question, end in [
    (b"\x1b[?u", b"u"), (b"\x1b[c", b"c"), (b"ab\x1b[6n", b"R"), (b"\x1b]11;?\x1b\\", b"\\"),
]:
    for i in range(len(question)):
        os.write(1, question[i:i + 1])
    answer = b""
    while not answer.endswith(end):
        answer += os.read(0, 1)
    print(repr(answer), end="\r\n", flush=True)
"""


def spawn(path: Path, *command: str, cast: CastWriter | None = None) -> Terminal:
    return Terminal.spawn(command, ENVIRONMENT, path, 60, 10, cast)


async def test_queries_are_answered_however_they_are_split(tmp_path: Path) -> None:
    terminal = spawn(tmp_path, sys.executable, "-c", ASKS)
    try:
        assert await terminal.ended() == 0
    finally:
        await terminal.close()
    assert terminal.lines()[:4] == [
        r"b'\x1b[?0u'",
        r"b'\x1b[?1;2c'",
        r"abb'\x1b[3;3R'",
        r"b'\x1b]11;rgb:0000/0000/0000\x1b\\'",
    ]


async def test_it_tells_titles_and_states_and_records(tmp_path: Path) -> None:
    cast = CastWriter(60, 10)
    script = (
        r"printf '\033]0;a title\007\033]7501;state=idle:app=x\033\\'; read line; echo got $line"
    )
    terminal = spawn(tmp_path, "sh", "-c", script, cast=cast)
    try:
        terminal.write("hello\r", "prompt")
        await terminal.until("got hello")
        assert await terminal.ended() == 0
    finally:
        await terminal.close()
    assert (terminal.title, terminal.states) == ("a title", ["state=idle:app=x"])
    assert [entry["text"] for entry in cast.typed] == ["hello\r"]


async def test_waiting_in_vain_shows_the_screen(tmp_path: Path) -> None:
    terminal = spawn(tmp_path, "echo", "something else")
    try:
        with pytest.raises(TimeoutError, match="something else"):
            await terminal.until("never")
    finally:
        await terminal.close()


async def test_close_ends_the_whole_group(tmp_path: Path) -> None:
    script = "trap '' TERM HUP; sleep 1000 & echo pid=$!.; wait; wait"
    terminal = spawn(tmp_path, "sh", "-c", script)
    screen = await terminal.until(".")
    child = int(screen[screen.index("=") + 1 : screen.index(".")])
    assert is_running(child)
    await terminal.close()
    assert terminal.exit_status == -9
    # A kill takes a moment, and nothing tells of the end of a child that is not ours.
    while is_running(child):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
