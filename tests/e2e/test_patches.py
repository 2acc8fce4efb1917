"""The whole diff of a patch and the whole command that wait for leave, however little of them the
screen shows."""

from __future__ import annotations

from typing import Any

import pytest

from agentapi.scripted import Reply, Request, ScriptedModel, Shell
from agentapi.scripted.answers import answer
from tests.support.codex import codex_binary
from tests.support.server import Sent, codex_server, scratch_folder

pytestmark = pytest.mark.codex

LINES = [f"line {number} of 60" for number in range(1, 61)]


@pytest.mark.parametrize(
    ("version", "rows", "more"),
    [
        (None, 50, {}),
        (None, 50, {"link": True}),
        (None, 50, {"link": True, "markdown": True}),
        (None, 24, {"inline": True}),
        (None, 1000, {}),
        ("0.158.0", 50, {"link": True}),
        ("0.142.0", 50, {"link": True}),
        ("0.125.0", 24, {}),
        ("0.125.0", 24, {"markdown": True}),
        ("0.125.0", 1000, {}),
        # In 24 rows 0.80 itself scrolls its dialog off the screen.
        ("0.80.0", 1000, {}),
    ],
    ids=str,
)
async def test_the_diff_is_whole(version: str | None, rows: int, more: dict[str, Any]) -> None:
    try:
        codex_binary(version)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    options = ["--term-height", str(rows), *(["--codex-link", "on"] if "link" in more else [])]
    options += ["--message-format", "markdown"] if "markdown" in more else []
    with scratch_folder() as folder:
        async with (
            ScriptedModel() as model,
            codex_server(
                folder,
                model,
                *options,
                version=version,
                inline="inline" in more,
                approvals=True,
            ) as (server, home),
        ):
            await server.ready()
            assert await server.send("patch new.txt 60") == Sent(200)
            await server.wait_status("running", "stable", "running", "stable")
            assert await server.phase() == "blocked"
            dialog = (await server.get("/approval"))["open"]
            assert dialog["kind"] == "patch"
            added = [line[1:] for line in dialog["diff"].splitlines() if line.startswith("+")]
            assert added == LINES, dialog["diff"]
            question = (await server.messages())[-1][1]
            assert [line for line in LINES if line not in question] == [], question
            assert question.rstrip().endswith(("esc to cancel", "differently (`esc`)")), question
            body = {"id": dialog["id"], "choice": "1"}
            async with server.client.post(server.url + "/approval", json=body) as response:
                assert response.status == 200, await response.text()
            assert (await server.get("/approval"))["open"] is None
            assert await server.phase() != "blocked"
            await server.until(lambda: "has finished" in server.told[-1][1], "the end")
            assert (home.workdir / "new.txt").read_text().splitlines() == LINES


COMMAND = "\n".join(["cat <<END", *(f"  {line}" for line in LINES), "END"])


def a_long_command(request: Request) -> Reply:
    """The scripted answers, and one that wants leave for a command of many lines."""
    if request.tool_output is None and request.prompt == "long":
        return [Shell(COMMAND, "May I?")]
    return answer(request)


@pytest.mark.parametrize(
    ("version", "options"),
    [
        (None, []),
        (None, ["--codex-link", "on", "--message-format", "markdown"]),
        ("0.125.0", ["--message-format", "markdown"]),
        ("0.80.0", []),
    ],
    ids=str,
)
async def test_a_command_is_whole(version: str | None, options: list[str]) -> None:
    try:
        codex_binary(version)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with scratch_folder() as folder:
        async with (
            ScriptedModel(answer=a_long_command) as model,
            codex_server(
                folder, model, "--term-height", "24", *options, version=version, approvals=True
            ) as (server, _),
        ):
            await server.ready()
            assert await server.send("long") == Sent(200)
            await server.wait_status("running", "stable", "running", "stable")
            dialog = (await server.get("/approval"))["open"]
            assert (dialog["kind"], dialog["command"]) == ("command", COMMAND)
            question = (await server.messages())[-1][1]
            assert f"```\n{COMMAND}\n```" in question, question
            await server.post("/approval", {"id": dialog["id"], "choice": "1"})
            await server.until(lambda: "has finished" in server.told[-1][1], "the end")
            assert COMMAND not in (await server.messages())[-1][1]
