from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentapi.cli.doctor import agent as doctor_agent
from agentapi.cli.doctor.agent import check_agent_requests
from agentapi.model.finding import State


def found(**environment: str) -> list[tuple[State, str]]:
    return [(one.state, one.says) for one in check_agent_requests(environment)]


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def test_without_a_token_what_cannot_be_told_is_refused() -> None:
    ((state, says),) = found()
    assert state is State.FINE
    assert "refused; where it cannot be told, it is refused, too" in says


@pytest.mark.usefixtures("user")
def test_with_a_token_it_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_agent, "ancestors", lambda pid, proc: [])
    requests, token = found(AGENTAPI_AUTH_TOKEN="word")
    assert requests[1].endswith("where it cannot be told, the token decides")
    assert token[0] is State.FINE
    assert token[1].startswith("it cannot read the token")


def test_where_nobody_can_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor_agent, "identification_problem", lambda callers: "no process is seen"
    )
    (one,) = check_agent_requests({})
    assert (one.state, "(no process is seen): both are refused" in one.says) == (State.NOTE, True)
    assert "--auth-token-file or AGENTAPI_AUTH_TOKEN" in one.fix
    first, *_ = check_agent_requests({"AGENTAPI_AUTH_TOKEN": "word"})
    assert first.says.endswith("the token decides")


def test_what_is_allowed_is_named() -> None:
    state, says = found(AGENTAPI_ALLOW_AGENT_REQUESTS="queue message")[1]
    assert state is State.NOTE
    assert says.startswith("it may send to its own server: queue, message")


@pytest.mark.usefixtures("user")
def test_a_token_that_the_agent_can_read(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("word")
    notes = [says for state, says in found(AGENTAPI_AUTH_TOKEN_FILE=str(file)) if state == "note"]
    assert notes == [f"it can read the token in {file}"]


def test_root_reads_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    says = [says for _, says in found(AGENTAPI_AUTH_TOKEN="word")]
    assert says[-1] == "it runs as root, which may read all: no token is a secret to it"


def test_whoever_started_it_may_show_the_token() -> None:
    code = (
        "import os; from agentapi.cli.doctor.agent import _exposures;"
        "print(list(_exposures(os.environ)))"
    )
    shell = subprocess.run(
        ["sh", "-c", '"$@"; true', "launcher", sys.executable, "-c", code],
        env={**os.environ, "AGENTAPI_AUTH_TOKEN": "word"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "the environment of process" in shell.stdout
    assert "(sh)" in shell.stdout
