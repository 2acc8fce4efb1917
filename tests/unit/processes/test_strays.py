from __future__ import annotations

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
        held.look()
        held.kill()
        found.terminate()  # the first signal that ends it counts
        assert found.wait() == -(signal.SIGTERM if reused else signal.SIGKILL)
