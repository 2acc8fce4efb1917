"""Why Codex could not go on with a session, in the words of its last screen."""

from __future__ import annotations

import re

MOST = 300
"""Characters of a reason."""
_BEGINS = re.compile(r"Failed to resume|\bError: ")
_ENDS = re.compile(r"\s*(?:Stack backtrace:|Caused by:|Location:)")
NOTHING = "it said nothing"


def reason_on(screen: str) -> str:
    """The sentence that says why, from its first word, with the terminal's line breaks undone.

    Codex 0.125 adds the backtrace of its runtime, which is left out."""
    text = _unwrapped(screen)
    if begins := _BEGINS.search(text):
        text = text[begins.start() :].removeprefix("Error: ")
        if ends := _ENDS.search(text):
            text = text[: ends.start()]
        return text if len(text) <= MOST else text[:MOST].rpartition(" ")[0] + " …"
    if len(text) > MOST:
        text = "… " + text[-MOST:].partition(" ")[2]
    return text or NOTHING


def _unwrapped(screen: str) -> str:
    """The text without line breaks; one in a row that is full comes from the terminal's edge."""
    lines = [line.rstrip() for line in screen.split("\n")]
    width = max(map(len, lines))
    joined = "".join(line if len(line) == width else f"{line} " for line in lines)
    return " ".join(joined.split())
