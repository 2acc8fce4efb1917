"""The table of `scripts/matrix`, on the terminal and as docs/codex-versions.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

NOT_REACHED = "not reached"
HOLDS = "✓"
_HEAD = """\
# Codex versions

What holds with each version of Codex, as the last run of `scripts/matrix --write` found it: the
same conversation through the real `agentapi server` and the real Codex, against a scripted model,
once with the terminal alone and once with the link to Codex's app-server (`--codex-link on`). Each
line is a check of `benchmarks/matrix_checks.py`. `scripts/matrix 0.170.0` tries another version.
"""


@dataclass
class Column:
    """What holds for one version, one way."""

    version: str
    linked: bool
    results: dict[str, str] = field(default_factory=dict)
    """By check: why it does not hold; empty when it does."""
    notes: dict[str, str] = field(default_factory=dict)
    """What is told as it is."""
    unable: str = ""
    """Why Codex itself cannot do it this way."""

    @property
    def title(self) -> str:
        """How a reader names it."""
        return f"{self.version} {'with the link' if self.linked else 'terminal alone'}"

    @property
    def holds(self) -> bool:
        """Whether every check holds, or Codex itself cannot do it this way."""
        return bool(self.unable) or not any(self.results.values())

    def fail(self, check: str, why: str) -> None:
        """Something went wrong at or after a check; the first reason stands."""
        if self.results.get(check, NOT_REACHED) in ("", NOT_REACHED):
            self.results[check] = why


class Reasons:
    """Numbers for reasons, each told once."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def cell(self, reason: str | None) -> str:
        """What stands in the table: holds, or the number of the reason."""
        if reason is None:
            return ""
        if not reason:
            return HOLDS
        if reason == NOT_REACHED:
            return "–"
        if reason not in self.texts:
            self.texts.append(reason)
        return f"[{self.texts.index(reason) + 1}]"


def rows_of(columns: Sequence[Column], reasons: Reasons) -> list[list[str]]:
    """The table with its head: a row a check, then a row a note."""
    checks = list(dict.fromkeys(name for column in columns for name in column.results))
    notes = list(dict.fromkeys(name for column in columns for name in column.notes))
    return [
        ["", *(column.version for column in columns)],
        *(
            [name, *(reasons.cell(c.unable or c.results.get(name)) for c in columns)]
            for name in checks
        ),
        *([name, *(c.notes.get(name, "") for c in columns)] for name in notes),
    ]


def table(columns: Sequence[Column]) -> str:
    """For a terminal: one table a way, and the reasons below."""
    reasons = Reasons()
    parts = []
    for linked in (False, True):
        some = [column for column in columns if column.linked is linked]
        if some:
            rows = rows_of(some, reasons)
            widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
            lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in rows]
            parts += ["", "With the link" if linked else "The terminal alone", *lines]
    parts += [""] if reasons.texts else []
    parts += [f"[{number}] {text}" for number, text in enumerate(reasons.texts, 1)]
    return "\n".join(line.rstrip() for line in parts)


def page(columns: Sequence[Column]) -> str:
    """The page, in Markdown."""
    reasons = Reasons()
    parts = [_HEAD]
    for linked in (False, True):
        some = [column for column in columns if column.linked is linked]
        if some:
            rows = rows_of(some, reasons)
            rule = "|".join(["---", *(":-:" for _ in some)])
            lines = [f"| {' | '.join(row)} |" for row in rows]
            parts.append(f"## {'With the link' if linked else 'The terminal alone'}\n")
            parts.append("\n".join([lines[0], f"|{rule}|", *lines[1:]]) + "\n")
    parts.append(f"{HOLDS} holds; – was not reached.\n")
    parts += [f"{number}. {_plain(text)}" for number, text in enumerate(reasons.texts, 1)]
    return "\n".join(parts).rstrip("\n") + "\n"


def _plain(text: str) -> str:
    """A reason without what Markdown would read."""
    return f"`{text.replace('`', chr(39))}`"
