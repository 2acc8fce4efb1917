from __future__ import annotations

import subprocess
import sys

import pytest

from agentapi.agents.codex.daemon import is_daemon
from agentapi.agents.registry import outlives


@pytest.mark.parametrize(
    ("words", "shared"),
    [
        (["app-server", "--listen", "unix://x", "--managed-daemon"], True),
        (["app-server", "daemon", "start"], True),
        (["app-server", "--listen", "unix://x"], False),
        (["daemon"], False),
    ],
)
def test_a_background_server_is_known_by_its_words(words: list[str], shared: bool) -> None:
    command = [sys.executable, "-c", "print(); input()", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        run.stdout.readline()
        assert is_daemon(run.pid) is shared
        assert outlives(run.pid) is shared
        run.communicate(b"\n")


def test_a_process_that_is_gone() -> None:
    with subprocess.Popen(["true"]) as run:
        pass
    assert not is_daemon(run.pid)
