"""The part of a turn's screen text that no recorded item covers yet.

The screen wraps, indents and strips Markdown, so only letters and digits are compared. The result
is shown as a partial item until the recorded one arrives: it may be slightly too long or too short,
and is never kept.
"""

from __future__ import annotations

from agentapi.model.comparison import letters
from agentapi.model.items import AgentMessage, Item, Plan, Reasoning, ToolCall, UserMessage

KNOWN = 64 * 1024
"""How many of a turn's last letters are kept for the comparison."""
_SHORT = 3
"""A line with fewer letters is too short to be found again."""


class ScreenTail:
    """Compares one turn's text on the screen with its recorded items."""

    def __init__(self) -> None:
        self._known = ""
        self._done = 0  # lines of the screen's text that are covered
        self._added = False

    def begin(self) -> None:
        """Start a new turn."""
        self._known = ""
        self._done = 0

    def add(self, item: Item) -> None:
        """Add a recorded item; its text on the screen counts as covered."""
        match item:
            case AgentMessage(text) | Reasoning(text) | UserMessage(text):
                self._add_text(text)
            case ToolCall():
                self._add_text(item.command + item.output)
            case Plan():
                self._add_text(item.text + "".join(step.get("step", "") for step in item.steps))

    def _add_text(self, text: str) -> None:
        self._known = (self._known + letters(text[-KNOWN:]))[-KNOWN:]
        self._added = True

    def uncovered(self, text: str) -> str:
        """Return the end of the screen's text that no recorded item covers; empty if there is
        none."""
        lines = text.split("\n")
        self._done = min(self._done, len(lines))
        if self._added:
            self._added = False
            self._done = self._last_covered(lines)
        while self._done < len(lines) and self._covers(lines[self._done]):
            self._done += 1
        return "\n".join(lines[self._done :]).strip()

    def _last_covered(self, lines: list[str]) -> int:
        for number in range(len(lines) - 1, self._done - 1, -1):
            found = letters(lines[number])
            if len(found) >= _SHORT and found in self._known:
                return number + 1
        return self._done

    def _covers(self, line: str) -> bool:
        found = letters(line)
        return not found or (bool(self._known) and found in self._known)
