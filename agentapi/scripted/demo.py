"""`scripts/demo`: a real Codex behind `agentapi server`, one prompt over HTTP, with live output.

With Codex credentials (`auth.json` in CODEX_HOME or ~/.codex, copied, never changed) Codex talks to
its own model, else to the scripted one. All that the demo writes stays in its folder.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import click

from agentapi.files import make_private_folder, open_private, write_atomically
from agentapi.scripted.answers import answer
from agentapi.scripted.model import ScriptedModel
from agentapi.scripted.reply import Reply, Say, Shell
from agentapi.scripted.request import Request

PROMPT = "Hello! Look around, then tell me in a few words of Markdown where you are."
LOOK_AROUND = "uname -sr; ls -a; sleep 1"
FINDINGS = """\
I looked around:

- **where**: a scratch folder, on the system named above
- **who**: a real Codex, with a *scripted model* behind it, because no credentials were found
- **how**: your words came over HTTP, these go out as server-sent events

Write to me in the page, or with `curl`."""
PORT = 3284
START_LIMIT = 60.0
TURN_LIMIT = 300.0


class DemoError(Exception):
    """The demo failed. The text is for the user."""


def main() -> int:
    """Run the demo; exit with 0 after `--once` or Ctrl-C, 1 if it failed."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the answer")
    parser.add_argument("--prompt", default=PROMPT, help="what to ask")
    parser.add_argument("--scripted", action="store_true", help="use no credentials")
    parser.add_argument(
        "--port", type=int, default=PORT, help="%(default)s, or any free one where it is taken"
    )
    parser.add_argument("--folder", type=Path, default=Path(".cache/demo"), help="%(default)s")
    options = parser.parse_args()
    try:
        with _alone(options.folder.absolute()) as folder:
            asyncio.run(_until_signal(_demo(folder, options)))
    except DemoError as error:
        click.echo(f"demo: {error}", err=True)
        return 1
    return 0


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """Create the demo's empty folder. Raises `DemoError` if another demo uses it."""
    make_private_folder(folder)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoError(f"another demo runs in {folder}") from error
        for name in ("codex-home", "project"):
            shutil.rmtree(folder / name, ignore_errors=True)
        yield folder


async def _until_signal(work: Any) -> None:
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _demo(folder: Path, options: argparse.Namespace) -> None:
    project = Path.cwd()
    home, workdir = folder / "codex-home", folder / "project"
    credentials = None if options.scripted else _credentials()
    async with contextlib.AsyncExitStack() as stack:
        workdir.mkdir()
        home.mkdir(mode=0o700)
        if credentials:
            click.echo(f"Codex uses a copy of {credentials}")
            write_atomically(home / "auth.json", credentials.read_bytes())
            stack.callback((home / "auth.json").unlink, missing_ok=True)
            _write_config(home, workdir, None)
        else:
            click.echo("no Codex credentials: Codex talks to the scripted model (no key, offline)")
            model = await stack.enter_async_context(ScriptedModel(answer=_answer))
            _write_config(home, workdir, model.url)
        url = await stack.enter_async_context(_server(project, folder, home, workdir, options.port))
        await _converse(url, options.prompt)
        if not options.once:
            _tell_urls(url, project)
            await asyncio.Event().wait()


def _credentials() -> Path | None:
    """The user's `auth.json`. A key in the environment is no use: Codex's TUI ignores it."""
    home = Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex")
    return home / "auth.json" if (home / "auth.json").is_file() else None


def _write_config(home: Path, workdir: Path, model_url: str | None) -> None:
    provider = ""
    if model_url:
        provider = f"""
model = "gpt-5.4"
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "danger-full-access"
[model_providers.scripted]
name = "Scripted"
base_url = "{model_url}"
env_key = "SCRIPTED_KEY"
wire_api = "responses"
"""
    (home / "config.toml").write_text(
        "check_for_update_on_startup = false\n"
        f'{provider}[projects.{json.dumps(str(workdir))}]\ntrust_level = "trusted"\n',
        encoding="utf-8",
    )


def _answer(request: Request) -> Reply:
    """Return the answer to the demo's prompt, slow enough to watch it stream."""
    if request.tool_output is None and request.prompt.strip() == PROMPT:
        return [Say("Let me look around first.", 6, 0.05), Shell(LOOK_AROUND)]
    if request.tool_output is not None and request.prompt.strip() == PROMPT:
        return [Say(FINDINGS, 16, 0.05)]
    return answer(request)


@contextlib.asynccontextmanager
async def _server(
    project: Path, folder: Path, home: Path, workdir: Path, wanted: int
) -> AsyncIterator[str]:
    """Run `agentapi server` with Codex while the context lasts. Yield its URL."""
    port = _port(wanted)
    codex = project / ".tools/codex/node_modules/.bin/codex"
    command = [
        str(project / ".venv/bin/agentapi"),
        "server",
        "--type",
        "codex",
        "--port",
        str(port),
    ]
    shown = f"agentapi server --type codex --port {port} -- codex"
    click.echo(f"$ {shown}")
    click.echo(f"  in {workdir}, log in {folder / 'server.log'}")
    environment = {
        **os.environ,
        "CODEX_HOME": str(home),
        # Codex runs commands in a login shell: the user's own profile could be slow, or print.
        "HOME": str(home),
        "SCRIPTED_KEY": "none",
    }
    with os.fdopen(open_private(folder / "server.log", os.O_WRONLY | os.O_TRUNC), "wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, "--", codex, cwd=workdir, env=environment, stdin=asyncio.subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        await _up(process, url, folder / "server.log")
        yield url
    finally:
        await _end(process)


def _port(wanted: int) -> int:
    """Return the wanted port, or a free one if that is in use."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise DemoError("no free port on 127.0.0.1")


async def _up(process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    """Poll until the server responds: there is no event to wait for."""
    deadline = time.monotonic() + START_LIMIT
    async with aiohttp.ClientSession() as client:
        while time.monotonic() < deadline:
            if process.returncode is not None:
                break
            with contextlib.suppress(aiohttp.ClientError):
                async with client.get(f"{url}/status"):
                    return
            await asyncio.sleep(0.05)
    text = await asyncio.to_thread(log.read_text, errors="replace")
    raise DemoError("the server did not come up; its log ends with:\n" + text[-2000:])


async def _end(process: asyncio.subprocess.Process) -> None:
    for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience)


async def _converse(url: str, prompt: str) -> None:
    """Send the prompt once the agent is ready; print all events and the answer."""
    started = time.monotonic()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as client:
        events = _events(client, url)
        try:
            async with asyncio.timeout(START_LIMIT):
                await _follow(events, started, {})
            click.echo(f"\n$ curl -d '{json.dumps({'content': prompt, 'type': 'user'})}' \\")
            click.echo(f"       -H 'Content-Type: application/json' {url}/message\n")
            body = {"content": prompt, "type": "user"}
            async with client.post(f"{url}/message", json=body) as response:
                if response.status != 200:
                    raise DemoError(f"the message was refused: {await response.text()}")
            messages: dict[int, dict[str, Any]] = {}
            async with asyncio.timeout(TURN_LIMIT):
                await _follow(events, started, messages)
        except TimeoutError as error:
            raise DemoError("the agent was not done in time; see the server.log") from error
        finally:
            await events.aclose()  # type: ignore[attr-defined]
    answers = [message["message"] for message in messages.values() if message["role"] == "agent"]
    click.echo("\nThe answer, as the terminal shows it:\n\n" + (answers[-1] if answers else ""))


async def _follow(
    events: AsyncIterator[tuple[str, dict[str, Any]]],
    started: float,
    messages: dict[int, dict[str, Any]],
) -> None:
    """Print events until the status is `stable`; messages that changed go into `messages`."""
    async for name, data in events:
        seconds = time.monotonic() - started
        click.echo(f"{seconds:7.3f} s  {name:<15} {_short(name, data)}")
        if name == "message_update":
            messages[data["id"]] = data
        if name == "status_change" and data["status"] == "stable":
            return
    raise DemoError("the server closed /events; see the server.log")


def _short(name: str, data: dict[str, Any]) -> str:
    if name == "status_change":
        return str(data["status"])
    text = str(data["message"])
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    label = f"{data['id']} {data['role']}" if name == "message_update" else str(data["level"])
    return f"{label:<8} {len(text):5} characters, … {last.strip()[-40:]}"


async def _events(
    client: aiohttp.ClientSession, url: str
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Yield the name and data of the server-sent events of `/events`."""
    async with client.get(f"{url}/events") as response:
        name = ""
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                yield name, json.loads(line[6:])


def _tell_urls(url: str, project: Path) -> None:
    click.echo(f"""
It stays up until Ctrl-C:
  the page        {url}/
  the terminal    {project.name}/.venv/bin/agentapi attach --url {url}
  the status      curl {url}/status
  the messages    curl {url}/messages
  the events      curl -N {url}/events""")


if __name__ == "__main__":
    sys.exit(main())
