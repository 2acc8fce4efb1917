"""The pages tell the truth: files that exist, options that are taken, numbers of the program."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import agentapi
from agentapi.agents.codex.options import CODEX_OPTIONS
from agentapi.agents.codex.versions import NEWEST, OLDEST
from agentapi.agents.generic import console, reporter, typist
from agentapi.cli import main
from agentapi.conversation.status import Source
from agentapi.model.conversation import Phase
from agentapi.terminal import process
from tests.support.codex import PROJECT
from tests.support.daemon import ANSWERING, PATIENCE, daemon

PAGES = ("README.md", "CHANGELOG.md", *(f"docs/{p.name}" for p in PROJECT.glob("docs/*.md")))
OURS = ("README.md", "CHANGELOG.md", "docs/architecture.md", "docs/operations.md")

each_page = pytest.mark.parametrize("page", PAGES)


def _text(page: str) -> str:
    return (PROJECT / page).read_text(encoding="utf-8")


def _blocks(page: str) -> str:
    """The shell commands of a page, a line each."""
    blocks = re.findall(r"^```sh\n(.*?)^```", _text(page), re.MULTILINE | re.DOTALL)
    return "".join(blocks).replace("\\\n", "")


@each_page
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", _text(page)):
        if "://" not in target:
            assert ((PROJECT / page).parent / target).exists(), f"{page}: {target}"


@pytest.mark.parametrize("page", OURS)
def test_files_that_are_named_exist(page: str) -> None:
    folders = "agentapi|benchmarks|docs|scripts|systemd|tests|tools"
    for name in re.findall(rf"(?<![\w/~$.-])((?:{folders})/[\w./@-]*[\w/])", _text(page)):
        assert (PROJECT / name).exists(), f"{page}: {name}"


def test_the_changelog_begins_with_this_version() -> None:
    newest = re.search(r"^## \[([^\]]+)\]", _text("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == agentapi.__version__


def test_the_two_commands_come_first() -> None:
    block = re.search(r"^```sh\n(.*?)^```", _text("README.md"), re.MULTILINE | re.DOTALL)
    assert block is not None
    assert [line.split()[0] for line in block[1].splitlines()] == ["scripts/demo", "scripts/test"]
    assert len(_text("README.md").splitlines()) < 80, "it is one page"


def _commands(page: str) -> Iterator[list[str]]:
    """Each call of agentapi in the shell blocks of a page, up to a redirection or a pipe."""
    for line in _blocks(page).splitlines():
        words = shlex.split(line, comments=True)
        if "agentapi" in words[:2] and words[0] in ("agentapi", "nohup"):
            words = words[words.index("agentapi") + 1 :]
            end = next((i for i, w in enumerate(words) if re.match(r"[<>|&]|\d?>", w)), None)
            yield words[:end]


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md"])
def test_commands_are_taken(page: str) -> None:
    """Each command line of a page, parsed as it would be when it is run."""
    tried = 0
    for words in _commands(page):
        command: click.Command = main
        context = click.Context(main)
        while isinstance(command, click.Group):
            name = words.pop(0)
            found = command.get_command(context, name)
            assert found is not None, f"{page}: no command {name}"
            command = found
        command.make_context(command.name, words)
        tried += 1
    assert tried >= 3


def test_options_that_are_named_exist() -> None:
    """Options in the text of the page for operators, whichever command they belong to."""
    commands: list[click.Command] = [main]
    known = {"--with-api-key", "--continue"}  # other programs' own
    known |= {"--user", "--now", "--path", "--offline", "--create-home"}  # systemd's, useradd's
    known |= {"--no-codex"}  # scripts/setup's
    known |= {f"--no-{option.name}" for option in CODEX_OPTIONS if option.boolean}
    while commands:
        command = commands.pop()
        for parameter in command.params:
            known |= {*parameter.opts, *parameter.secondary_opts}
        if isinstance(command, click.Group):
            context = click.Context(command)
            found = (command.get_command(context, name) for name in command.list_commands(context))
            commands += [each for each in found if each is not None]
    for page in ("README.md", "docs/operations.md"):
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", _text(page)))
        assert named <= known, f"{page}: {named - known}"


def test_numbers_are_those_of_the_program() -> None:
    architecture, operations = _text("docs/architecture.md"), _text("docs/operations.md")
    words = " ".join(architecture.split())
    assert f"at most {process.TURN_LIMIT >> 10} KiB a turn" in words
    assert f"or {console.FRAME_GAP * 1000:g} ms after the last output" in words
    assert reporter.READ_INTERVAL == 1 / 40
    assert "at most forty times a second" in words
    assert f"within {typist.ECHO_LIMIT:g} seconds" in words
    assert f"within {typist.BEGIN_LIMIT:g} seconds" in words
    tried = "{}.{} to {}.{}".format(*OLDEST, *NEWEST)
    assert f"({tried})" in operations


def test_the_table_of_phases_is_the_programs() -> None:
    found = dict(re.findall(r"^\| `(\w+)` \|.*\| `(\w+)`[^|]*\|$", _architecture(), re.MULTILINE))
    assert found == {phase.value: phase.status.value for phase in Phase}


def test_the_table_of_sources_is_the_programs() -> None:
    table = _architecture().partition("| source, strongest first |")[2].partition("\n\n")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert len([row for row in rows if "what it says" not in row]) == len(Source)


def test_every_room_is_on_the_plan() -> None:
    rooms = {path.parent.name for path in (PROJECT / "agentapi").glob("*/__init__.py")}
    rooms |= {"chat"}
    assert {room for room in rooms if f"`agentapi/{room}/`" not in _architecture()} == set()


def _architecture() -> str:
    return _text("docs/architecture.md")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is missing: apt-get install curl")
async def test_the_first_session_works() -> None:
    """The commands of the README with curl, letter by letter but for the port."""
    lines = [line for line in _blocks("README.md").splitlines() if line.startswith("curl")]
    assert len(lines) == 4
    async with daemon("--", *ANSWERING) as server:
        await server.stable()
        url = (await server.url()).removeprefix("http://")
        said = [await _run(line.replace("localhost:3284", url)) for line in lines]
        await server.until(lambda messages: len(messages) == 3)
    assert '"status":"stable"' in said[0]
    assert '"ok":true' in said[1]
    assert "event: message_update" in said[2]
    assert "What does this project do?" in said[3]


async def _run(line: str) -> str:
    """What a command prints; one that follows a stream is ended once it printed something."""
    process = await asyncio.create_subprocess_exec(
        *shlex.split(line, comments=True),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        if " -N " not in line:
            return (await process.communicate())[0].decode()
        text = await process.stdout.readuntil(b"\n\n")
        process.terminate()
        await process.wait()
        return text.decode()


def test_no_page_names_a_place_of_one_machine() -> None:
    for page in PAGES:
        assert not re.search(r"(?<![\w/])/(work|root|tmp/lab)/", _text(page)), page


def test_the_pages_are_found() -> None:
    assert {Path(page).name for page in PAGES} >= {"README.md", "operations.md", "reference.md"}
