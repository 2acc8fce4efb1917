"""Programs of which nothing is known: line programs, a shell, an interpreter, a full screen."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.server import Sent, Server, scratch_folder, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")
BASH = ("bash", "--norc", "--noprofile")
ASKS = 'read -rsp "Password: " word; echo "${#word}"; read -rp "Go on? [y/N] " go; echo "$go"'
PAGER = shutil.which("less")
SHARED = {
    "no prompt": ("sh", "-c", "echo ready; exec cat"),
    "bash": BASH,
    "python": (sys.executable, "-q"),
    "password": ("bash", "--norc", "-c", f"{ASKS}; sleep 60"),
    **({"pager": (PAGER, "book")} if PAGER else {}),
}
ASKING = ("password", "pager")
"""Programs that take no message from the start."""
BOOK = "".join(f"page line {n}\n" for n in range(1, 200))


@asynccontextmanager
async def program(folder: Path, *command: str, asks: bool = False) -> AsyncIterator[Server]:
    """A server with a program of no known type, ready, or one that asks at once."""
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
        if asks:
            await server.wait_for_log("phase blocked")
            yield server
            return
        await server.ready()
        assert "no output for" in (await server.get("/session"))["phase_reason"]
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers() -> AsyncIterator[dict[str, Server]]:
    """A server with each program, started and stopped all at once: one that has no prompt takes
    long to be believed to wait."""
    with scratch_folder() as folder:
        async with AsyncExitStack() as stack:
            starting = []
            for name, command in SHARED.items():
                (own := folder / name).mkdir()
                (own / "book").write_text(BOOK)
                starting.append(
                    stack.enter_async_context(program(own, *command, asks=name in ASKING))
                )
            started = await asyncio.gather(*starting)
            yield dict(zip(SHARED, started, strict=True))
            assert set(await asyncio.gather(*(server.stop() for server in started))) == {0}


async def test_a_program_without_a_prompt(servers: dict[str, Server]) -> None:
    """It is believed to wait only after ten seconds."""
    server = servers["no prompt"]
    assert await server.turn("hello") == "hello"
    assert (await server.get("/session"))["phase_reason"] == "quiet: no output for 10 s"


async def test_bash(servers: dict[str, Server]) -> None:
    server = servers["bash"]
    assert await server.turn("echo $((6 * 7))") == "42"
    assert await server.turn("echo $((6 * 7))") == "42"
    assert await server.turn("seq 100") == "\n".join(map(str, range(1, 101)))
    assert await server.turn("seq 100") == "\n".join(map(str, range(1, 101)))
    assert await server.turn("sleep 1; echo slept") == "slept"


async def test_bash_runs_several_lines_as_one_message(servers: dict[str, Server]) -> None:
    answer = await servers["bash"].turn("for i in 1 2 3; do\n  echo line $i\ndone")
    assert answer == "line 1\nline 2\nline 3"


async def test_a_line_that_bash_waits_for_the_rest_of(servers: dict[str, Server]) -> None:
    assert await servers["bash"].turn("echo 'open") == ""
    assert await servers["bash"].turn("closed'") == "open\nclosed"


async def test_output_that_looks_like_prompts(servers: dict[str, Server]) -> None:
    assert await servers["bash"].turn(r"printf 'a > b\n> c\nd\n'") == "a > b\n> c\nd"
    assert await servers["bash"].turn("echo after") == "after"


async def test_a_program_that_never_rests_is_not_said_to_wait(servers: dict[str, Server]) -> None:
    server = servers["bash"]
    count = len(server.statuses)
    ticks = "for i in $(seq 12); do echo tick $i; sleep 0.2; done"
    assert await server.send(ticks) == Sent(200)
    await server.until(lambda: "tick 12" in server.told[-1][1], "the last tick")
    await server.wait_status("running", "stable", since=count)


async def test_python(servers: dict[str, Server]) -> None:
    server = servers["python"]
    assert await server.turn("print('a' * 3)") == "aaa"
    assert await server.turn("print('a' * 3)") == "aaa"
    assert await server.turn("print('a' + chr(10) * 40 + 'b')") == "a\n\n\n\n\n\nb"
    assert await server.turn("for i in range(3): print(i)") == ""
    assert "SyntaxError" in await server.turn("print(i)")
    assert (await server.turn("1 / 0")).endswith("ZeroDivisionError: division by zero")


async def test_nothing_is_lost_of_a_long_line_and_none_of_it_is_run(scratch: Path) -> None:
    reads = 'while printf "> " && read -r line; do echo "${#line}"; done'
    async with program(scratch, *BASH, "-c", reads) as server:
        assert await server.turn("x" * 4095) == "4095"
        sent = await server.send("x" * 4096)
        assert (sent.status, "takes 4095" in sent.error) == (500, True)
        sent = await server.send("two\nlines")
        assert (sent.status, "several lines" in sent.error) == (500, True)
        assert await server.turn("still here") == "10"


async def test_a_password_is_not_typed_by_a_message(servers: dict[str, Server]) -> None:
    server = servers["password"]
    sent = await server.send("hello")
    assert (sent.status, "Password:" in sent.error) == (500, True)
    assert (await server.get("/approval"))["open"]["title"] == "Password:"
    await server.raw("secret\r")
    await server.wait_for_screen("Go on?")
    sent = await server.send("hello")
    assert (sent.status, "Go on? [y/N]" in sent.error) == (500, True)
    await server.until(lambda: "Go on?" in server.told[-1][1], "the second question")
    opened = (await server.get("/approval"))["open"]
    assert [choice["id"] for choice in opened["choices"]] == ["yes", "no"]
    answered = {"id": opened["id"], "choice": "no"}
    async with server.client.post(f"{server.url}/approval", json=answered) as response:
        assert response.status == 200
    await server.wait_for_screen("Go on? [y/N] n\nn")


async def test_a_program_that_ends(scratch: Path) -> None:
    async with program(scratch, *BASH) as server:
        assert (await server.send("exit 0")).status in (200, 500)
        assert await server.ended() == 0


async def test_a_program_that_fails(scratch: Path) -> None:
    async with program(scratch, *BASH) as server:
        await server.raw("exit 7\r")
        assert await server.ended() == 1
    assert "the agent ended with status 7" in server.log


async def test_a_full_screen_program(servers: dict[str, Server]) -> None:
    if "pager" not in servers:
        pytest.skip("no less on this machine")
    server = servers["pager"]
    opened = (await server.get("/approval"))["open"]
    assert (opened["kind"], opened["choices"]) == ("other", [])
    assert "page line 1\n" in opened["reason"]
    sent = await server.send("/line 150")
    assert (sent.status, "page line 1\n" in sent.error) == (500, True)
    await server.raw("/line 150\r")
    await server.wait_for_screen("page line 150")
    await server.raw("q")
    assert await server.ended() == 0


EDITOR = """
import contextlib, curses

def edit(screen):
    screen.addstr(3, 5, "a text")
    while screen.getch() != ord("q"):
        pass

with contextlib.suppress(KeyboardInterrupt):
    curses.wrapper(edit)
"""


async def test_a_full_screen_program_in_a_shell(scratch: Path) -> None:
    """It waits for a person, takes keys, can be interrupted, and then the shell is ready again."""
    async with program(scratch, *BASH) as server:
        (scratch / "edit.py").write_text(EDITOR)
        for leave in (lambda: server.raw("q"), lambda: server.post("/interrupt")):
            assert await server.send(shlex.join([sys.executable, "edit.py"])) == Sent(200)
            await server.until(lambda: server.phases[-1].phase == "blocked", "blocked")
            assert "a text" in (await server.get("/approval"))["open"]["reason"]
            sent = await server.send("quit")
            assert (sent.status, "a text" in sent.error) == (500, True)
            await leave()
            await server.until(lambda: server.phases[-1].phase == "idle", "idle")
        assert await server.turn("echo back") == "back"


async def test_a_slow_start_without_a_word_is_waited_for(scratch: Path) -> None:
    """A program that is known to do something else than to read is not ready."""
    slow = 'echo loading...; sleep 14; echo Ready; while read -rp "> " line; do echo "$line"; done'
    async with program(scratch, *BASH, "-c", slow) as server:
        assert (await server.messages())[0][1] == "loading...\nReady"
        assert server.statuses == ["running", "stable"]
        assert await server.turn("hi") == "hi"


async def test_an_interrupt_is_the_terminals_own(scratch: Path) -> None:
    async with program(scratch, *BASH) as server:
        assert await server.send("sleep 60") == Sent(200)
        async with server.client.post(f"{server.url}/interrupt") as response:
            assert response.status == 200
            assert (await response.json())["phase"] == "idle"
        assert await server.turn("echo back") == "back"
