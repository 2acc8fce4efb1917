"""`agentapi doctor` without a real Codex: small programs stand for it, the machine is real."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from agentapi.cli.doctor.machine import check_folders, check_port, check_terminal
from agentapi.cli.doctor.report import as_json, page
from agentapi.model.finding import State, fine, note, wrong


def _program(file: Path, text: str) -> str:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


def _doctor(tmp_path: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **variables}
    return subprocess.run(
        [sys.executable, "-m", "agentapi", "doctor", *options],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# The page


def test_the_page_says_what_to_do() -> None:
    shown = page([fine("port", "free"), wrong("Codex", "gone\nquite", "install it\nor not")])
    assert shown.splitlines() == [
        "ok    port          free",
        "WRONG Codex         gone",
        "                    quite",
        "                 -> install it",
        "                 -> or not",
        "",
        "1 wrong: see the arrows above.",
    ]
    assert page([note("node", "old")]).endswith("\n\nNothing is wrong.")


def test_json_says_the_same() -> None:
    assert as_json([note("node", "old", "newer")], "1.2.3") == {
        "version": "1.2.3",
        "ok": True,
        "findings": [{"what": "node", "state": "note", "says": "old", "fix": "newer"}],
    }


def test_the_command_without_codex(tmp_path: Path) -> None:
    run = _doctor(tmp_path, "--port", "0", "--codex", "no-such-codex", "--json")
    assert run.returncode == 1
    report = json.loads(run.stdout)
    states = {finding["what"]: finding["state"] for finding in report["findings"]}
    assert states["Codex"] == "wrong"
    assert states["config"] == states["sandbox"] == "note"
    assert not report["ok"]
    assert list(tmp_path.iterdir()) == [], "it changes nothing"


def test_where_another_agent_is_installed_codex_does_not_matter(tmp_path: Path) -> None:
    place = _program(tmp_path / "claude", "")
    run = _doctor(tmp_path, "--port", "0", "--json", PATH=str(tmp_path))
    found = json.loads(run.stdout)["findings"]
    assert [each["says"] for each in found if each["what"] == "claude"] == [
        f"{place} (not looked into)"
    ]
    assert "odex" not in run.stdout
    run = _doctor(tmp_path, "--port", "0", PATH=str(tmp_path), AGENTAPI_TYPE="codex")
    assert "WRONG Codex" in run.stdout


@pytest.mark.parametrize("options", [["--port", "70000"], ["--colour"], ["word"]])
def test_wrong_options_are_status_2(tmp_path: Path, options: list[str]) -> None:
    assert _doctor(tmp_path, *options).returncode == 2


# The machine


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        one.settimeout(10)

        def hang_up() -> None:
            try:
                one.accept()[0].close()
            except OSError:
                return

        thread = threading.Thread(target=hang_up)
        thread.start()
        yield one.getsockname()[1]
        one.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_port_that_another_program_has(taken: int) -> None:
    finding = check_port(("127.0.0.1",), taken)
    assert finding.state is State.WRONG
    assert f"port {taken} is already in use" in finding.says


class _Status(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "stable", "agent_type": "codex"}')

    def log_message(self, *words: object) -> None:
        pass


def test_a_port_that_an_agentapi_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with HTTPServer(("127.0.0.1", 0), _Status) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        finding = check_port(("127.0.0.1",), server.server_port)
        thread.join()
    assert finding.state is State.NOTE
    assert "an agentapi (codex, stable) serves there" in finding.says


def test_a_free_port() -> None:
    assert check_port(("127.0.0.1",), 0).state is State.FINE


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    missing = tmp_path / "not" / "yet"
    assert check_folders({"x": missing})[0].state is State.FINE
    assert not missing.parent.exists()
    (finding,) = check_folders({"x": tmp_path / "file" / "below"})
    assert (finding.state, "is not a folder" in finding.says) == (State.WRONG, True)
    (finding,) = check_folders({"x": Path("/proc")})
    assert (finding.state, "cannot be written" in finding.says) == (State.WRONG, True)


def test_a_terminal() -> None:
    assert check_terminal().state is State.FINE
