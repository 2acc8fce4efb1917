"""What a check of the machine or of an agent found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How it is."""

    FINE = "fine"
    NOTE = "note"
    """It works, and there is something to know."""
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One line of the page. Never holds a secret."""

    what: str
    """What was looked at, in a word or two."""
    state: State
    says: str
    fix: str = ""
    """What to do about it; each line is a sentence or a command."""


def fine(what: str, says: str) -> Finding:
    """All is well."""
    return Finding(what, State.FINE, says)


def note(what: str, says: str, fix: str = "") -> Finding:
    """It works, and there is something to know."""
    return Finding(what, State.NOTE, says, fix)


def wrong(what: str, says: str, fix: str) -> Finding:
    """It does not work, with what to do."""
    return Finding(what, State.WRONG, says, fix)
