"""The result of one check of the machine or of an agent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The outcome of a check."""

    FINE = "fine"
    NOTE = "note"
    """It works, but there is something to know."""
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One line of the report. Never holds a secret."""

    what: str
    """What was checked, in a word or two."""
    state: State
    says: str
    fix: str = ""
    """How to fix it; each line is a sentence or a command."""


def fine(what: str, says: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(what, State.FINE, says)


def note(what: str, says: str, fix: str = "") -> Finding:
    """Return a finding that it works, but there is something to know."""
    return Finding(what, State.NOTE, says, fix)


def wrong(what: str, says: str, fix: str) -> Finding:
    """Return a finding that it does not work, and how to fix it."""
    return Finding(what, State.WRONG, says, fix)
