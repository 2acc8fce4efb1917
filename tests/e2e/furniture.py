"""What of Codex's screen must never stand in an agent's message."""

from __future__ import annotations

import re

_FURNITURE = re.compile(
    r"^(?:"
    r"[›❯] (?!\d\. ).*"  # the composer, or a user's message; an open dialog's choice is none
    r"|[•◦] \S.*\(\d+[hms].* • esc to interrupt\).*"  # the status line
    r"|.*Worked for \d.*"  # the mark of a turn's end
    r"|  \d?\d:\d\d(?: [AP]M)?"  # the clock beside it
    r"|  gpt-5\.4 .* · .*"  # the footer
    r"|.*\? for shortcuts.*"
    r"|.*\d+% context left.*"
    r"|.*\bTip: .*"
    r"|.*OpenAI Codex \(v.*"  # the banner
    r"|[╭╰│].*"
    r"|[⠀-⣿ ]*[⠁-⣿][⠀-⣿ ]*"  # the logo
    r")$"
)


def furniture(text: str) -> list[str]:
    """The lines of an agent's message that are not its words."""
    return [line for line in text.split("\n") if _FURNITURE.match(line)]
