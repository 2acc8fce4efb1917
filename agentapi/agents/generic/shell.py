"""Format commands as a user would type them, without the shell wrapper that agents add."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def command_line(words: Sequence[str]) -> str:
    """Return the script of `bash -lc SCRIPT`, else the words joined to one line."""
    script = _script(words)
    return shlex.join(words) if script is None else script


def unwrapped(line: str) -> str:
    """Return the script of a line `bash -lc 'SCRIPT'`, else the line unchanged."""
    try:
        script = _script(shlex.split(line))
    except ValueError:
        return line
    return line if script is None else script


def _script(words: Sequence[str]) -> str | None:
    runs_script = len(words) == 3 and words[0].endswith("sh") and words[1] in ("-c", "-lc")
    return words[2] if runs_script else None
