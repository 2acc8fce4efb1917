"""A program without a sandbox against the server that runs it."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from tests.support.codex import PROJECT
from tests.support.daemon import Daemon, alive, daemon, eventually

TRICKS = PROJECT / "tests/attack/tricks.py"
NAMES = [
    "plain",
    "passed_on",
    "hidden",
    "in_flight",
    "of_a_thread",
    "of_a_sibling",
    "closed",
]
USER = ("unshare", "-U", "--map-user=1000", "--map-group=1000") if os.geteuid() == 0 else ()
"""Root in a container looks at everything; an ordinary user does not."""


def agent(folder: Path, words: str) -> tuple[str, ...]:
    """A shell that works in the folder, then shows what it is given."""
    return ("sh", "-c", f"cd {shlex.quote(str(folder))}; {words}; exec cat")


def trick(name: str) -> str:
    """Waits for the file `port`, and for the answer."""
    python, file = shlex.quote(sys.executable), shlex.quote(str(TRICKS))
    wait = "until [ -e {0} ]; do sleep 0.05; done"
    run = f"setsid {python} {file} $(cat port) {name}"
    return f"{wait.format('port')}; {run}; {wait.format(name)}; echo the end"


async def tell_port(server: Daemon, folder: Path) -> None:
    (folder / "new").write_text((await server.url()).rpartition(":")[2])
    (folder / "new").rename(folder / "port")


@pytest.mark.parametrize("prefix", [(), USER], ids=["", "user"])
@pytest.mark.parametrize("name", NAMES)
async def test_no_trick_types(tmp_path: Path, name: str, prefix: tuple[str, ...]) -> None:
    async with daemon("--", *agent(tmp_path, trick(name)), prefix=prefix) as server:
        await tell_port(server, tmp_path)
        await server.until(lambda messages: "the end" in messages[0][1])
        assert await server.messages() == [("agent", "the end")]
        if name != "closed":
            assert (tmp_path / name).read_bytes().startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert await server.end() == 0


async def test_the_tricks_would_type_without_the_guard(tmp_path: Path) -> None:
    allowed = "--allow-agent-requests=message"
    async with daemon(allowed, "--", *agent(tmp_path, trick("plain"))) as server:
        await tell_port(server, tmp_path)
        await server.until(lambda messages: "stolen" in messages[0][1])
        assert "the agent may send to its own server: message" in server.log


async def test_what_the_agent_leaves_ends_with_the_server(tmp_path: Path) -> None:
    words = "(setsid sh -c 'echo $$ >pid; mv pid left; exec sleep 600' >/dev/null 2>&1 &)"
    async with daemon("--", *agent(tmp_path, words)) as server:
        await eventually((tmp_path / "left").exists)
        pid = int((tmp_path / "left").read_text())
        assert alive(pid)
        assert await server.end() == 0
        assert not alive(pid)


async def test_a_client_is_none_of_the_agents_whoever_started_whom(tmp_path: Path) -> None:
    """A script may start a client beside and then turn into the server: the client is its child."""
    client = (
        f"cd {shlex.quote(str(tmp_path))}; until [ -e url ]; do sleep 0.05; done;"
        " curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json'"
        """ -d '{"type":"raw","content":"x"}' "$(cat url)/message" >new"""
        "; mv new code; exec sleep 600"
    )
    note = shlex.quote(str(tmp_path / "pid"))
    launcher = f'sh -c {shlex.quote(client)} >&- 2>&- & echo $! >{note}; exec "$@"'
    async with daemon("--", "cat", prefix=("sh", "-c", launcher, "sh")) as server:
        (tmp_path / "new_url").write_text(await server.url())
        (tmp_path / "new_url").rename(tmp_path / "url")
        await eventually((tmp_path / "code").exists)
        assert (tmp_path / "code").read_text() == "200"
        assert await server.end() == 0
    pid = int((tmp_path / "pid").read_text())
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


LOOK = """
import os, re, sys
found = []
for folder in sorted(os.listdir("/proc")):
    if folder.isdigit():
        try:
            with open(f"/proc/{folder}/environ", "rb") as file:
                text = file.read()
            with open(f"/proc/{folder}/cmdline", "rb") as file:
                text += file.read()
        except OSError:
            continue
        if sys.argv[1].encode()[::-1] in text:
            found.append(folder)
print("found", found, flush=True)
try:
    open(f"/proc/{os.getppid()}/mem", "rb")
    print("memory is open", flush=True)
except OSError:
    print("memory is closed", flush=True)
sys.stdin.read()  # the server would end with it
"""


async def test_the_token_stands_nowhere_where_the_agent_looks(tmp_path: Path) -> None:
    token = "a-token-of-this-test"
    (tmp_path / "look.py").write_text(LOOK)
    # Nothing but the variable holds the token: the agent is given it backwards.
    look = (sys.executable, str(tmp_path / "look.py"), token[::-1])
    async with daemon("--", *look, prefix=USER, AGENTAPI_AUTH_TOKEN=token) as server:
        server.client.headers["Authorization"] = f"Bearer {token}"
        await server.until(lambda messages: "memory is" in messages[0][1])
        (_, text), *_ = await server.messages()
        assert text.split("\n") == ["found []", "memory is closed"]


def test_the_log_s_writer_is_not_given_the_token() -> None:
    """It runs beside the server for as long as that does."""
    assert "env -u AGENTAPI_AUTH_TOKEN tee" in (PROJECT / "scripts/start.sh").read_text()
