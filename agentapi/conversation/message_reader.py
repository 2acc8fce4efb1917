"""Read the agent's message of the current turn, and decide when it is final.

A message grows while its turn runs. It is final once the end of the turn was seen, whatever the
screen shows later (another layout, an older page, the output of a TUI command). If the end was not
seen, late output may still extend it for a while.
"""

from __future__ import annotations

from dataclasses import dataclass

from agentapi.conversation.screen_reader import ScreenReader
from agentapi.conversation.status import PhaseFusion, Source
from agentapi.model.comparison import squeeze
from agentapi.model.conversation import Phase

_UNSURE = (Source.TITLE, Source.SCREEN, Source.QUIET)
"""Sources that may report idle in the middle of a turn: a title flickers."""


@dataclass(frozen=True, slots=True)
class TextChange:
    """A change of the conversation: a message typed at the terminal, or the agent's text."""

    text: str
    by_user: bool = False


class MessageReader:
    """Reads the agent's last message from one screen."""

    def __init__(self, screen: ScreenReader, fusion: PhaseFusion) -> None:
        self._screen, self._fusion = screen, fusion
        self._text: str | None = None
        self._final = False
        """Whether the message is final."""
        self._late = False
        """Whether its end was not seen, so that late output may still extend it."""
        self._closed = False
        """Whether its end is certain: only another user message starts a new one. The output of TUI
        commands (`/compact`, `!date`, `/model`) is not part of it."""

    @property
    def text(self) -> str:
        """The message so far; empty while the turn has no text."""
        return self._text or ""

    def read(self, open_turn: bool = False, ended: bool = False) -> list[TextChange]:
        """Return the changes since the last call. `open_turn`: the turn may be over, but its end is
        still being drawn; `ended`: the turn has ended."""
        extractor = self._screen.extractor
        if not self._fusion.started:
            return self._change(extractor.startup())
        idle = self._fusion.state.phase is Phase.IDLE
        if not idle or ended:  # also a turn that was not read in time
            self._final = self._late = False
        if self._final:
            return []
        working = open_turn or not idle  # perhaps on the next turn
        changes: list[TextChange] = []
        for extract in extractor.read(working, turn_over=ended):
            if extract.typed is not None:
                self._text, self._closed = None, False
                changes.append(TextChange(extract.typed, by_user=True))
            elif extract.text is not None and not self._screen.submitted and not self._closed:
                changes += self._extend(extract.text)
        return changes

    def _extend(self, text: str) -> list[TextChange]:
        """Take the current text. Late output may only extend or rewrap the message, never with
        lines of the next turn. There is no message before its first words."""
        longer = squeeze(text).startswith(squeeze(self._text or ""))
        if self._late and (self._screen.reading.working or not longer):
            return []
        return self._change(text) if text or self._text is not None else []

    def _change(self, text: str) -> list[TextChange]:
        if text == self._text:
            return []
        self._text = text
        return [TextChange(text)]

    def begin(self) -> None:
        """Start the message of a new turn."""
        self._late = self._closed = False
        self._text = None

    def finish(self) -> list[TextChange]:
        """Finish the message of a turn that is over and displayed; it may be empty."""
        marked = self._screen.marks_ends
        self._final = marked and self._screen.complete
        self._closed = self._closed or self._final
        self._late = marked and not self._final
        return self._change("") if self._text is None else []

    def freeze(self) -> None:
        """Accept no more late output."""
        self._final = self._final or self._late
        self._closed = self._closed or (self._late and self._end_announced)

    @property
    def _end_announced(self) -> bool:
        """Whether the end of the turn was announced unambiguously."""
        latest = self._fusion.deciding
        return latest is not None and latest.phase is Phase.IDLE and latest.source not in _UNSURE
