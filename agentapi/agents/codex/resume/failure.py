"""Extract why Codex could not resume a session from its last screen."""

from __future__ import annotations

import re

MAX_LENGTH = 300
"""Characters of a reason."""
_START = re.compile(r"Failed to resume|\bError: ")
_END = re.compile(r"\s*(?:Stack backtrace:|Caused by:|Location:)")
NO_OUTPUT = "it said nothing"


def failure_reason(screen: str) -> str:
    """Return the error message on this screen, with the terminal's line breaks undone.

    Codex 0.125 appends its runtime's backtrace, which is dropped."""
    text = _unwrapped(screen)
    if start := _START.search(text):
        text = text[start.start() :].removeprefix("Error: ")
        if end := _END.search(text):
            text = text[: end.start()]
        return text if len(text) <= MAX_LENGTH else text[:MAX_LENGTH].rpartition(" ")[0] + " …"
    if len(text) > MAX_LENGTH:
        text = "… " + text[-MAX_LENGTH:].partition(" ")[2]
    return text or NO_OUTPUT


def _unwrapped(screen: str) -> str:
    """Join the lines; a row as wide as the widest was wrapped at the terminal's edge."""
    lines = [line.rstrip() for line in screen.split("\n")]
    width = max(map(len, lines))
    joined = "".join(line if len(line) == width else f"{line} " for line in lines)
    return " ".join(joined.split())
