"""Notifications to the service manager, over real datagram sockets, by notifier and server."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agentapi.agents.generic.console import Console
from agentapi.agents.generic.tui import TuiDriver
from agentapi.cli.server import _is_reading
from agentapi.conversation.profile import AgentProfile
from agentapi.daemon.notify import Notifier
from agentapi.terminal import ExitStatus, PtyProcess, child_environment
from tests.support.daemon import ANSWERING, PATIENCE, daemon
from tests.support.fixed_driver import FixedDriver


class Manager:
    """A service manager that keeps every datagram, in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.received: list[str] = []
        self._came = asyncio.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self._socket.setblocking(False)

    def listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def _read(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self.received.append(self._socket.recv(65536).decode())
                self._came.set()

    async def until(self, start: str, since: int = 0) -> str:
        """Wait for the first message with this prefix, from number `since` on."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for message in self.received[since:]:
                    if message.startswith(start):
                        return message
                self._came.clear()
                await self._came.wait()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
async def manager(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Manager]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@agentapi-{uuid.uuid4()}"
    made = Manager(name)
    made.listen()
    yield made
    made.close()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Manager]:
    """A manager that does not read."""
    made = Manager(str(tmp_path / "notify"))
    yield made
    made._socket.close()


async def test_the_life_of_a_server_is_reported_in_order(manager: Manager) -> None:
    async with daemon("--", *ANSWERING, NOTIFY_SOCKET=manager.name) as server:
        assert (await manager.until("READY=1")) == f"READY=1\nMAINPID={server.process.pid}"
        assert manager.received[0].startswith("READY=1")
        assert await server.get("/status")
        await manager.until("STATUS=idle: ")
        before = len(manager.received)
        assert await server.say("hello") == 200
        await manager.until("STATUS=idle: ", since=before)
        assert any(each.startswith("STATUS=working: ") for each in manager.received[before:])
        assert await server.end() == 0
        await manager.until("STOPPING=1")
    assert not any(each.startswith("WATCHDOG=1") for each in manager.received)


async def test_ready_means_that_status_answers(plain: Manager) -> None:
    """Send a synchronous request at the moment of READY."""
    async with daemon("--", *ANSWERING, NOTIFY_SOCKET=plain.name) as server:
        plain._socket.settimeout(PATIENCE)
        message = await asyncio.to_thread(plain._socket.recv, 65536)
        assert message.startswith(b"READY=1")
        url = await server.url()
        answer = await asyncio.to_thread(urllib.request.urlopen, url + "/status")
        with answer:
            assert answer.status == 200


async def test_a_reload_is_reported_from_start_to_end(manager: Manager, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    words = ("--state-file", str(state), "--", *ANSWERING)
    async with daemon(*words, NOTIFY_SOCKET=manager.name) as server:
        await server.stable()
        before = len(manager.received)
        state.unlink(missing_ok=True)
        server.process.send_signal(signal.SIGUSR1)
        began = await manager.until("RELOADING=1\nMONOTONIC_USEC=", since=before)
        assert int(began.rpartition("=")[2]) > 0
        assert await manager.until("READY=1", since=before) == "READY=1"
        assert state.exists()


async def test_the_watchdog_is_fed_at_half_its_time(manager: Manager) -> None:
    async with daemon(
        "--", *ANSWERING, NOTIFY_SOCKET=manager.name, WATCHDOG_USEC="100000"
    ) as server:
        for _ in range(3):
            await manager.until("WATCHDOG=1", since=len(manager.received))
        assert await server.end() == 0


async def test_a_stopped_loop_feeds_no_watchdog(manager: Manager) -> None:
    async with daemon(
        "--", *ANSWERING, NOTIFY_SOCKET=manager.name, WATCHDOG_USEC="100000"
    ) as server:
        await manager.until("WATCHDOG=1")
        server.process.send_signal(signal.SIGSTOP)
        stopped = await asyncio.to_thread(os.waitid, os.P_PID, server.process.pid, os.WSTOPPED)
        assert stopped
        before = len(manager.received)
        await asyncio.sleep(0.3)
        assert len(manager.received) - before <= 1  # one may have been under way
        server.process.send_signal(signal.SIGCONT)
        await manager.until("WATCHDOG=1", since=len(manager.received))


async def test_the_agent_never_learns_of_the_manager(manager: Manager) -> None:
    print_environment = ("sh", "-c", "env; printf '> '; cat")
    manager_of = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "60000000"}
    environment: dict[str, Any] = {**manager_of, "SEEN": "by-the-agent"}
    async with daemon("--", *print_environment, **environment) as server:
        await server.stable()
        screen = (await server.messages())[0][1]
        assert "SEEN=by-the-agent" in screen
        assert "NOTIFY_SOCKET" not in screen
        assert "WATCHDOG" not in screen


async def test_a_watchdog_of_another_process_is_not_fed(plain: Manager) -> None:
    for pid, fed in ((os.getpid(), True), (1, False)):
        environment = {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(pid)}
        notifier = Notifier({"NOTIFY_SOCKET": plain.name, **environment})
        notifier.watch(lambda: True)
        notifier.close()
        if fed:
            assert plain._socket.recv(100) == b"WATCHDOG=1"
        else:
            with pytest.raises(BlockingIOError):
                plain._socket.recv(100)


@pytest.mark.parametrize("time", ["0", "", "soon", "-5", "²"])
async def test_a_senseless_watchdog_time_means_none(plain: Manager, time: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": plain.name, "WATCHDOG_USEC": time})
    notifier.watch(lambda: True)
    notifier.close()
    with pytest.raises(BlockingIOError):
        plain._socket.recv(100)


async def test_a_dead_reader_feeds_no_watchdog(
    plain: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": plain.name, "WATCHDOG_USEC": "60000000"})
    notifier.watch(lambda: False)
    notifier.close()
    with pytest.raises(BlockingIOError):
        plain._socket.recv(100)
    assert "does not arrive" in caplog.text


async def test_what_the_manager_cannot_take_yet_comes_later_and_in_order(plain: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": plain.name})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        other.connect(plain.name)
        with suppress(BlockingIOError):
            while True:
                other.send(b"filling")
    notifier.ready()
    for number in range(50):
        notifier.status(f"number {number}")
    notifier.stopping()
    plain.listen()
    await plain.until("STOPPING=1")
    ours = [each for each in plain.received if each != "filling"]
    assert ours == [f"READY=1\nMAINPID={os.getpid()}", "STATUS=number 49", "STOPPING=1"]
    notifier.close()


async def test_a_manager_that_is_gone_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notifier.ready()
    notifier.status("idle")
    notifier.stopping()
    notifier.close()
    assert len(caplog.records) == 1
    assert "No such file" in caplog.text


async def test_a_strange_address_is_said_and_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": "vsock:2:1234"})
    notifier.ready()
    notifier.close()
    assert "vsock:2:1234" in caplog.text


async def test_without_a_manager_nothing_is_opened() -> None:
    notifier = Notifier({})
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    notifier.ready()
    notifier.status("idle")
    notifier.watch(lambda: True)
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    notifier.close()


async def test_a_status_is_one_line(plain: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": plain.name})
    notifier.status("blocked: a\nREADY=1\tdialog")
    notifier.close()
    assert plain._socket.recv(100) == b"STATUS=blocked: a READY=1 dialog"


# The reader of the terminal


async def test_output_that_nobody_reads_is_noticed() -> None:
    seen, ended = bytearray(), asyncio.Event()

    def on_exit(status: ExitStatus) -> None:
        ended.set()

    process = await PtyProcess.spawn(
        [sys.executable, "-c", "input(); print('more', flush=True); input()"],
        env=child_environment(os.environ),
        columns=80,
        rows=24,
        on_output=seen.extend,
        on_exit=on_exit,
    )
    assert process.reading()
    assert process.reading(), "an idle program is no dead reader"
    asyncio.get_running_loop().remove_reader(process._fd)
    process.write(b"\n")
    async with asyncio.timeout(PATIENCE):
        while process.reading():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    process.read_pending()
    assert process.reading(), "it reads again"
    await process.stop(0)
    assert process.reading()


async def test_the_server_asks_its_driver() -> None:
    driver = TuiDriver(AgentProfile("custom"), Console(["cat"], env=child_environment(os.environ)))
    assert _is_reading(driver), "nothing was started yet"
    await driver.start(lambda event: None)
    assert driver.console._process is not None
    asyncio.get_running_loop().remove_reader(driver.console._process._fd)
    await driver.keys("echoed by the terminal\n")
    async with asyncio.timeout(PATIENCE):
        while _is_reading(driver):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await driver.stop(0)
    assert _is_reading(driver)
    assert _is_reading(FixedDriver()), "one that cannot tell is believed"


async def test_output_that_cannot_be_passed_on_is_noticed() -> None:
    failing = True
    passed = asyncio.Event()

    def on_output(data: bytes) -> None:
        passed.set()
        if failing:
            raise RuntimeError("a broken screen")

    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, what: errors.append(what))
    process = await PtyProcess.spawn(
        ["sh", "-c", "echo one; read line; echo two; read line"],
        env=child_environment(os.environ),
        columns=80,
        rows=24,
        on_output=on_output,
        on_exit=lambda status: None,
    )
    async with asyncio.timeout(PATIENCE):
        await passed.wait()
        assert not process.reading()
        failing = False
        passed.clear()
        process.write(b"\n")
        await passed.wait()
        assert process.reading()
    assert errors
    await process.stop(0)
