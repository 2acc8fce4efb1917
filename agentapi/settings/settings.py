"""The options of `agentapi server`: flag, variable, default, validation and help of each.

The command line, the environment and docs/reference.md all follow from `server_options`, which
takes the names and options of the agents. A flag overrides its variable, an empty variable counts
as unset, and an unknown `AGENTAPI_*` is ignored: other tools use the same prefix. Errors are
`SettingsError`s that name the flag or variable, the value and what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from agentapi.settings import parsers

PREFIX = "AGENTAPI_"
DEFAULT_PORT = 3284


class SettingsError(ValueError):
    """An invalid setting. The text is for the user."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `parse` converts the text of a value; it raises `ValueError(what is allowed)`."""

    name: str
    help: str
    parse: Callable[[str], Any] = parsers.text
    default: Any = ""
    short: str = ""
    metavar: str = "TEXT"
    shown: str = ""
    """The default as displayed in the help and the reference."""
    flag: bool = True
    """Whether there is a flag: a secret has only a variable."""
    bare: str = ""
    """The value of the flag when it is given without one; empty if it needs one."""

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + self.field.upper()

    @property
    def field(self) -> str:
        """The name as a Python identifier."""
        return self.name.replace("-", "_")

    @property
    def boolean(self) -> bool:
        """Whether the flag needs no value."""
        return self.parse is parsers.boolean

    @property
    def many(self) -> bool:
        """Whether it is a list: separated by commas in the flag, by blanks in the variable."""
        return isinstance(self.default, tuple)


AGENT_REQUESTS = ("message", "approval", "interrupt", "queue", "upload", "terminal")
"""What clients may do and the agent may not: first path segments of endpoints; `terminal` includes
`/internal/screen`."""
_LIST = "(a list: commas in the flag, blanks in the variable)"

_OPTIONS: tuple[Option, ...] = (
    Option(
        "port",
        "The port to serve on; 0 takes a free one and logs it.",
        parsers.number(0, 65535),
        DEFAULT_PORT,
        short="p",
        metavar="PORT",
        shown="3284",
    ),
    Option(
        "host",
        f"The addresses to serve on {_LIST}; 0.0.0.0 and :: mean all.",
        parsers.host_name,
        ("127.0.0.1", "::1"),
        metavar="ADDRESS",
        shown="127.0.0.1 and ::1",
    ),
    Option(
        "print-openapi",
        "Print the OpenAPI document and exit; no agent is started.",
        parsers.boolean,
        False,
        short="P",
    ),
    Option(
        "chat-base-path",
        "Where a proxy shows the chat page; the server's own route stays /chat.",
        parsers.base_path,
        "/chat",
        short="c",
        metavar="PATH",
        shown="/chat",
    ),
    Option(
        "term-width",
        "The terminal's width in columns.",
        parsers.number(10, 65535),
        80,
        short="W",
        metavar="COLUMNS",
        shown="80",
    ),
    Option(
        "term-height",
        "The terminal's height in rows.",
        parsers.number(10, 65535),
        1000,
        short="H",
        metavar="ROWS",
        shown="1000",
    ),
    Option(
        "allowed-hosts",
        f"Host names that requests may be addressed to, without ports, or * {_LIST}.",
        parsers.host_name,
        ("localhost", "127.0.0.1", "::1"),
        short="a",
        metavar="HOSTS",
        shown="localhost,127.0.0.1,[::1]",
    ),
    Option(
        "allowed-origins",
        f"Origins of web pages that may call the API, or * {_LIST}.",
        parsers.origin,
        ("http://localhost:3284", "http://localhost:3000", "http://localhost:3001"),
        short="o",
        metavar="ORIGINS",
        shown="http://localhost:3284, :3000 and :3001",
    ),
    Option(
        "initial-prompt",
        "The first message, sent once when the agent is ready. Read from standard input when that"
        " is not a terminal and no prompt is given.",
        short="I",
        metavar="TEXT",
    ),
    Option(
        "state-file",
        "Keep the conversation in this file, over restarts.",
        parsers.file,
        None,
        short="s",
        metavar="FILE",
    ),
    Option(
        "load-state",
        "Load the conversation from the state file at the start.",
        parsers.boolean,
        None,
        shown="true with a state file",
    ),
    Option(
        "save-state",
        "Save the conversation to the state file on every change.",
        parsers.boolean,
        None,
        shown="true with a state file",
    ),
    Option(
        "pid-file",
        "Write the server's process id to this file; removed at the end.",
        parsers.file,
        None,
        metavar="FILE",
    ),
    Option(
        "experimental-acp",
        "Speak the Agent Client Protocol with the program instead of driving a terminal;"
        " not with a state file.",
        parsers.boolean,
        False,
    ),
    Option(
        "permission-timeout",
        "Seconds until a permission that an ACP agent asks for is refused, if nobody answers.",
        parsers.number(1, 7 * 86400),
        600,
        metavar="SECONDS",
        shown="600",
    ),
    Option(
        "auth-token-file",
        "The bearer token that clients must show is in this file (see also AGENTAPI_AUTH_TOKEN).",
        parsers.file,
        None,
        metavar="FILE",
    ),
    Option(
        "auth-token",
        "The bearer token itself; a variable only, because other users see a command line.",
        flag=False,
        metavar="TOKEN",
    ),
    Option(
        "allow-agent-requests",
        f"What the agent may send to its own server {_LIST}: {', '.join(AGENT_REQUESTS)}. All of"
        " these are refused to it otherwise.",
        parsers.one_of(*AGENT_REQUESTS),
        (),
        metavar="NAMES",
        shown="none",
    ),
    Option(
        "log-level",
        "How much to log: debug, info, warning or error.",
        parsers.one_of("debug", "info", "warning", "error"),
        "info",
        metavar="LEVEL",
        shown="info",
    ),
    Option(
        "log-format",
        "How to log, on standard error: text or json (one object a line).",
        parsers.one_of("text", "json"),
        "text",
        metavar="FORMAT",
        shown="text",
    ),
    Option(
        "record",
        "Record the terminal session to this asciicast file.",
        parsers.file,
        None,
        metavar="FILE",
    ),
    Option(
        "verbatim",
        "Run the agent's command line exactly as given, without the link: no word (such as"
        " --no-daemon) is added.",
        parsers.boolean,
        False,
    ),
    Option(
        "message-format",
        "The agent's messages: terminal (as on its screen) or markdown (its exact text, with a line"
        " for each tool that it used, where it keeps a transcript).",
        parsers.one_of("terminal", "markdown"),
        "terminal",
        metavar="FORMAT",
        shown="terminal",
    ),
)
_INSERT_BEFORE = "message-format"
"""The option before which the agents' options are inserted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentTypes:
    """The supported agents, as far as the settings depend on them."""

    names: Mapping[str, str]
    """The values of `--type` and the names of programs, each with its type."""
    options: tuple[Option, ...] = ()
    """The agents' own options for `agentapi server`."""
    checks: tuple[Callable[[Mapping[str, Any]], None], ...] = ()
    """Each takes the values by field, and raises `SettingsError` if they conflict."""

    def of_program(self, program: str) -> str:
        """Return the type for a program's name (`/opt/bin/claude` is claude), else custom."""
        return self.names.get(PurePath(program).name, "custom")


def server_options(types: AgentTypes) -> tuple[Option, ...]:
    """Return all options of `agentapi server`."""
    agent = Option(
        "type",
        "The agent: " + ", ".join(types.names) + ".",
        parsers.one_name_of(types.names),
        short="t",
        metavar="NAME",
        shown="by the program's name, else custom",
    )
    index = [option.name for option in _OPTIONS].index(_INSERT_BEFORE)
    return (agent, *_OPTIONS[:index], *types.options, *_OPTIONS[index:])


ATTACH_OPTIONS: tuple[Option, ...] = (
    Option(
        "url",
        "Where the server is; http:// and a path may be left out.",
        parsers.server_url,
        "http://localhost:3284",
        short="u",
        metavar="URL",
        shown="localhost:3284",
    ),
    *(option for option in _OPTIONS if option.name in ("auth-token-file", "auth-token")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachSettings:
    """The settings of `agentapi attach`."""

    url: str
    """Scheme, host and perhaps a path, without a trailing slash."""
    auth_token: str | None


def attach_settings(
    flags: Mapping[str, str | Sequence[str] | None], environment: Mapping[str, str]
) -> AttachSettings:
    """Return the settings of one attach; see `server_settings`. Raises `SettingsError`."""
    found = option_values(ATTACH_OPTIONS, flags, environment)
    token = _token(found["auth_token_file"], found["auth_token"])
    return AttachSettings(url=found["url"], auth_token=token)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The validated settings of `agentapi server`: one field for each option, except for the token,
    which comes from either of two options, the agents' options, and the command."""

    command: tuple[str, ...]
    """The agent's program and its arguments; empty only with `print_openapi`."""
    type: str
    port: int
    host: tuple[str, ...]
    print_openapi: bool
    chat_base_path: str
    term_width: int
    term_height: int
    allowed_hosts: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    initial_prompt: str
    state_file: Path | None
    load_state: bool
    save_state: bool
    pid_file: Path | None
    experimental_acp: bool
    permission_timeout: int
    """Seconds."""
    auth_token: str | None
    allow_agent_requests: tuple[str, ...]
    log_level: str
    log_format: str
    record: Path | None
    verbatim: bool
    message_format: str
    agent_options: Mapping[str, Any]
    """The values of the agents' own options, by field."""


def server_settings(
    flags: Mapping[str, str | Sequence[str] | None],
    environment: Mapping[str, str],
    command: Sequence[str],
    types: AgentTypes,
) -> ServerSettings:
    """Return the settings of one run.

    `flags` maps option names to their texts (None or absent: not given; a list option may have
    several), `environment` has the `AGENTAPI_*` variables, `command` is the agent's.
    Raises `SettingsError`.
    """
    found = option_values(server_options(types), flags, environment)
    if not command and not found["print_openapi"]:
        raise SettingsError("no agent given: name its program, as in agentapi server -- PROGRAM")
    if command and not command[0]:
        raise SettingsError("the agent's program is an empty word")
    found["type"] = found["type"] or types.of_program(command[0] if command else "")
    _set_state_defaults(found)
    for check in types.checks:
        check(found)
    if found["experimental_acp"] and found["print_openapi"]:
        raise SettingsError("--experimental-acp and --print-openapi exclude each other")
    found["auth_token"] = _token(found.pop("auth_token_file"), found["auth_token"])
    agent_options = {option.field: found.pop(option.field) for option in types.options}
    return ServerSettings(command=tuple(command), agent_options=agent_options, **found)


def option_values(
    options: Iterable[Option],
    flags: Mapping[str, str | Sequence[str] | None],
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """Return the values of the options, by field. Raises `SettingsError`."""
    return {option.field: _value(option, flags, environment) for option in options}


def _value(
    option: Option,
    flags: Mapping[str, str | Sequence[str] | None],
    environment: Mapping[str, str],
) -> Any:
    given = flags.get(option.name) if option.flag else None
    if given is not None:
        return _parse(option, f"--{option.name}", given, from_flag=True)
    variable = environment.get(option.variable, "")
    if variable:
        return _parse(option, option.variable, variable, from_flag=False)
    return option.default


def _parse(option: Option, source: str, given: str | Sequence[str], *, from_flag: bool) -> Any:
    if not option.many:
        text = given if isinstance(given, str) else given[-1]
        return _parse_one(option, source, text)
    texts = (given,) if isinstance(given, str) else given
    if from_flag:
        words = [word.strip() for text in texts for word in text.split(",") if word.strip()]
        stray, remedy = " ", "separate the items with commas"
    else:
        words = [word for text in texts for word in text.split()]
        stray, remedy = ",", "separate the items with blanks in a variable"
    if not words:
        raise SettingsError(f"{source}: the list must not be empty")
    for word in words:
        if stray in word:
            raise SettingsError(f"{source}: {word!r} is not allowed: {remedy}")
    return tuple(_parse_one(option, source, word) for word in words)


def _parse_one(option: Option, source: str, text: str) -> Any:
    if "\0" in text:
        raise SettingsError(f"{source}: {text!r} is not allowed: a text without NUL characters")
    try:
        return option.parse(text)
    except (ValueError, RuntimeError) as error:  # RuntimeError: no home folder for ~nobody
        raise SettingsError(f"{source}: {text!r} is not allowed: {error}") from error


def _set_state_defaults(found: dict[str, Any]) -> None:
    """Default `--load-state` and `--save-state` to whether there is a state file; they need one."""
    with_file = found["state_file"] is not None
    for name in ("load_state", "save_state"):
        if found[name] and not with_file:
            flag = "--" + name.replace("_", "-")
            raise SettingsError(f"{flag} needs a state file: give --state-file too")
        if found[name] is None:
            found[name] = with_file
    if with_file and found["experimental_acp"]:
        raise SettingsError("--experimental-acp and --state-file exclude each other")


def _token(file: Path | None, text: str) -> str | None:
    """Return the token of the file, else of the variable, else None."""
    if file is None:
        return _checked_token("AGENTAPI_AUTH_TOKEN", text) if text else None
    try:
        text = _content(file)
    except (OSError, ValueError) as error:
        raise SettingsError(f"--auth-token-file: cannot read {str(file)!r}: {error}") from error
    return _checked_token(f"--auth-token-file: {str(file)!r}", text)


def _content(file: Path) -> str:
    """Read a file. `/dev/stdin` and `/dev/fd/N` are read from the open descriptor: we may lack the
    permission to open them again, and they can be read only once."""
    descriptor = re.fullmatch(r"/dev/(?:stdin|fd/(\d{1,4}))", str(file))
    if descriptor is None:
        return file.read_text(encoding="utf-8")
    with open(int(descriptor[1] or 0), encoding="utf-8", closefd=False) as given:
        return given.read()


def _checked_token(source: str, text: str) -> str:
    """Validate a token. Ignoring an invalid one would leave the server open to everybody."""
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(f"{source} must hold one word of ASCII characters")
    return token
