"""Stop a workspace's server the way Coder does: save, post the last messages, end, wait.

Run by scripts/shutdown.sh, with Coder's variables:

- ARG_PID_FILE_PATH, or ARG_MODULE_DIR_NAME below the home: whose signals (default
  ~/.codex-module/agentapi.pid);
- ARG_AGENTAPI_PORT (3284): where the messages are;
- ARG_TASK_LOG_SNAPSHOT (true), ARG_TASK_ID, CODER_AGENT_URL, CODER_AGENT_TOKEN: where they go.

A snapshot that fails never holds up the end. Exit status 0 once the server has ended, else 1.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agentapi.processes.identity import Process
from agentapi.processes.locks import InUse, holder
from agentapi.processes.secrecy import keep_secret
from agentapi.settings.settings import SettingsError, attach_settings

LAST = 10
"""Messages in a snapshot."""
LARGEST = 65_536
"""Bytes that Coder takes."""
PATIENCE = 10.0
"""Seconds for each request."""
END_LIMIT = 60.0
"""Seconds that the server has to end; its own limit for the agent is 5."""
CUT = "[… the beginning is cut off …]\n\n"

Say = Callable[[str], None]


class SnapshotError(Exception):
    """No snapshot was taken; the text is for the log."""


def main(environment: Mapping[str, str] = os.environ, say: Say = print) -> int:
    """Shut down; the exit status."""
    server = running_server(pid_file(environment), say)
    if server is not None:
        say(f"Sending SIGUSR1 to agentapi (pid {server.pid}) to save its state")
        server.signal(signal.SIGUSR1)
    if environment.get("ARG_TASK_LOG_SNAPSHOT", "true").lower() == "true":
        try:
            say(take_snapshot(environment))
        except SnapshotError as error:
            say(f"Error: no log snapshot: {error}; going on with the shutdown")
    else:
        say("Log snapshot is switched off")
    if server is None:
        say("No agentapi is running here")
        return 0
    with server:
        return _end(server, say)


def pid_file(environment: Mapping[str, str]) -> Path:
    """Where the server notes its process id."""
    if given := environment.get("ARG_PID_FILE_PATH"):
        return Path(given).expanduser()
    folder = environment.get("ARG_MODULE_DIR_NAME") or ".codex-module"
    return Path(environment.get("HOME") or "~").expanduser() / folder / "agentapi.pid"


def running_server(file: Path, say: Say) -> Process | None:
    """The server that holds the pid file. The number in it is nobody that we would signal: it may
    have passed to another program. The caller closes it."""
    try:
        return holder(file)
    except InUse as error:
        say(f"Error: {error}: end it there")
    except OSError as error:
        say(f"Error: who holds {file} cannot be told: {error.strerror}")
    return None


def take_snapshot(environment: Mapping[str, str]) -> str:
    """Fetch the last messages and post them; what came of it. Raises `SnapshotError`."""
    task = environment.get("ARG_TASK_ID", "")
    if not task:
        return "No task id, no log snapshot"
    url, token = (environment.get(name, "") for name in ("CODER_AGENT_URL", "CODER_AGENT_TOKEN"))
    if not url or not token:
        raise SnapshotError("CODER_AGENT_URL and CODER_AGENT_TOKEN must both be set")
    port = environment.get("ARG_AGENTAPI_PORT") or "3284"
    messages = _fetch(f"http://localhost:{port}/messages", _token(environment))
    if not messages:
        return "No messages for a log snapshot"
    body, count = snapshot(messages)
    place = f"/api/v2/workspaceagents/me/tasks/{urllib.parse.quote(task, safe='')}/log-snapshot"
    status = _post(f"{url.rstrip('/')}{place}?format=agentapi", token, body)
    if status == 404:
        return "This Coder takes no log snapshots"
    return f"Log snapshot posted: {count} messages, {len(body)} bytes"


def snapshot(messages: list[dict[str, Any]]) -> tuple[bytes, int]:
    """The body with the last messages, and how many they are: fewer than ten where they are
    large, and of a single too large one the end."""
    last = messages[-LAST:]
    while len(last) > 1 and len(_body(last)) > LARGEST:
        last = last[1:]
    if len(_body(last)) > LARGEST:
        last = [_cut(last[0])]
    return _body(last), len(last)


def _cut(message: dict[str, Any]) -> dict[str, Any]:
    """The message with as much of its end as fits."""
    content = str(message.get("content", ""))
    low, high = 0, len(content)
    while low < high:  # the size grows with what is kept
        middle = (low + high + 1) // 2
        kept = {**message, "content": CUT + content[len(content) - middle :]}
        low, high = (middle, high) if len(_body([kept])) <= LARGEST else (low, middle - 1)
    return {**message, "content": CUT + content[len(content) - low :]}


def _body(messages: list[dict[str, Any]]) -> bytes:
    text = json.dumps({"messages": messages}, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _token(environment: Mapping[str, str]) -> str | None:
    """What our own server asks for, from the variables that it reads itself."""
    try:
        return attach_settings({}, environment).auth_token
    except SettingsError as error:
        raise SnapshotError(str(error)) from error


def _fetch(url: str, token: str | None) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, headers=headers)
    try:
        with _open(request, _DIRECT) as answer:
            return list(json.load(answer)["messages"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"agentapi does not give its messages at {url}: {error}") from error


def _post(url: str, token: str, body: bytes) -> int:
    headers = {"Coder-Session-Token": token, "Content-Type": "application/json"}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with _open(request, _PROXIED) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 404:
                return 404
            said = error.read(500).decode("utf-8", "replace").strip()
        raise SnapshotError(f"Coder answered {error.code}: {said}") from error
    except (OSError, ValueError) as error:
        raise SnapshotError(f"Coder does not answer: {error}") from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected request would take its token along, to whatever host it is sent to."""

    def redirect_request(self, *ignored: Any) -> None:
        """Follow none: the redirect is the answer."""


_DIRECT: tuple[urllib.request.BaseHandler, ...] = (urllib.request.ProxyHandler({}),)
"""To our own server, on loopback: no proxy is to see the token, nor could one reach it."""
_PROXIED: tuple[urllib.request.BaseHandler, ...] = ()
"""To Coder: by the proxies of the environment."""


def _open(request: urllib.request.Request, way: tuple[urllib.request.BaseHandler, ...]) -> Any:
    if not request.full_url.startswith(("http://", "https://")):
        raise ValueError(f"not an http address: {request.full_url}")
    return urllib.request.build_opener(_NoRedirects, *way).open(request, timeout=PATIENCE)


def _end(server: Process, say: Say) -> int:
    """SIGTERM, and wait for the end."""
    say(f"Sending SIGTERM to agentapi (pid {server.pid})")
    server.signal(signal.SIGTERM)
    if server.ended_within(END_LIMIT):
        say("agentapi has ended")
        return 0
    say(f"Error: agentapi (pid {server.pid}) still runs after {END_LIMIT:g} s")
    return 1


if __name__ == "__main__":
    given = dict(os.environ)
    for secret in ("AGENTAPI_AUTH_TOKEN", "CODER_AGENT_TOKEN"):
        keep_secret(secret)
    sys.exit(main(given, say=lambda line: print(line, flush=True)))  # noqa: T201
