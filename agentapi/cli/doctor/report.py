"""What a check found, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

_NAME_WIDTH = 13
_MARKS = {"fine": "ok", "note": "note", "wrong": "WRONG"}


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


def healthy(findings: Sequence[Finding]) -> bool:
    """Whether nothing is wrong."""
    return all(finding.state is not State.WRONG for finding in findings)


def page(findings: Sequence[Finding]) -> str:
    """The findings for people, with a sum at the end."""
    lines: list[str] = []
    for finding in findings:
        first, *more = finding.says.splitlines() or [""]
        lines.append(f"{_MARKS[finding.state]:<6}{finding.what:<{_NAME_WIDTH}} {first}")
        lines += [f"{'':{_NAME_WIDTH + 7}}{line}" for line in more]
        lines += [f"{'':{_NAME_WIDTH + 4}}-> {line}" for line in finding.fix.splitlines()]
    faults = sum(finding.state is State.WRONG for finding in findings)
    lines += ["", "Nothing is wrong." if not faults else f"{faults} wrong: see the arrows above."]
    return "\n".join(lines)


def as_json(findings: Sequence[Finding], version: str) -> dict[str, object]:
    """`{version, ok, findings: [{what, state, says, fix}]}`."""
    listed = [asdict(finding) for finding in findings]
    return {"version": version, "ok": healthy(findings), "findings": listed}
