"""Tiny real programs under a pseudo-terminal."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from agentapi.terminal import ExitStatus, PtyProcess, child_environment
from agentapi.terminal import process as process_module


class Runner:
    """Starts programs, collects what they print, and ends them."""

    def __init__(self) -> None:
        self.output = bytearray()
        self.ends: list[ExitStatus] = []
        self.output_at_end = b""
        self._changed = asyncio.Event()
        self._started: list[PtyProcess] = []

    async def start(
        self, *argv: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> PtyProcess:
        process = await PtyProcess.spawn(
            argv,
            cwd=cwd,
            env=child_environment(os.environ) if env is None else env,
            columns=80,
            rows=24,
            on_output=self._on_output,
            on_exit=self._on_exit,
        )
        self._started.append(process)
        return process

    async def shell(self, script: str) -> PtyProcess:
        return await self.start("sh", "-c", script)

    async def until(self, condition: Callable[[bytes], bool]) -> None:
        """Wait until the output so far fulfils a condition."""
        async with asyncio.timeout(10):
            while not condition(bytes(self.output)):
                self._changed.clear()
                await self._changed.wait()

    async def shown(self, text: bytes) -> None:
        await self.until(lambda output: text in output)

    async def close(self) -> None:
        for process in self._started:
            await process.stop(0)

    def _on_output(self, data: bytes) -> None:
        assert not self.ends, "output after the end"
        self.output += data
        self._changed.set()

    def _on_exit(self, status: ExitStatus) -> None:
        self.ends.append(status)
        self.output_at_end = bytes(self.output)


@pytest.fixture
async def run() -> AsyncIterator[Runner]:
    runner = Runner()
    yield runner
    await runner.close()


async def ended(pid: int) -> None:
    """Wait until a process, not necessarily a child of ours, has ended."""
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(pidfd, over.set)
        try:
            async with asyncio.timeout(10):
                await over.wait()
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)


def descriptors_and_children() -> tuple[int, str]:
    us = Path("/proc/self")
    return len(list((us / "fd").iterdir())), (us / f"task/{os.getpid()}/children").read_text()


async def test_size_terminal_and_status(run: Runner) -> None:
    process = await run.shell("stty size; echo $TERM; tty; exit 3")
    assert await process.wait() == ExitStatus(3, None)
    assert run.ends == [ExitStatus(3, None)]
    assert process.status == ExitStatus(3, None)
    assert run.output.startswith(b"24 80\r\nxterm-256color\r\n/dev/pts/")
    assert not Path(f"/proc/{process.pid}").exists(), "reaped"


async def test_it_leads_a_session_and_a_group(run: Runner) -> None:
    process = await run.shell("sleep 60")
    assert os.getsid(process.pid) == process.pid == os.getpgid(process.pid)
    assert process.status is None


async def test_killed_by_a_signal(run: Runner) -> None:
    process = await run.shell("kill -TERM $$; sleep 60")
    assert await process.wait() == ExitStatus(None, signal.SIGTERM)
    assert str(process.status) == "killed by SIGTERM"


async def test_all_output_comes_before_the_end(run: Runner) -> None:
    process = await run.start("seq", "50000")
    await process.wait()
    assert run.output_at_end.replace(b"\r", b"") == b"".join(b"%d\n" % n for n in range(1, 50001))


class Turns:
    """Counts the turns of the loop, and the bytes that were read in each."""

    def __init__(self) -> None:
        self.read: list[int] = [0]
        self._loop = asyncio.get_running_loop()
        self._next()

    def _next(self) -> None:
        self.read.append(0)
        self._handle = self._loop.call_soon(self._next)

    def take(self, data: bytes) -> None:
        """Output."""
        self.read[-1] += len(data)

    def stop(self) -> None:
        """Count no more."""
        self._handle.cancel()


async def flood(turns: Turns) -> None:
    """Run a program that prints much, to its end."""
    process = await PtyProcess.spawn(
        ["seq", "100000"],
        env=child_environment(os.environ),
        columns=80,
        rows=24,
        on_output=turns.take,
        on_exit=lambda status: turns.stop(),
    )
    await process.wait()
    assert sum(turns.read) > 600_000


async def test_a_turn_of_the_loop_reads_a_bounded_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "TURN_LIMIT", 3_000)
    turns = Turns()
    await flood(turns)
    assert max(turns.read) <= 3_000


async def test_a_turn_of_the_loop_reads_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece takes half of what a turn may take."""
    clock = itertools.count(step=process_module.TURN_TIME / 2)
    monkeypatch.setattr(process_module, "thread_time", lambda: next(clock))
    turns = Turns()
    await flood(turns)
    assert max(turns.read) <= 3 * process_module.PIECE


async def test_pending_output_that_is_too_much_is_given_up(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision must not be made on half of what the program says, and know that. Each piece takes
    half of the time that there is."""
    clock = itertools.count(step=process_module.PENDING_TIME / 2)
    monkeypatch.setattr(process_module, "thread_time", lambda: next(clock))
    process = await run.shell("stty -echo; echo one; read line; seq 1000; echo all; sleep 60")
    await run.shown(b"one")
    process.write(b"\r")
    deadline = time.monotonic() + 10
    while process.read_pending() and time.monotonic() < deadline:
        pass
    assert b"all" not in run.output
    while not (process.read_pending() and b"all" in run.output) and time.monotonic() < deadline:
        pass
    assert b"all" in run.output


async def test_answers_to_a_program_that_does_not_read_are_bounded(run: Runner) -> None:
    process = await run.shell("stty raw -echo; echo ready; sleep 60")
    await run.shown(b"ready")
    for _ in range(1_000):
        process.reply(b"x" * 1_000)
    process.write(b"y" * 1_000_000)  # what a person types is not lost for that
    with pytest.raises(BufferError, match=r"1\d{6} bytes wait"):
        process.write(b"z" * process_module.WRITE_LIMIT)


async def test_input_and_resize(run: Runner) -> None:
    process = await run.shell(
        "trap 'stty size' WINCH; stty -echo; echo ready; read line; echo got $line; "
        "while :; do sleep 0.05; done"
    )
    await run.shown(b"ready")
    process.write("h\u00e9llo\r".encode())
    await run.shown("got h\u00e9llo".encode())
    process.resize(120, 50)
    await run.shown(b"50 120")


async def test_pending_output_is_read_without_a_turn_of_the_loop(run: Runner) -> None:
    process = await run.shell("stty -echo; echo one; read line; echo two; sleep 60")
    await run.shown(b"one")
    process.write(b"\r")
    deadline = time.monotonic() + 10
    while b"two" not in run.output and time.monotonic() < deadline:
        process.read_pending()
    assert b"two" in run.output


async def test_much_input_in_order(run: Runner) -> None:
    data = bytes(range(256)) * 2000
    process = await run.shell(f"stty raw -echo; echo ready; head -c {len(data)} | md5sum")
    await run.shown(b"ready")
    for start in range(0, len(data), 10_000):
        process.write(data[start : start + 10_000])
    await process.drain()
    await process.wait()
    assert hashlib.md5(data).hexdigest().encode() in run.output


async def test_input_for_a_program_that_does_not_read_is_bounded(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "WRITE_LIMIT", 200_000)
    process = await run.shell("stty raw -echo; echo ready; sleep 60")
    await run.shown(b"ready")
    process.write(b"x" * 150_000)
    with pytest.raises(BufferError, match="reads no input"):
        process.write(b"x" * 150_000)
    waiting = asyncio.ensure_future(process.drain())
    await process.stop(0)
    await waiting
    process.write(b"after the end")
    process.resize(10, 10)
    process.signal(signal.SIGTERM)
    assert await process.stop(1) == process.status


async def test_stop_interrupts_first(run: Runner) -> None:
    process = await run.shell(
        "trap 'echo bye; exit 7' INT; echo ready; while :; do sleep 0.05; done"
    )
    await run.shown(b"ready")
    assert await process.stop(10) == ExitStatus(7, None)
    assert b"bye" in run.output_at_end


async def test_stop_kills_the_group_in_the_end(run: Runner) -> None:
    process = await run.shell("trap '' INT HUP; sleep 60 & echo child=$!.; wait; sleep 60")
    await run.until(lambda output: b"." in output)
    child = int(run.output.split(b"child=")[1].split(b".")[0])
    assert await process.stop(0.1) == ExitStatus(None, signal.SIGKILL)
    await ended(child)
    assert run.ends == [ExitStatus(None, signal.SIGKILL)]


async def test_two_stops_at_once(run: Runner) -> None:
    process = await run.shell("trap '' INT; echo ready; while :; do sleep 0.05; done")
    await run.shown(b"ready")
    first, second = await asyncio.gather(process.stop(0.1), process.stop(5))
    assert first == second == ExitStatus(None, signal.SIGKILL)


async def test_the_interrupt_reaches_the_foreground_group(run: Runner) -> None:
    process = await run.start("bash", "--norc", "-i")
    process.write(b"sh -c 'trap \"echo caught\" INT; echo re''ady; while :; do sleep 0.05; done'\r")
    await run.shown(b"ready")
    process.signal(signal.SIGINT)
    await run.shown(b"caught")


async def test_a_group_of_another_session_is_not_interrupted(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await run.shell("trap 'echo caught' INT; echo ready; while :; do sleep 0.05; done")
    await run.shown(b"ready")
    stranger = await asyncio.create_subprocess_exec("sleep", "60", start_new_session=True)
    monkeypatch.setattr(os, "tcgetpgrp", lambda descriptor: stranger.pid)
    process.signal(signal.SIGINT)
    stranger.terminate()  # the first signal that ends it counts
    assert await stranger.wait() == -signal.SIGTERM
    await run.shown(b"caught")


async def test_a_child_that_outlives_it_is_killed(run: Runner) -> None:
    process = await run.shell("(trap '' HUP; exec sleep 60) & echo child=$!.")
    await process.wait()
    child = int(run.output.split(b"child=")[1].split(b".")[0])
    await ended(child)


async def test_a_stranger_that_keeps_the_terminal_does_not_hold_up_the_end(run: Runner) -> None:
    process = await run.shell("echo last words; setsid sleep 60 & echo stranger=$!.; sleep 0.2")
    await process.wait()
    assert b"last words" in run.output_at_end
    stranger = int(run.output.split(b"stranger=")[1].split(b".")[0])
    with contextlib.suppress(ProcessLookupError):
        os.kill(stranger, signal.SIGKILL)


async def test_a_program_that_leaves_its_terminal_is_still_waited_for(run: Runner) -> None:
    process = await run.shell("exec <&- >&- 2>&-; sleep 0.2; exit 4")
    assert await process.wait() == ExitStatus(4, None)


async def test_signals_are_as_a_shell_would_give_them(run: Runner) -> None:
    process = await run.shell("grep -E 'SigIgn|SigBlk' /proc/self/status")
    await process.wait()
    assert [line.split()[1] for line in run.output.splitlines()] == [b"0" * 16, b"0" * 16]


async def test_no_file_of_ours_is_inherited(run: Runner, tmp_path: Path) -> None:
    with (tmp_path / "ours").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        process = await run.shell("ls -l /proc/self/fd")
        await process.wait()
    assert b"ours" not in run.output


class TestCannotStart:
    async def fails(self, run: Runner, *argv: str, cwd: Path | None = None) -> OSError:
        before = descriptors_and_children()
        with pytest.raises(OSError) as caught:
            await run.start(*argv, cwd=cwd)
        assert descriptors_and_children() == before, "nothing left open, nobody left unreaped"
        return caught.value

    async def test_not_in_path(self, run: Runner) -> None:
        error = await self.fails(run, "no-such-program")
        assert isinstance(error, FileNotFoundError)
        assert "'no-such-program' was not found in PATH" in str(error)

    async def test_no_such_file(self, run: Runner, tmp_path: Path) -> None:
        error = await self.fails(run, str(tmp_path / "missing"))
        assert isinstance(error, FileNotFoundError)
        assert "missing" in str(error)

    async def test_not_executable(self, run: Runner, tmp_path: Path) -> None:
        (tmp_path / "plain").write_text("echo")
        error = await self.fails(run, "./plain", cwd=tmp_path)
        assert isinstance(error, PermissionError)
        assert "not an executable file" in str(error)

    async def test_not_a_program(self, run: Runner, tmp_path: Path) -> None:
        (tmp_path / "broken").write_bytes(b"\x7fELF nonsense")
        (tmp_path / "broken").chmod(0o755)
        error = await self.fails(run, "./broken", cwd=tmp_path)
        assert "cannot start" in str(error)
        assert "Exec format error" in str(error)

    async def test_no_such_directory(self, run: Runner, tmp_path: Path) -> None:
        error = await self.fails(run, "true", cwd=tmp_path / "gone")
        assert "working directory does not exist" in str(error)

    async def test_directory_is_a_file(self, run: Runner, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        error = await self.fails(run, "true", cwd=tmp_path / "file")
        assert isinstance(error, NotADirectoryError)


class TestEnvironment:
    def test_ours_is_not_passed_on(self) -> None:
        base = {
            "AGENTAPI_TOKEN": "secret",
            "NOTIFY_SOCKET": "/run/n",
            "WATCHDOG_USEC": "1",
            "WATCHDOG_PID": "1",
            "LISTEN_FDS": "1",
            "COLUMNS": "10",
            "LINES": "5",
            "TMUX": "x",
            "OPENAI_API_KEY": "theirs",
            "LANG": "de_DE.UTF-8",
        }
        assert child_environment(base) == {
            "OPENAI_API_KEY": "theirs",
            "LANG": "de_DE.UTF-8",
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
        }

    @pytest.mark.parametrize(
        "base", [{}, {"LANG": "C"}, {"LC_ALL": "POSIX", "LANG": "en_GB.UTF-8"}]
    )
    def test_the_locale_is_utf_8(self, base: dict[str, str]) -> None:
        environment = child_environment(base)
        assert "LC_ALL" not in environment
        assert environment["LC_CTYPE"] == "C.UTF-8"

    def test_additions_win(self) -> None:
        assert child_environment({"A": "1"}, A="2", TERM="dumb") | {} == {
            "A": "2",
            "TERM": "dumb",
            "COLORTERM": "truecolor",
            "LC_CTYPE": "C.UTF-8",
        }

    async def test_path_is_the_childs(self, run: Runner, tmp_path: Path) -> None:
        tool = tmp_path / "tool"
        tool.write_text("#!/bin/sh\necho found\n")
        tool.chmod(0o755)
        process = await run.start("tool", env={"PATH": str(tmp_path)})
        await process.wait()
        assert run.output == b"found\r\n"
