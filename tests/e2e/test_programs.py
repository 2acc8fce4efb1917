"""Programs of which nothing is known: line programs, a shell, an interpreter, a full screen."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.server import Sent, Server, serving


@asynccontextmanager
async def program(folder: Path, *command: str) -> AsyncIterator[Server]:
    """A server with a program of no known type, ready."""
    env = {
        "HOME": str(folder),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "PS1": "$ ",
    }
    async with serving(
        folder, command, "--type", "custom", "--term-height", "24", env=env, cwd=folder
    ) as server:
        await server.ready()
        assert "no output for" in (await server.get("/session"))["phase_reason"]
        yield server


async def test_a_program_without_a_prompt(scratch: Path) -> None:
    """It is believed to wait only after ten seconds."""
    async with program(scratch, "sh", "-c", "echo ready; exec cat") as server:
        assert await server.turn("hello") == "hello"
        assert (await server.get("/session"))["phase_reason"] == "quiet: no output for 10 s"


async def test_bash(scratch: Path) -> None:
    async with program(scratch, "bash", "--norc", "--noprofile") as server:
        assert await server.turn("echo $((6 * 7))") == "42"
        assert await server.turn("echo $((6 * 7))") == "42"
        assert await server.turn("seq 100") == "\n".join(map(str, range(1, 101)))
        assert await server.turn("seq 100") == "\n".join(map(str, range(1, 101)))
        assert await server.turn("sleep 1; echo slept") == "slept"


async def test_bash_runs_several_lines_as_one_message(scratch: Path) -> None:
    async with program(scratch, "bash", "--norc", "--noprofile") as server:
        answer = await server.turn("for i in 1 2 3; do\n  echo line $i\ndone")
        assert answer == "line 1\nline 2\nline 3"


async def test_python(scratch: Path) -> None:
    async with program(scratch, sys.executable, "-q") as server:
        assert await server.turn("print('a' * 3)") == "aaa"
        assert await server.turn("print('a' * 3)") == "aaa"
        assert (await server.turn("1 / 0")).endswith("ZeroDivisionError: division by zero")


async def test_nothing_is_lost_of_a_long_line_and_none_of_it_is_run(scratch: Path) -> None:
    reads = 'while printf "> " && read -r line; do echo "${#line}"; done'
    async with program(scratch, "bash", "--norc", "--noprofile", "-c", reads) as server:
        assert await server.turn("x" * 4095) == "4095"
        sent = await server.send("x" * 4096)
        assert (sent.status, "takes 4095" in sent.error) == (500, True)
        sent = await server.send("two\nlines")
        assert (sent.status, "several lines" in sent.error) == (500, True)
        assert await server.turn("still here") == "10"


async def test_a_password_is_not_typed_by_a_message(scratch: Path) -> None:
    asks = 'read -rsp "Password: " word; echo "${#word}"; read -rp "Go on? [y/N] " go; echo "$go"'
    async with program(scratch, "bash", "--norc", "-c", f"{asks}; sleep 60") as server:
        sent = await server.send("hello")
        assert (sent.status, "as for a password" in sent.error) == (500, True)
        await server.raw("secret\r")
        await server.wait_for_log("phase blocked")
        sent = await server.send("hello")
        assert (sent.status, "Go on? [y/N]" in sent.error) == (500, True)
        opened = (await server.get("/approval"))["open"]
        assert [choice["id"] for choice in opened["choices"]] == ["yes", "no"]
        answered = {"id": opened["id"], "choice": "no"}
        async with server.client.post(f"{server.url}/approval", json=answered) as response:
            assert response.status == 200
        await server.wait_for_screen("Go on? [y/N] n\nn")


async def test_a_program_that_ends(scratch: Path) -> None:
    async with program(scratch, "bash", "--norc", "--noprofile") as server:
        assert (await server.send("exit 0")).status in (200, 500)
        assert await server.ended() == 0


async def test_a_program_that_fails(scratch: Path) -> None:
    async with program(scratch, "bash", "--norc", "--noprofile") as server:
        await server.raw("exit 7\r")
        assert await server.ended() == 1
    assert "the agent ended with status 7" in server.log


async def test_a_full_screen_program(scratch: Path) -> None:
    pager = shutil.which("less")
    if pager is None:
        pytest.skip("no less on this machine")
    (scratch / "book").write_text("".join(f"page line {n}\n" for n in range(1, 200)))
    async with program(scratch, pager, "book") as server:
        assert "page line 1\n" in (await server.messages())[0][1]
        assert await server.send("/line 150") == Sent(200)
        await server.wait_for_screen("page line 150")
        await server.until(lambda: server.status_now == "stable", "the pager to be quiet")
        await server.raw("q")
        assert await server.ended() == 0


async def test_a_program_that_never_rests_is_not_said_to_wait(scratch: Path) -> None:
    async with program(scratch, "bash", "--norc", "--noprofile") as server:
        count = len(server.statuses)
        assert await server.send("for i in $(seq 12); do echo tick $i; sleep 0.2; done") == Sent(
            200
        )
        await server.until(lambda: "tick 12" in server.told[-1][1], "the last tick")
        await server.wait_status("running", "stable", since=count)
