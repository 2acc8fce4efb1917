"""From the page to what a program said of which nothing is known: what was not there before."""

from __future__ import annotations

from collections.abc import Sequence

from agentapi.agents.profile import AgentProfile, Reading, squeeze
from agentapi.conversation.document import Document
from agentapi.conversation.extract import Extract, joined
from agentapi.frames import Frame

MAX_PROMPT = 200
"""Characters that a program may print before the words that it echoes."""


class PlainExtractor:
    """For programs of which nothing is known: what was not there before, less the echo."""

    def __init__(self, profile: AgentProfile) -> None:
        self._profile = profile
        self._page = Document()
        self._before: list[str] = []
        self._start = 0
        self._typed: str | None = None
        self._typing = False
        """Whether a message is being typed."""
        self._resized = False
        self._earlier: tuple[int, list[str], str | None] = (0, [], None)

    def take(self, frame: Frame, reading: Reading) -> None:
        """The whole screen is the conversation."""
        self._page.update(frame, reading.transcript)
        self._resized = self._resized or self._page.resized
        if self._page.torn:
            self._start, self._before = self._page.first, []

    def startup(self) -> str:
        """The whole screen."""
        return joined(self._profile.clean_startup(self._page.lines(self._page.first)))

    def adopt_last(self) -> bool:
        """Nothing marks a user message."""
        return False

    def prepare(self) -> None:
        """Remember what is there before anything is typed; until `expect`, nothing is read."""
        self._page.forget(self._page.top)
        self._earlier = (self._start, self._before, self._typed)
        self._typing = True
        self._start, self._typed, self._resized = self._page.first, None, False
        self._before = self._page.lines(self._start)

    def expect(self, text: str) -> None:
        """From now on, what was not there is the answer."""
        self._typed, self._typing = text, False

    def abandon(self) -> None:
        """Go back to the message before."""
        self._start, self._before, self._typed = self._earlier
        self._typing = False

    def read(self, working: bool, turn_over: bool = False) -> list[Extract]:
        """The lines between those at the top and at the bottom that were there before."""
        if self._typed is None and not self._typing:
            return [Extract(self.startup())]
        if self._typed is None or (self._resized and not working):
            return []
        fresh = added_lines(self._before, self._page.lines(self._start))
        return [Extract(joined(self._profile.clean(without_echo(fresh, self._typed), {})))]

    @property
    def expecting(self) -> bool:
        """Never: there is nothing to wait for."""
        return False


def added_lines(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """What `now` has between the lines that it shares with `before` at its top and its bottom."""
    shortest = min(len(before), len(now))
    head = 0
    while head < shortest and before[head] == now[head]:
        head += 1
    tail = 0
    while tail < shortest - head and before[-1 - tail] == now[-1 - tail]:
        tail += 1
    return list(now[head : len(now) - tail])


def without_echo(lines: Sequence[str], typed: str) -> list[str]:
    """Drop what the program echoed of the user's words at the start of `lines`.

    The first line may have a prompt before them, and a long line wraps."""
    wanted = squeeze(typed)
    seen = ""
    for number, line in enumerate(lines):
        seen += squeeze(line)
        if wanted and seen.endswith(wanted):
            return list(lines[number + 1 :])
        if len(seen) > len(wanted) + MAX_PROMPT:
            break
    return list(lines)
