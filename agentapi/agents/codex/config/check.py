"""Let Codex itself validate a configuration, offline and before it is installed.

Each version's abilities are probed, not derived from its number: a current one has `app-server
--print-startup-config` (with file, line and column of a fault); an older one loads the file for any
command that needs it, and prints the error as text.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from agentapi.agents.codex.config.files import make_folder
from agentapi.agents.codex.config.merge import leaves
from agentapi.agents.codex.probe import FAILED_TO_RUN, probe
from agentapi.agents.codex.versions import PROFILE_FILES

_MAX_WARNINGS = 20
_TOLERATED = re.compile(r"`(preferred_auth_method|mcp_servers\.Coder\.(type|description))`")
"""Part of Coder's default: every version loads it, current ones ignore it."""
_NOT_STAGED = frozenset({"auth.json", "log", "memories", "packages", "sessions", "skills", "tmp"})
_SECRET = re.compile(r"(?i)env|.*(token|secret|passw|credential|key|header).*")
_PLAIN = re.compile(r"(?i)^env_|_env_var$|^CODER_MCP_")
"""Not secret: names of variables, and the settings of Coder's MCP server."""


@dataclass(frozen=True)
class Fault:
    """An error that Codex reports in a configuration. Never has a value that may be secret."""

    detail: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    fatal: bool = True
    """Whether Codex refuses to start; otherwise it ignores the setting."""

    def __str__(self) -> str:
        if self.file is None or self.line is None:
            return self.detail
        return f"{self.file}:{self.line}:{self.column}: {self.detail}"


@dataclass(frozen=True)
class CodexProgram:
    """An installed Codex and its abilities."""

    path: str
    version: str
    profile_form: Literal["file", "table"]


def find_codex(name: str = "codex") -> CodexProgram | None:
    """Find the Codex that would be started; None when there is none or it does not run."""
    found = shutil.which(name)
    if found is None:
        return None
    path = str(Path(found).absolute())
    with tempfile.TemporaryDirectory() as nowhere:  # even `--version` creates folders in its home
        version = _run([path, "--version"], Path(nowhere))
        helped = _run([path, "--help"], Path(nowhere))
    if version.returncode != 0:
        return None
    form: Literal["file", "table"] = "file" if PROFILE_FILES.sign in helped.stdout else "table"
    return CodexProgram(path, version.stdout.strip().rpartition(" ")[2], form)


def check_files(codex: CodexProgram, home: Path, files: Mapping[str, str]) -> list[Fault]:
    """Check `files` (name to text: config.toml and profiles) as if they were in `home`.

    They are staged in a private folder inside `home` that links to everything else there, so that
    relative paths work. Fatal faults come first."""
    secrets = [secret for text in files.values() for secret in _secrets(text)]
    with _staged(home, files) as stage:
        faults = list(_fatal(codex, stage, files))
        if not faults:
            faults = list(_ignored(codex, stage, files.get("config.toml", "")))
        return [_sanitized(fault, stage, home, secrets) for fault in faults]


def check_home(codex: CodexProgram, home: Path) -> list[Fault]:
    """Check the configuration in `home`."""
    names = [path for path in home.glob("*config.toml") if path.is_file()]
    return check_files(
        codex,
        home,
        {path.name: path.read_text(encoding="utf-8", errors="replace") for path in names},
    )


@contextmanager
def _staged(home: Path, files: Mapping[str, str]) -> Iterator[Path]:
    new_home = not home.exists()
    stage = _private_folder(home)
    try:
        for path in home.iterdir() if home.is_dir() else ():
            left_out = path.name in files or path.name in _NOT_STAGED
            if not left_out and not path.name.startswith(".") and ".sqlite" not in path.name:
                (stage / path.name).symlink_to(path)
        for name, text in files.items():
            (stage / name).write_bytes(text.encode("utf-8"))
            (stage / name).chmod(0o600)
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if new_home:
            with suppress(OSError):
                home.rmdir()


def _private_folder(home: Path) -> Path:
    """Create a folder in the home, or in the system's temporary folder if that is read-only."""
    prefix = ".agentapi-check-"
    try:
        make_folder(home)
        folder = tempfile.mkdtemp(dir=home, prefix=prefix)
    except OSError:
        folder = tempfile.mkdtemp(prefix=prefix)
    return Path(os.path.realpath(folder))


def _fatal(codex: CodexProgram, stage: Path, files: Mapping[str, str]) -> Iterator[Fault]:
    answer = _run([codex.path, "app-server", "--print-startup-config"], stage)
    if "--print-startup-config" in answer.stderr:
        answer = _run([codex.path, "features", "list"], stage)
    fault = _fault_in(answer)
    if fault:
        yield fault
        return
    for name in sorted(files):
        profile = name.removesuffix(".config.toml")
        if profile != name and codex.profile_form == "file":
            fault = _fault_in(_run([codex.path, "-p", profile, "debug", "prompt-input", ""], stage))
            if fault:
                yield fault


def _ignored(codex: CodexProgram, stage: Path, text: str) -> Iterator[Fault]:
    """Yield the fields that Codex does not know. It reports one at a time: each is commented out
    in the staged copy to get the next one with unchanged line numbers."""
    lines = text.split("\n")
    for _ in range(_MAX_WARNINGS):
        answer = _run(
            [codex.path, "app-server", "--strict-config", "--print-startup-config"], stage
        )
        fault = _fault_in(answer)
        if fault is None or "unknown configuration field" not in fault.detail:
            return
        if not _TOLERATED.search(fault.detail):
            yield replace(fault, fatal=False)
        staged = fault.file is not None and Path(fault.file).parent == stage
        if not staged or fault.line is None or fault.line > len(lines):
            return
        _comment_out(lines, fault.line - 1)
        (stage / "config.toml").write_bytes("\n".join(lines).encode("utf-8"))


def _comment_out(lines: list[str], index: int) -> None:
    """Comment out a `key = value` line, or a whole `[table]` up to the next one."""
    whole_table = lines[index].lstrip().startswith("[")
    lines[index] = "#" + lines[index]
    while whole_table and index + 1 < len(lines) and not lines[index + 1].lstrip().startswith("["):
        index += 1
        lines[index] = "#" + lines[index]


def _fault_in(answer: subprocess.CompletedProcess[str]) -> Fault | None:
    if answer.returncode == 0:
        return None
    if answer.returncode == FAILED_TO_RUN:
        return Fault(f"Codex did not answer, so this is not checked: {answer.stderr}", fatal=False)
    try:
        data = json.loads(answer.stdout)["error"]["data"]
        place = (data["filePath"], data["line"], data["column"])
        return Fault(data["detail"].removeprefix("{}:{}:{}: ".format(*place)), *place)
    except (ValueError, KeyError, TypeError):
        return _fault_in_words(answer.stderr or answer.stdout)


def _fault_in_words(said: str) -> Fault:
    """Parse `Error: /home/me/.codex/config.toml:1:19: unknown variant …`, or a chain of causes."""
    said = said.partition("Stack backtrace")[0].strip()
    found = re.search(r"(?m)(\S[^\n]*?\.toml):(\d+):(\d+): ([^\n]+)", said)
    if found:
        file = found[1].removeprefix("Error: ").removeprefix("0: ")
        return Fault(found[4], file, int(found[2]), int(found[3]))
    words = [line.strip() for line in said.splitlines() if line.strip() not in ("", "Caused by:")]
    return Fault(" ".join(words[-3:]).removeprefix("Error: ") or "Codex gave no reason")


def _sanitized(fault: Fault, stage: Path, home: Path, secrets: list[str]) -> Fault:
    """Replace the staged path by the real one, and mask secret values."""
    detail = fault.detail.replace(str(stage), str(home))
    for secret in secrets:
        detail = detail.replace(secret, "…")
    return replace(
        fault, detail=detail, file=fault.file and fault.file.replace(str(stage), str(home))
    )


def _secrets(text: str) -> Iterator[str]:
    """Yield the strings under names that suggest a secret, raw and as escaped in TOML."""
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    for path, value in leaves(values):
        secret = any(_SECRET.fullmatch(key) for key in path) and not _PLAIN.search(path[-1])
        if secret and isinstance(value, str) and len(value) > 3:
            yield value
            yield json.dumps(value, ensure_ascii=False)[1:-1]


def masked(text: str) -> str:
    """Mask the secret values of a TOML document."""
    for secret in _secrets(text):
        text = text.replace(secret, "…")
    return text


def _run(arguments: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    return probe(arguments, {**os.environ, "CODEX_HOME": str(home)}, home)
