"""The scripted model as a program, and its script files."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import aiohttp
import pytest

from agentapi.scripted import Request, Say, Shell
from agentapi.scripted.__main__ import read_script


def asked(prompt: str, *, output: str | None = None) -> Request:
    items = [{"type": "message", "role": "user", "content": prompt}]
    if output is not None:
        items.append({"type": "function_call_output", "output": output})
    return Request({"input": items})


def script(folder: Path, text: str) -> Path:
    path = folder / "script.json"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_first_rule_that_matches_answers(tmp_path: Path) -> None:
    text = '[{"when": "bug", "say": "Fixed.", "run": "make"}, {"when": "", "say": "Hm."}]'
    decide = read_script(script(tmp_path, text))
    assert decide(asked("a bug, please")) == [Say("Fixed."), Shell("make")]
    assert decide(asked("anything")) == [Say("Hm.")]


def test_what_no_rule_matches_is_answered_as_without_a_script(tmp_path: Path) -> None:
    decide = read_script(script(tmp_path, '[{"when": "^never$", "say": "x"}]'))
    assert decide(asked("echo me")) == [Say("echo me")]
    assert "`done`" in str(decide(asked("never", output="done")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"when": "a"}]', "rule 0 needs"),
        ('[{"when": "a", "say": "b"}, {"when": "a", "shout": "b"}]', "rule 1 needs"),
        ('["a"]', "rule 0 needs"),
        ('[{"when": "(", "say": "b"}]', "rule 0: .*unterminated"),
        ("{", "Expecting"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_script(script(tmp_path, text))


async def test_it_tells_its_url_serves_and_ends_on_a_signal() -> None:
    command = [sys.executable, "-m", "agentapi.scripted"]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    assert process.stdout
    url = (await process.stdout.readline()).decode().strip()
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{url}/responses", json={"input": "hello"}) as response,
    ):
        assert "hello" in await response.text()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_a_script_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agentapi.scripted", "--script", str(tmp_path / "none")]
    process = await asyncio.create_subprocess_exec(*command, stderr=PIPE)
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert "cannot use the script" in errors.decode()
