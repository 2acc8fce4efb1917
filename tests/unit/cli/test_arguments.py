from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from agentapi.agents.registry import agent_types, server_table
from agentapi.cli import main
from agentapi.cli.arguments import TableCommand, normalize
from agentapi.settings.settings import SettingsError, server_settings

OPTIONS = server_table()
FLAGS = [option for option in OPTIONS if option.flag]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-I=say hi"], ["--initial-prompt=say hi"]),
        (["-I", "say hi"], ["--initial-prompt=say hi"]),
        (["-Isay hi"], ["--initial-prompt=say hi"]),
        (["--initial-prompt", "a=b"], ["--initial-prompt=a=b"]),
        (["--initial-prompt=a=b"], ["--initial-prompt=a=b"]),
        (["-I", "--"], ["--initial-prompt=--"]),
        (["-P", "codex"], ["--print-openapi=true", "codex"]),
        (["--load-state=false"], ["--load-state=false"]),
        (["--load-state", "false"], ["--load-state=true", "false"]),
        (["-Pp", "3010"], ["--print-openapi=true", "--port=3010"]),
        (["-p3010"], ["--port=3010"]),
        (["claude", "-p", "1", "--", "-p", "2"], ["claude", "--port=1", "--", "-p", "2"]),
        (["--port"], ["--port"]),
        (["--unknown=1", "-z", "-"], ["--unknown=1", "-z", "-"]),
    ],
)
def test_words_get_one_form(words: list[str], expected: list[str]) -> None:
    assert normalize(words, FLAGS) == expected


@given(st.lists(st.text(max_size=8) | st.sampled_from(["-I", "--port", "-Pp", "--", "-t=x"])))
def test_words_after_the_bare_dashes_are_the_agents(words: list[str]) -> None:
    assert normalize(["--", *words], FLAGS) == ["--", *words]
    normalize(words, FLAGS)  # never fails


def parse(*words: str) -> tuple[tuple[str, ...], dict[str, object]]:
    """The agent's command and the options given, as `agentapi server` reads them."""
    seen: list[tuple[tuple[str, ...], dict[str, object]]] = []

    @click.command("server", cls=TableCommand, table=OPTIONS)
    @click.argument("program", nargs=-1, type=click.UNPROCESSED)
    def probe(program: tuple[str, ...], **flags: object) -> None:
        given = {name: value for name, value in flags.items() if value not in (None, ())}
        seen.append((program, given))

    result = CliRunner().invoke(probe, words)
    assert result.exit_code == 0, result.output
    return seen[0]


def test_words_before_the_dashes_are_joined_with_those_after() -> None:
    assert parse("claude", "-p", "3010", "--", "--resume", "ID") == (
        ("claude", "--resume", "ID"),
        {"port": "3010"},
    )
    assert parse("--", "codex", "-m", "gpt", "--", "x") == (("codex", "-m", "gpt", "--", "x"), {})


def test_a_list_may_be_given_twice() -> None:
    assert parse("-a", "a,b", "-a=c", "codex")[1] == {"allowed_hosts": ("a,b", "c")}


def invoke(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, words)
    assert not isinstance(result.exception, Exception), result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["server", "--port", "x", "--", "codex"], ["--port", "'x'", "0 to 65535"]),
        (["server", "--prot", "1", "--", "codex"], ["--prot", "--port"]),
        (["server", "--port"], ["--port", "requires an argument"]),
        (["server"], ["no agent given"]),
        (["server", "codex", "--full-auto"], ["--full-auto"]),
        (["serve"], ["serve"]),
    ],
)
def test_a_wrong_command_line_is_status_2_and_says_what(words: list[str], parts: list[str]) -> None:
    status, output = invoke(*words)
    assert status == 2
    for part in parts:
        assert part in output


def test_a_wrong_variable_is_status_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTAPI_PORT", "x")
    status, output = invoke("server", "--", "codex")
    assert status == 2
    assert "AGENTAPI_PORT: 'x' is not allowed" in output


def test_the_help_shows_every_option_with_its_variable() -> None:
    status, output = invoke("server", "--help")
    assert status == 0
    for option in FLAGS:
        assert f"--{option.name}" in output
        assert option.variable in output.replace("\n", "").replace(" ", "")


LATE = ("aiohttp", "asyncio", "pydantic", "pyte", "tomlkit")


@pytest.mark.parametrize(
    "words",
    [["--version"], ["--help"], *([name, "--help"] for name in ("server", "codex", "doctor"))],
    ids=" ".join,
)
def test_small_answers_import_no_server(words: list[str]) -> None:
    """Start-up counts in milliseconds: `--version` is what scripts call first."""
    code = (
        "import sys\nfrom agentapi.cli import main\n"
        f"try: main({words!r}, prog_name='agentapi')\n"
        f"finally: print([m for m in {LATE!r} if m in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert output.splitlines()[-1] == "[]"


@given(st.lists(st.text(max_size=12) | st.sampled_from(["-I", "--port", "codex", "-P", "--"])))
def test_no_command_line_ends_in_a_traceback(words: list[str]) -> None:
    """Up to the point where the server would start."""

    @click.command("server", cls=TableCommand, table=OPTIONS)
    @click.argument("program", nargs=-1, type=click.UNPROCESSED)
    def probe(program: tuple[str, ...], **flags: object) -> None:
        given = {k.replace("_", "-"): v for k, v in flags.items() if v not in (None, ())}
        try:
            server_settings(given, {}, program, agent_types())  # type: ignore[arg-type]
        except SettingsError as error:
            raise click.UsageError(str(error)) from error

    result = CliRunner().invoke(probe, words)
    assert result.exit_code in (0, 2), result.exception
