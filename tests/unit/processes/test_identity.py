from __future__ import annotations

import os
import signal
import socket
import subprocess

import pytest

from agentapi.processes import identity
from agentapi.processes.identity import Process, describe, mark, start_time


def test_a_process_is_signalled_and_its_end_seen() -> None:
    with subprocess.Popen(["sleep", "60"]) as child, Process(child.pid) as process:
        assert not process.ended_within(0)
        process.signal(signal.SIGKILL)
        assert process.ended_within(20)
        assert child.wait() == -signal.SIGKILL
        process.signal(signal.SIGKILL)  # nobody is left who could be hit


@pytest.mark.parametrize("group_flag", [identity._TO_GROUP, 1 << 20], ids=["new", "old kernel"])
def test_a_whole_group_is_signalled(group_flag: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_TO_GROUP", group_flag)
    command = ["sh", "-c", "sleep 60 & echo started; wait"]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"started\n"
        with Process(child.pid) as process:
            process.signal_group(signal.SIGKILL)
        assert child.stdout.read() == b""  # the pipe ends with the last of the group


@pytest.mark.parametrize("number", [-1, 0, 2**30])
def test_an_impossible_number_is_no_process(number: int) -> None:
    with pytest.raises(ProcessLookupError):
        Process(number)
    assert mark(number) == ""
    assert start_time(number) == 0


def test_a_mark_names_one_process_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        number, started, boot = mark(child.pid).split()
        assert (int(number), int(started)) == (child.pid, start_time(child.pid))
        assert boot
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert mark(child.pid) == ""  # ended, though nobody reaped it


def test_a_description_says_since_when_and_where() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)):
        words = describe(os.getpid())
        assert words.startswith(f"process {os.getpid()}, running since 20")
        assert f"{one.getsockname()[1]}" in words.partition("on port ")[2].split(" and ")
    assert describe(2**30) == f"process {2**30}"
