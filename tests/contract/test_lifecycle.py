"""Contract points 19, 20 and 22: the pid file, signals, and how everything ends."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentapi.agents.registry import agent_types
from agentapi.cli import server_command
from agentapi.daemon.sockets import ListenError
from agentapi.settings.settings import server_settings
from tests.support.codex import CodexHome
from tests.support.daemon import ANSWERING, alive, daemon, eventually
from tests.support.server import all_gone, processes_of, runs_codex


async def test_point_19_the_pid_file_holds_who_takes_the_signals(tmp_path: Path) -> None:
    file = tmp_path / "run" / "agentapi.pid"
    async with daemon("--pid-file", str(file), "--", "cat") as one:
        await one.url()
        assert int(file.read_text()) == one.process.pid
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        os.kill(int(file.read_text()), signal.SIGTERM)
        assert await one.wait() == 0
    assert not file.exists()


async def test_point_19_a_running_server_keeps_its_pid_file(tmp_path: Path) -> None:
    file, ran = tmp_path / "pid", tmp_path / "ran"
    async with daemon("--pid-file", str(file), "--", "cat") as first:
        port = (await first.url()).rpartition(":")[2]
        async with daemon("--pid-file", str(file), "--", "touch", str(ran)) as second:
            assert await second.wait() == 2
            assert f"names process {first.process.pid}, running since 20" in second.log
            assert f"on port {port}: an agentapi that has" in second.log
        assert int(file.read_text()) == first.process.pid
    assert not ran.exists()


async def test_point_19_the_number_of_another_program_blocks_no_start(tmp_path: Path) -> None:
    """A home volume outlives a container that was stopped hard; its numbers are used again."""
    file = tmp_path / "pid"
    file.write_text(f"{os.getpid()}\n")
    async with daemon("--pid-file", str(file), "--", "cat") as one:
        await one.url()
        assert int(file.read_text()) == one.process.pid
        one.process.kill()
        await one.wait()
    assert int(file.read_text()) == one.process.pid
    async with daemon("--pid-file", str(file), "--", "cat") as another:
        await another.url()
        assert int(file.read_text()) == another.process.pid


async def test_point_19_it_goes_when_there_is_no_port_to_be_had(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        async with daemon("-p", port, "--pid-file", str(file), "--", "cat") as one:
            assert await one.wait() == 2
            assert f"port {port} is already in use" in one.log
    assert not file.exists()


def test_point_19_the_pid_file_is_written_before_the_port_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, seen = tmp_path / "pid", []

    def note(*ignored: object) -> None:
        seen.append(file.read_text())
        raise ListenError("no port")

    monkeypatch.setattr(server_command, "listen", note)
    monkeypatch.setattr(server_command, "Signals", lambda: None)
    settings = server_settings({"pid-file": str(file)}, {}, ["cat"], agent_types())
    assert server_command.run(settings) == 2
    assert seen == [f"{os.getpid()}\n"]
    assert not file.exists()


async def test_point_19_a_stale_pid_file_is_overwritten_and_goes_when_nothing_starts(
    tmp_path: Path,
) -> None:
    file = tmp_path / "pid"
    file.write_text("999999999")
    async with daemon("--pid-file", str(file), "--", str(tmp_path / "no-such-program")) as one:
        assert await one.wait() == 1
        assert "no-such-program" in one.log
        assert "Traceback" not in one.log
    assert not file.exists()


async def test_point_20_the_server_ends_with_its_agent() -> None:
    async with daemon("--", "true") as one:
        assert await one.wait() == 0
    async with daemon("--", "sh", "-c", "echo out of luck; sleep 0.2; exit 7") as one:
        assert await one.wait() == 1
        assert "out of luck" in one.log
        assert "status 7" in one.log
    async with daemon("--", "sh", "-c", "kill -9 $$") as one:
        assert await one.wait() == 1
        assert "signal 9" in one.log


async def test_an_agent_that_cannot_be_started_is_explained(tmp_path: Path) -> None:
    for program, reason in (
        ("no-such-program", "not found in PATH"),
        ("/etc/passwd", "executable"),
    ):
        async with daemon("--", program) as one:
            assert await one.wait() == 1
            assert "could not be started" in one.log
            assert program in one.log
            assert reason in one.log
            assert "Traceback" not in one.log


async def test_a_recording_that_cannot_be_written_is_a_wrong_option(tmp_path: Path) -> None:
    record = tmp_path / "missing" / "session.cast"
    async with daemon("--record", str(record), "--", "touch", str(tmp_path / "ran")) as one:
        assert await one.wait() == 2
        assert f"--record: cannot write '{record}'" in one.log
    assert not (tmp_path / "ran").exists()


async def test_a_session_is_recorded(tmp_path: Path) -> None:
    record = tmp_path / "session.cast"
    record.touch(0o644)
    async with daemon("--record", str(record), "--", "echo", "on the record") as one:
        assert await one.wait() == 0
    header, *events = map(json.loads, record.read_text().splitlines())
    assert (header["width"], header["height"]) == (80, 1000)
    assert record.stat().st_mode & 0o777 == 0o600
    assert "on the record" in "".join(text for _, kind, text in events if kind == "o")


@pytest.mark.codex
async def test_point_20_nothing_of_codex_stays_behind(
    home: CodexHome, codex: Callable[[str | None], Path]
) -> None:
    """Newer ones start a background server that outlives them, unless told otherwise."""
    environment: dict[str, Any] = dict(home.environment())
    async with daemon("--type=codex", "--", str(codex(None)), **environment) as one:
        await one.event("message_update")
        await one.until(lambda messages: "Codex" in messages[0][1])
        assert any(runs_codex(pid) for pid in processes_of(home.codex_home))
        assert await one.end() == 0
        assert "--no-daemon" in one.log
    await all_gone(home.codex_home)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_point_20_a_signal_interrupts_the_agent_and_ends_with_0(
    tmp_path: Path, number: int
) -> None:
    seen = tmp_path / "seen"
    command = f"trap 'echo INT > \"{seen}\"; exit 3' INT; echo ready; while :; do sleep 0.05; done"
    async with daemon("--", "bash", "-c", command) as one:
        await one.until(lambda messages: "ready" in messages[0][1])
        assert await one.end(number) == 0
    assert seen.read_text() == "INT\n"


async def test_point_20_an_agent_that_ignores_it_is_killed_with_all_its_processes(
    tmp_path: Path,
) -> None:
    pids = tmp_path / "pids"
    command = (
        f"trap '' INT; sleep 1000 & echo $$ $! > '{pids}.part'; mv '{pids}.part' '{pids}'; wait"
    )
    async with daemon("--", "bash", "-c", command) as one:
        await eventually(pids.exists)
        agent, grandchild = map(int, pids.read_text().split())
        assert alive(agent)
        assert alive(grandchild)
        url = await one.url()
        one.process.send_signal(signal.SIGTERM)
        await eventually(lambda: not_listening(url))
        assert alive(agent)  # serving stops first, the agent has its time
        assert await one.wait() == 0
        assert not alive(agent)
        assert not alive(grandchild)


async def test_point_20_an_agent_that_prints_without_end_is_stopped(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    command = (
        f"trap 'echo INT > \"{seen}\"; exit 3' INT; while :; do printf '\\033c%.0s' {{1..99}}; done"
    )
    async with daemon("--term-height", "1000", "--", "bash", "-c", command) as one:
        await one.url()
        await one.until(lambda messages: len(messages) > 0)
        assert await one.end(signal.SIGTERM) == 0
    assert "Traceback" not in one.log
    assert seen.read_text() == "INT\n"


def not_listening(url: str) -> bool:
    """Whether nobody serves there any more."""
    host, _, port = url.removeprefix("http://").partition(":")
    with closing(socket.socket()) as client:
        return client.connect_ex((host, int(port))) != 0


async def test_point_20_open_streams_end_and_delay_nothing(tmp_path: Path) -> None:
    async with daemon("--", "cat") as one, one.events() as events:
        assert (await anext(events))[0] == "message_update"
        one.process.send_signal(signal.SIGTERM)
        rest = [name async for name, _ in events]
        assert "agent_error" not in rest
        assert await one.wait() == 0


async def test_point_22_the_order_of_coders_shutdown_script(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    async with daemon("-s", str(file), "--", *ANSWERING) as one:
        await one.stable()
        assert await one.say("hello") == 200
        await one.until(lambda messages: len(messages) == 3)
        one.process.send_signal(signal.SIGUSR1)
        await eventually(lambda: "hello" in file.read_text())
        snapshot = await one.get("/messages")
        assert len(snapshot["messages"]) == 3
        assert await one.end() == 0
    assert snapshot["messages"][2]["content"].strip() == "you said: hello"
    saved = json.loads(file.read_text())["messages"]
    assert [m["message"] for m in saved] == [m["content"] for m in snapshot["messages"]]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGHUP, 0)]
)
async def test_a_signal_may_come_as_soon_as_the_port_is_open(number: int, status: int) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    async with daemon("-p", str(port), "--", "cat") as one:
        await eventually(lambda: not not_listening(f"http://127.0.0.1:{port}"))
        one.process.send_signal(signal.SIGUSR1)
        assert await one.end(number) == status


async def test_nohup_is_respected() -> None:
    async with daemon("--", "cat", prefix=("nohup",)) as one:
        await one.url()
        one.process.send_signal(signal.SIGHUP)
        assert (await one.get("/status"))["transport"] == "pty"
        assert await one.end(signal.SIGTERM) == 0
        assert "ending on a signal" in one.log


async def test_a_killed_server_takes_its_agent_along() -> None:
    async with daemon("--", "sh", "-c", "echo pid $$; exec cat") as one:
        await one.until(lambda messages: "pid" in messages[0][1])
        agent = int((await one.messages())[0][1].split()[1])
        one.process.kill()
        await eventually(lambda: not alive(agent))
