"""Can the agent drive its own server, and can it read the token?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from agentapi.model.finding import Finding, fine, note
from agentapi.processes.callers import Callers, identification_problem
from agentapi.processes.tree import PROC, Family, ancestors

_NAME = "agent"
_TOKEN = "AGENTAPI_AUTH_TOKEN"
_FILE = "AGENTAPI_AUTH_TOKEN_FILE"
_ALLOWED = "AGENTAPI_ALLOW_AGENT_REQUESTS"
_PIPE = "agentapi server --auth-token-file /dev/fd/3 … 3< <(a command that prints it)"


def check_agent_requests(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check how the agent's own requests are identified, and what decides otherwise."""
    token = bool(environment.get(_TOKEN) or environment.get(_FILE))
    reason = identification_problem(Callers(Family()))
    if not reason:
        says = "what it sends to its own server is known as its own, and refused"
        yield fine(_NAME, f"{says}; where it cannot be told, {_decides(token)}")
    elif token:
        yield note(_NAME, f"its requests cannot be told from others' ({reason}): the token decides")
    else:
        says = f"its requests cannot be told from others' ({reason}): both are refused"
        yield note(_NAME, says, f"Let the server ask for a token: --auth-token-file or {_TOKEN}.")
    if allowed := environment.get(_ALLOWED, "").split():
        yield note(_NAME, f"it may send to its own server: {', '.join(allowed)} ({_ALLOWED})")
    if token:
        yield from _check_token(environment)


def _decides(token: bool) -> str:
    return "the token decides" if token else "it is refused, too: there is no token to decide"


def _check_token(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check where the agent, which runs as this user, could read the token."""
    shown = list(_exposures(environment))
    for where in shown:
        yield note(_NAME, f"it can read the token in {where}", f"Hand it over in a pipe:\n{_PIPE}")
    if os.geteuid() == 0:
        yield note(_NAME, "it runs as root, which may read all: no token is a secret to it")
    elif not shown:
        yield fine(_NAME, "it cannot read the token: the server keeps it from other processes")


def _exposures(environment: Mapping[str, str], proc: Path = PROC) -> Iterator[str]:
    file = Path(environment.get(_FILE) or "/")
    if file.is_file() and os.access(file, os.R_OK):
        yield str(file)
    for process in (ancestors(os.getpid(), proc) or ())[1:]:
        try:
            variables = (proc / str(process.pid) / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(variable.startswith(f"{_TOKEN}=".encode()) for variable in variables):
            yield f"the environment of process {process.pid} ({process.name})"
