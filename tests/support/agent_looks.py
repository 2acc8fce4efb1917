"""How a person knows where another agent is, and what they press: read from the real programs."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Looks:
    """The words by which a person knows where a program is, and the keys that answer it."""

    ready: str
    asks: str
    """The approval dialog."""
    allow: str
    stop: str
    """The keys that interrupt a turn."""
    trust: str = ""
    """The trust dialog; empty where there is none."""
    trusted: str = ""
    """The keys that accept it."""


LOOKS = {
    "claude": Looks(
        "for shortcuts", "Do you want to proceed?", "1", "\x1b", "Accessing workspace:", "\x1b[B\r"
    ),
    "gemini": Looks(
        "Type your message", "Allow execution of", "1", "\x1b", "Do you trust the files", "1"
    ),
    "opencode": Looks("ctrl+p commands", "Permission required", "\r", "\x1b\x1b"),
    "copilot": Looks(
        "/ commands", "Do you want to run this", "1", "\x1b\x1b", "Confirm folder trust", "2"
    ),
}

_COMPOSER = re.compile(
    r"for shortcuts|Type your message|ctrl\+p commands|/ commands|no sandbox|Shift\+Tab to"
    r"|esc to (?:cancel|interrupt)|esc interrupt|^\s*[❯>]\s*$|^(?:─{60,}|[╻╹][▀▄]{60,})\s*$"
)


def composer_rows(text: str) -> list[str]:
    """The lines at a message's end that stand around a composer and in no answer."""
    return [line for line in text.split("\n")[-8:] if _COMPOSER.search(line)]
