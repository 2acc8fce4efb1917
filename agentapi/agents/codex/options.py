"""The options of `agentapi codex`, and the settings parsed from them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentapi.agents.codex.home import DEFAULT_SESSION_FILE
from agentapi.agents.codex.resume.session_files import SESSION_ID
from agentapi.agents.codex.resume.sessions import SessionTracker
from agentapi.agents.registry import agent_types, server_table
from agentapi.settings import parsers
from agentapi.settings.settings import (
    Option,
    ServerSettings,
    SettingsError,
    option_values,
    server_settings,
)

_DEFAULTS = {"term-width": "80", "term-height": "50", "codex-link": "auto"}
"""Defaults that differ from the server's: Codex is slow in a terminal of 1,000 rows, and scrolling
loses nothing because it runs inline."""


def _words(value: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        raise ValueError(f"words as a shell reads them ({error})") from error


def _session(value: str) -> str:
    if value and not SESSION_ID.fullmatch(value.strip()):
        raise ValueError("a session id such as 01a1fddc-92e5-7923-af51-79a6292e6738")
    return value.strip().lower()


CODEX_ONLY: tuple[Option, ...] = (
    Option(
        "workdir",
        "Where Codex works; made when it is missing.",
        parsers.file,
        None,
        short="C",
        metavar="FOLDER",
        shown="the current one",
    ),
    Option("prompt", "The task: the first message of a fresh session, sent once.", metavar="TEXT"),
    Option("prompt-file", "Read the prompt from this file.", parsers.file, None, metavar="FILE"),
    Option(
        "continue",
        "Resume the folder's session if there is one; --no-continue starts afresh.",
        parsers.boolean,
        True,
        shown="true",
    ),
    Option("session", "Resume this session, whatever the folder's was.", _session, metavar="ID"),
    Option("model", "The model.", short="m", metavar="NAME"),
    Option("profile", "Codex's configuration profile.", metavar="NAME"),
    Option(
        "sandbox",
        "Codex's sandbox: read-only, workspace-write or danger-full-access.",
        parsers.one_of("read-only", "workspace-write", "danger-full-access"),
        metavar="MODE",
    ),
    Option(
        "report-tasks",
        "Ask the agent to report its progress with Coder's coder_report_task tool.",
        parsers.boolean,
        False,
    ),
    Option(
        "wrap",
        "Words to put before Codex, which confine it and not this server (see also"
        " AGENTAPI_BOUNDARY_PREFIX).",
        _words,
        None,
        metavar="WORDS",
    ),
    Option("codex", "The Codex to run.", default="codex", metavar="PROGRAM", shown="codex"),
    Option(
        "session-file",
        "The file that maps folders to sessions, a line `folder|id` each.",
        parsers.file,
        None,
        metavar="FILE",
        shown=DEFAULT_SESSION_FILE,
    ),
)
_EXCLUDED = ("type", "experimental-acp", "print-openapi")
CODEX_OPTIONS: tuple[Option, ...] = (
    *CODEX_ONLY,
    *(
        replace(option, default=_DEFAULTS[option.name], shown=_DEFAULTS[option.name])
        if option.name in _DEFAULTS
        else option
        for option in server_table()
        if option.name not in _EXCLUDED
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodexSettings:
    """The settings of `agentapi codex`."""

    server: ServerSettings
    """The settings of `agentapi server`; file names are absolute."""
    workdir: Path
    """Absolute; may not exist yet."""
    prompt: str
    """The text to send to the agent."""
    resume: bool
    session: str
    session_file: Path
    default_state: bool
    """Whether the state file is the folder's default one, next to the session file."""
    codex: str
    wrap: tuple[str, ...]
    arguments: tuple[str, ...]
    """Codex's options."""


def codex_settings(
    flags: Mapping[str, str | Sequence[str] | None],
    environment: Mapping[str, str],
    arguments: Sequence[str],
) -> CodexSettings:
    """Parse the settings of one run, like `server_settings`; `arguments` are appended to Codex's
    options. Raises `SettingsError`."""
    found = option_values(CODEX_ONLY, flags, environment)
    workdir = Path(os.path.realpath(found["workdir"] or Path.cwd()))
    session_file = _absolute(found["session_file"] or Path(DEFAULT_SESSION_FILE).expanduser())
    defaults = _DEFAULTS | {
        "state-file": str(SessionTracker(session_file, workdir).data_file("state.json"))
    }
    missing = _missing(defaults, flags, environment)
    flags = {**flags, **{name: defaults[name] for name in missing}, "type": "codex"}
    server = server_settings(flags, environment, [found["codex"]], agent_types())
    prompt = _prompt(found["prompt"], found["prompt_file"]) or server.initial_prompt.strip()
    files: dict[str, Any] = {
        name: _absolute(file)
        for name in ("state_file", "pid_file", "record")
        if (file := getattr(server, name)) is not None
    }
    return CodexSettings(
        server=replace(server, initial_prompt="", **files),
        workdir=workdir,
        prompt=_with_reporting(prompt) if found["report_tasks"] else prompt,
        resume=found["continue"],
        session=found["session"],
        session_file=session_file,
        default_state="state-file" in missing,
        codex=found["codex"],
        wrap=found["wrap"] or _wrap_of_boundary(environment),
        arguments=(*_codex_arguments(found), *arguments),
    )


def _missing(
    names: Iterable[str],
    flags: Mapping[str, str | Sequence[str] | None],
    environment: Mapping[str, str],
) -> list[str]:
    """Return which of these options are set neither by flag nor by variable."""
    variables = {option.name: option.variable for option in CODEX_OPTIONS}
    return [
        name for name in names if flags.get(name) is None and not environment.get(variables[name])
    ]


def _codex_arguments(found: Mapping[str, Any]) -> list[str]:
    given = (("--model", "model"), ("--profile", "profile"), ("--sandbox", "sandbox"))
    return [word for flag, name in given if found[name] for word in (flag, found[name])]


def _prompt(text: str, file: Path | None) -> str:
    if file is None:
        return text.strip()
    if text.strip():
        raise SettingsError("--prompt and --prompt-file exclude each other")
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"--prompt-file: cannot read {str(file)!r}: {error}") from error


def _with_reporting(prompt: str) -> str:
    if not prompt:
        return ""
    return (
        "Work on the task until it is finished, without asking whether to go on. At each step call"
        " the coder_report_task tool with a summary and the state you are in."
        f" Your task at hand: {prompt}"
    )


def _wrap_of_boundary(environment: Mapping[str, str]) -> tuple[str, ...]:
    try:
        return _words(environment.get("AGENTAPI_BOUNDARY_PREFIX", ""))
    except ValueError as error:
        raise SettingsError(f"AGENTAPI_BOUNDARY_PREFIX: {error}") from error


def _absolute(file: Path) -> Path:
    return Path.cwd() / file
