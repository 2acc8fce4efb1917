"""The ACP driver against a real agent: Codex's own ACP adapter, asking the scripted model."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from asyncinotify import Inotify, Mask

from agentapi.agents.acp.driver import AcpDriver
from agentapi.model.conversation import Phase
from agentapi.model.events import PhaseChanged, UserText
from agentapi.scripted import ScriptedModel
from agentapi.scripted.answers import MARKDOWN, numbered
from tests.support.acp_watch import Watch, gone
from tests.support.codex import PROJECT, CodexHome, codex_home

pytestmark = pytest.mark.codex

ADAPTER = PROJECT / ".tools/codex-acp/node_modules/.bin/codex-acp"

Start = Callable[..., Awaitable[tuple[AcpDriver, Watch]]]


@pytest.fixture
async def start(scratch: Path, model: ScriptedModel) -> AsyncIterator[Start]:
    """`await start(mode)`: the adapter in one of its modes (`read-only` asks before it writes)."""
    if not ADAPTER.exists():
        pytest.skip(f"no ACP adapter at {ADAPTER}: run scripts/setup --tests")
    drivers: list[AcpDriver] = []

    async def begin(mode: str, **options: Any) -> tuple[AcpDriver, Watch]:
        home: CodexHome = codex_home(scratch, model.url, approvals=True)
        env = home.environment() | {"INITIAL_AGENT_MODE": mode}
        driver, watch = AcpDriver([str(ADAPTER)], cwd=home.workdir, env=env, **options), Watch()
        drivers.append(driver)
        await driver.start(watch)
        await watch.idle()
        return driver, watch

    yield begin
    for driver in drivers:
        await driver.stop(5)


async def test_the_text_is_exact_and_turns_follow_one_another(start: Start) -> None:
    driver, watch = await start("agent-full-access")
    assert driver.session_id
    assert driver.agent_version
    await driver.send("markdown, please")
    await watch.idle()
    assert watch.text == MARKDOWN
    await driver.send("echo  two  blanks\nand *a second* line")
    await watch.idle()
    assert watch.text == "echo  two  blanks\nand *a second* line"
    assert [event.text for event in watch.of(UserText)] == [
        "markdown, please",
        "echo  two  blanks\nand *a second* line",
    ]


async def test_a_tool_call_is_a_line_of_the_message(start: Start) -> None:
    driver, watch = await start("agent-full-access")
    await driver.send("run touch made && echo finished")
    await watch.idle()
    tool, _, answer = watch.text.partition("\n\n")
    assert tool == "- ✓ touch made && echo finished"
    assert answer == "The command has finished; its last line of output was `finished`."


async def test_a_permission_that_is_given(start: Start, scratch: Path) -> None:
    driver, watch = await start("read-only")
    await driver.send("approve touch made")
    dialog = await watch.blocked()
    assert (dialog.kind, dialog.command) == ("command", "touch made")
    assert {"allow_once", "reject_once"} <= {choice.id for choice in dialog.choices}
    assert not (scratch / "project/made").exists()
    await driver.answer(dialog.id, "allow_once")
    await watch.idle()
    assert (scratch / "project/made").exists()


async def test_a_patch_that_waits_for_leave_is_whole(start: Start) -> None:
    driver, watch = await start("read-only")
    await driver.send("patch new.txt 200")
    dialog = await watch.blocked()
    added = [line[1:] for line in dialog.diff.splitlines() if line.startswith("+line")]
    assert (dialog.kind, added) == ("patch", numbered(200).splitlines())
    await driver.answer(dialog.id, "allow_once")
    await watch.idle()


@pytest.mark.parametrize("how", ["answer", "deadline", "interrupt"])
async def test_a_permission_that_is_not_given(start: Start, scratch: Path, how: str) -> None:
    options = {"permission_timeout": 0.1} if how == "deadline" else {}
    driver, watch = await start("read-only", **options)
    await driver.send("approve touch made")
    if how != "deadline":
        dialog = await watch.blocked()
        await (driver.answer(dialog.id, "reject_once") if how == "answer" else driver.keys("\x1b"))
    await watch.idle()
    assert not (scratch / "project/made").exists()
    assert Phase.BLOCKED in [change.state.phase for change in watch.of(PhaseChanged)]
    assert watch.text.startswith("- ✗ touch made")
    # What was refused does not stop the conversation.
    await driver.send("echo on")
    await watch.idle()
    assert watch.text == "echo on"


@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_running_command_ends_with_its_turn_or_its_agent(
    start: Start, scratch: Path, cancelled: bool
) -> None:
    driver, watch = await start("agent-full-access")
    await driver.send("run sleep 3000 & echo $! > pid; wait")
    command = await written(scratch / "project/pid")
    if cancelled:
        await driver.keys("\x1b")
        await watch.idle()
        assert watch.of(PhaseChanged)[-1].state.reason == "acp: cancelled"
    await driver.stop(5)
    await gone(command)


async def written(path: Path) -> int:
    """Wait until a pid is in the file at `path`; a pidfd of it."""
    with Inotify() as inotify:
        inotify.add_watch(path.parent, Mask.CLOSE_WRITE)
        async with asyncio.timeout(30):
            while not (text := text_of(path)):
                await inotify.get()
    return os.pidfd_open(int(text))


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def test_an_error_of_the_model_is_told(start: Start) -> None:
    driver, watch = await start("agent-full-access")
    await driver.send("fail 400")
    await watch.idle()
    assert any("asked to fail" in said for said in [*watch.notices, watch.text]), watch.events
