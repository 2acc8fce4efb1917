"""What the screen shows of a turn beyond what an exact source told of it.

The screen wraps, indents and strips Markdown, so that only letters and digits are compared. What
comes of it is shown as partial and lives until the exact item is there: it may be a little too
much or too little, and is never kept.
"""

from __future__ import annotations

from agentapi.model.comparison import letters
from agentapi.model.items import AgentMessage, Item, Plan, Reasoning, ToolCall, UserMessage

KNOWN = 64 * 1024
"""Letters of a turn that are remembered, the last ones."""
_SHORT = 3
"""A line of fewer letters tells nothing."""


class Tail:
    """Compares one turn's text on the screen with its exact items."""

    def __init__(self) -> None:
        self._known = ""
        self._done = 0  # lines of the screen's text that are covered
        self._learnt = False

    def begin(self) -> None:
        """A turn begins: nothing is known of it."""
        self._known = ""
        self._done = 0

    def learn(self, item: Item) -> None:
        """An exact item: what the screen shows of it is not news any more."""
        match item:
            case AgentMessage(text) | Reasoning(text) | UserMessage(text):
                self._learn(text)
            case ToolCall():
                self._learn(item.command + item.output)
            case Plan():
                self._learn(item.text + "".join(step.get("step", "") for step in item.steps))

    def _learn(self, text: str) -> None:
        self._known = (self._known + letters(text[-KNOWN:]))[-KNOWN:]
        self._learnt = True

    def rest(self, text: str) -> str:
        """The end of the screen's text that no exact item covers; empty when all is covered."""
        lines = text.split("\n")
        self._done = min(self._done, len(lines))
        if self._learnt:
            self._learnt = False
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
