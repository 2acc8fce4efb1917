from __future__ import annotations

import os
import signal
import subprocess

import pytest

from agentapi.processes import strays
from agentapi.processes.identity import start_time
from agentapi.processes.strays import Strays


@pytest.mark.parametrize("reused", [False, True])
def test_a_number_that_passed_to_a_stranger_is_not_killed(
    reused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(["sleep", "60"]) as found:
        started = start_time(found.pid) - reused
        monkeypatch.setattr(strays, "strays", lambda *ignored: {found.pid: started})
        held = Strays(1)
        held.update()
        held.kill()
        found.terminate()  # the first signal that ends it counts
        assert found.wait() == -(signal.SIGTERM if reused else signal.SIGKILL)


def test_what_is_spared_is_not_found_nor_what_it_started() -> None:
    script = "setsid sh -c 'sleep 61 & echo $!; wait' & echo $!; wait"
    with subprocess.Popen(
        ["sh", "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as leader:
        assert leader.stdout is not None
        pids = {int(leader.stdout.readline()), int(leader.stdout.readline())}
        assert set(strays.strays(leader.pid, lambda pid: False)) == pids
        first = next(pid for pid in pids if os.getsid(pid) == pid)
        assert strays.strays(leader.pid, lambda pid: pid == first) == {}
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
