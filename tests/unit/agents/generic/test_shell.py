"""The script is all that a user wrote of `bash -lc SCRIPT`."""

from __future__ import annotations

import pytest

from agentapi.agents.generic.shell import command_line, unwrapped


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["bash", "-lc", "ls -l | wc"], "ls -l | wc"),
        (["/usr/bin/zsh", "-c", "ls"], "ls"),
        (["ls", "a b"], "ls 'a b'"),
        (["bash", "-lc", "ls", "name"], "bash -lc ls name"),
        (["python3", "-c", "print(1)"], "python3 -c 'print(1)'"),
        ([], ""),
    ],
)
def test_words(words: list[str], line: str) -> None:
    assert command_line(words) == line


@pytest.mark.parametrize(
    ("line", "script"),
    [
        ("/bin/bash -lc 'ls -l'", "ls -l"),
        ("git 'unclosed", "git 'unclosed"),
        ("git  log", "git  log"),
        ("", ""),
    ],
)
def test_lines(line: str, script: str) -> None:
    assert unwrapped(line) == script
