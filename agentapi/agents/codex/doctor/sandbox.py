"""Can Codex sandbox a command here? Tried for real, because Codex's own doctor says yes always."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agentapi.agents.codex.config.config import CodexProgram
from agentapi.agents.codex.probe import probe
from agentapi.agents.codex.versions import PID_NAMESPACE, dotted
from agentapi.model.finding import Finding, fine, note, wrong

_WHAT = "sandbox"
_OFF = "danger-full-access"
_SEEN = "it sees all processes, and what it leaves running is a stranger to the next server"
_SEEN_FIX = f"Take Codex {dotted(PID_NAMESPACE.since)} or newer, or let the server ask for a token."
_FORMS = (("sandbox", "--", "true"), ("sandbox", "linux", "true"))
"""As current versions have it, and as older ones do (`versions.SANDBOX_BY_SYSTEM`)."""
_SYSCTLS = {
    "user/max_user_namespaces": ("0", "15000"),
    "kernel/unprivileged_userns_clone": ("0", "1"),
    "kernel/apparmor_restrict_unprivileged_userns": ("1", "0"),
}
"""Each with the value that forbids user namespaces and one that allows them. A missing file does
not forbid."""


def check_sandbox(
    program: CodexProgram | None,
    workdir: Path,
    config: Mapping[str, Any],
    environment: Mapping[str, str],
    proc: Path = Path("/proc/sys"),
) -> Finding:
    """Whether `codex sandbox -- true` works in `workdir`, and if not, why."""
    if program is None:
        return note(_WHAT, "not tried: there is no Codex")
    refusal = _refusal(program, workdir, environment)
    off = config.get("sandbox_mode") == _OFF
    if refusal is None:
        unused = f" (not used: sandbox_mode = {_OFF})" if off else ""
        works = f"codex sandbox -- true works{unused}"
        if off or PID_NAMESPACE.of(program.version):
            return fine(_WHAT, works)
        return note(_WHAT, f"{works}; but a command in it can end the server ({_SEEN})", _SEEN_FIX)
    if off:
        return note(_WHAT, f"does not work here, and is not used: sandbox_mode = {_OFF}")
    return wrong(
        _WHAT,
        f"codex sandbox -- true fails: {refusal}",
        "\n".join(_advice(proc, environment)),
    )


def _refusal(program: CodexProgram, workdir: Path, environment: Mapping[str, str]) -> str | None:
    """Why the sandbox does not start; None when it does. The user's configuration is left out of
    it: the machine is asked."""
    with tempfile.TemporaryDirectory() as home:
        for form in _FORMS:
            answer = probe([program.path, *form], {**environment, "CODEX_HOME": home}, workdir)
            if answer.returncode == 0:
                return None
            if "unrecognized subcommand" not in answer.stderr:
                break
    lines = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("WARNING", "stack backtrace", "note:"))]
    return re.sub(r"\s+", " ", told[-1]) if told else f"exit status {answer.returncode}"


def _advice(proc: Path, environment: Mapping[str, str]) -> Iterator[str]:
    forbidding = list(_forbidding(proc))
    for name, value in forbidding:
        yield f"sysctl -w {name}={value}   (as root, on the host)"
    if not forbidding and not _namespaces_work(environment):
        yield "This container forbids user namespaces: allow them where it is started."
    yield f'Where the container itself is the boundary: sandbox_mode = "{_OFF}" in config.toml.'


def _forbidding(proc: Path) -> Iterator[tuple[str, str]]:
    for name, (forbids, allows) in _SYSCTLS.items():
        try:
            value = (proc / name).read_text().strip()
        except OSError:
            continue
        if value == forbids:
            yield name.replace("/", "."), allows


def _namespaces_work(environment: Mapping[str, str]) -> bool:
    if shutil.which("unshare", path=environment.get("PATH")) is None:
        return False
    return probe(["unshare", "-Ur", "true"], environment).returncode == 0
