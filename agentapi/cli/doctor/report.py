"""Formats findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from agentapi.model.finding import Finding, State

_NAME_WIDTH = 13
_MARKS = {"fine": "ok", "note": "note", "wrong": "WRONG"}


def healthy(findings: Sequence[Finding]) -> bool:
    """Whether nothing is wrong."""
    return all(finding.state is not State.WRONG for finding in findings)


def page(findings: Sequence[Finding]) -> str:
    """Format the findings as text, with a summary at the end."""
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
    """Return `{version, ok, findings: [{what, state, says, fix}]}`."""
    listed = [asdict(finding) for finding in findings]
    return {"version": version, "ok": healthy(findings), "findings": listed}
