"""What the agent said in this turn, and when its message may still change.

A message grows while its turn runs. When the end of the turn was seen, it stands, whatever the
screen shows from then on (another layout, an older page, the answer of a TUI command); when the end
was not seen, what is painted late may still lengthen it for a while.
"""

from __future__ import annotations

from dataclasses import dataclass

from agentapi.conversation.screen_reader import ScreenReader
from agentapi.conversation.status import PhaseFusion, Source
from agentapi.model.comparison import squeeze
from agentapi.model.conversation import Phase

_UNSURE = (Source.TITLE, Source.SCREEN, Source.QUIET)
"""Sources that may say in the middle of a turn that the agent is idle: a title blinks."""


@dataclass(frozen=True, slots=True)
class Said:
    """A change of the conversation: a user message that appeared by itself, or the agent's text."""

    text: str
    by_user: bool = False


class Spoken:
    """The agent's last message, read off one screen."""

    def __init__(self, screen: ScreenReader, fusion: PhaseFusion) -> None:
        self._screen, self._fusion = screen, fusion
        self._said: str | None = None
        self._final = False
        """Whether the message is finished."""
        self._late = False
        """Whether its end was not seen: what is painted late may still lengthen it."""
        self._closed = False
        """Whether its end is sure: only another user message opens a new one. What a TUI command
        works on (`/compact`, `!date`) or asks (`/model`) is no part of it."""

    @property
    def text(self) -> str:
        """The message, as far as it was read; empty as long as the turn has no words."""
        return self._said or ""

    def read(self, open_turn: bool = False, ended: bool = False) -> list[Said]:
        """What the frames so far add to the conversation. `open_turn`: the turn may be over, but
        its end is still being painted; `ended`: now it is."""
        extractor = self._screen.extractor
        if not self._fusion.started:
            return self._change(extractor.startup())
        idle = self._fusion.state.phase is Phase.IDLE
        if not idle or ended:  # also a turn that nobody read in time
            self._final = self._late = False
        if self._final:
            return []
        working = open_turn or not idle  # maybe on the next turn
        said: list[Said] = []
        for extract in extractor.read(working, turn_over=ended):
            if extract.typed is not None:
                self._said, self._closed = None, False
                said.append(Said(extract.typed, by_user=True))
            elif extract.text is not None and not self._screen.submitted and not self._closed:
                said += self._grown(extract.text)
        return said

    def _grown(self, text: str) -> list[Said]:
        """What the agent says now. What comes late may only lengthen it or lay it out anew, by no
        line of the next turn; and before its first words there is no message."""
        longer = squeeze(text).startswith(squeeze(self._said or ""))
        if self._late and (self._screen.reading.working or not longer):
            return []
        return self._change(text) if text or self._said is not None else []

    def _change(self, text: str) -> list[Said]:
        if text == self._said:
            return []
        self._said = text
        return [Said(text)]

    def begin(self) -> None:
        """The submitted message's turn began."""
        self._late = self._closed = False
        self._said = None

    def finish(self) -> list[Said]:
        """The turn is over and painted: its message stands. One without words is empty."""
        marked = self._screen.marks_ends
        self._final = marked and self._screen.complete
        self._closed = self._closed or self._final
        self._late = marked and not self._final
        return self._change("") if self._said is None else []

    def stand(self) -> None:
        """Nothing comes late any more."""
        self._final = self._final or self._late
        self._closed = self._closed or (self._late and self._announced_over)

    @property
    def _announced_over(self) -> bool:
        """Whether the agent announced the end of the turn by what means nothing else."""
        said = self._fusion.deciding
        return said is not None and said.phase is Phase.IDLE and said.source not in _UNSURE
