"""Stop a workspace's server as Coder does: save, post the last messages, end, wait.

Run by scripts/shutdown.sh, with Coder's variables:

- ARG_PID_FILE_PATH, or ARG_MODULE_DIR_NAME in the home folder: the server's pid file (default
  ~/.codex-module/agentapi.pid);
- ARG_AGENTAPI_PORT (3284): the server's port;
- ARG_TASK_LOG_SNAPSHOT (true), ARG_TASK_ID, CODER_AGENT_URL, CODER_AGENT_TOKEN: where to post them.

A failing snapshot does not hold up the end. Exit status 0 once the server has ended, else 1.
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

MAX_MESSAGES = 10
"""The maximum number of messages in a snapshot."""
MAX_BYTES = 65_536
"""The maximum bytes that Coder accepts."""
TIMEOUT = 10.0
"""Seconds for each request."""
END_LIMIT = 60.0
"""Seconds to wait for the server's end; its own limit for the agent is 5."""
CUT = "[… the beginning is cut off …]\n\n"

Log = Callable[[str], None]


class SnapshotError(Exception):
    """The snapshot failed. The text is for the log."""


def main(environment: Mapping[str, str] = os.environ, log: Log = print) -> int:
    """Shut down; return the exit status."""
    server = running_server(pid_file(environment), log)
    if server is not None:
        log(f"Sending SIGUSR1 to agentapi (pid {server.pid}) to save its state")
        server.signal(signal.SIGUSR1)
    if environment.get("ARG_TASK_LOG_SNAPSHOT", "true").lower() == "true":
        try:
            log(take_snapshot(environment))
        except SnapshotError as error:
            log(f"Error: no log snapshot: {error}; going on with the shutdown")
    else:
        log("Log snapshot is switched off")
    if server is None:
        log("No agentapi is running here")
        return 0
    with server:
        return _end(server, log)


def pid_file(environment: Mapping[str, str]) -> Path:
    """Return the path of the server's pid file."""
    if given := environment.get("ARG_PID_FILE_PATH"):
        return Path(given).expanduser()
    folder = environment.get("ARG_MODULE_DIR_NAME") or ".codex-module"
    return Path(environment.get("HOME") or "~").expanduser() / folder / "agentapi.pid"


def running_server(file: Path, log: Log) -> Process | None:
    """Return the server that holds the pid file; the caller closes it. The number in a stale file
    is ignored: another program may have it by now."""
    try:
        return holder(file)
    except InUse as error:
        log(f"Error: {error}: end it there")
    except OSError as error:
        log(f"Error: who holds {file} cannot be told: {error.strerror}")
    return None


def take_snapshot(environment: Mapping[str, str]) -> str:
    """Fetch and post the last messages; return the outcome. Raises `SnapshotError`."""
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
    """Return the body with the last messages, and their number: fewer than ten if they are large,
    and the end of the last one if that alone is too large."""
    last = messages[-MAX_MESSAGES:]
    while len(last) > 1 and len(_body(last)) > MAX_BYTES:
        last = last[1:]
    if len(_body(last)) > MAX_BYTES:
        last = [_cut(last[0])]
    return _body(last), len(last)


def _cut(message: dict[str, Any]) -> dict[str, Any]:
    """Return the message with as much of its end as fits."""
    content = str(message.get("content", ""))
    low, high = 0, len(content)
    while low < high:  # the size grows with what is kept
        middle = (low + high + 1) // 2
        kept = {**message, "content": CUT + content[len(content) - middle :]}
        low, high = (middle, high) if len(_body([kept])) <= MAX_BYTES else (low, middle - 1)
    return {**message, "content": CUT + content[len(content) - low :]}


def _body(messages: list[dict[str, Any]]) -> bytes:
    text = json.dumps({"messages": messages}, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _token(environment: Mapping[str, str]) -> str | None:
    """Return the token of our own server, from the server's variables."""
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
            text = error.read(500).decode("utf-8", "replace").strip()
        raise SnapshotError(f"Coder answered {error.code}: {text}") from error
    except (OSError, ValueError) as error:
        raise SnapshotError(f"Coder does not answer: {error}") from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirects: they would send the token to another host."""

    def redirect_request(self, *ignored: Any) -> None:
        """Return None: the redirect itself is the response."""


_DIRECT: tuple[urllib.request.BaseHandler, ...] = (urllib.request.ProxyHandler({}),)
"""Handlers for our own server on loopback: a proxy must not see the token, nor could it reach
it."""
_PROXIED: tuple[urllib.request.BaseHandler, ...] = ()
"""Handlers for Coder: the proxies of the environment are used."""


def _open(request: urllib.request.Request, handlers: tuple[urllib.request.BaseHandler, ...]) -> Any:
    if not request.full_url.startswith(("http://", "https://")):
        raise ValueError(f"not an http address: {request.full_url}")
    return urllib.request.build_opener(_NoRedirects, *handlers).open(request, timeout=TIMEOUT)


def _end(server: Process, log: Log) -> int:
    """Send SIGTERM and wait for the end; return the exit status."""
    log(f"Sending SIGTERM to agentapi (pid {server.pid})")
    server.signal(signal.SIGTERM)
    if server.ended_within(END_LIMIT):
        log("agentapi has ended")
        return 0
    log(f"Error: agentapi (pid {server.pid}) still runs after {END_LIMIT:g} s")
    return 1


if __name__ == "__main__":
    given = dict(os.environ)
    for secret in ("AGENTAPI_AUTH_TOKEN", "CODER_AGENT_TOKEN"):
        keep_secret(secret)
    sys.exit(main(given, log=lambda line: print(line, flush=True)))  # noqa: T201
