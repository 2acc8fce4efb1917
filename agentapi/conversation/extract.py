"""Extract the agent's message from the page, for agents that mark user messages.

`plain.py` implements the same interface for unknown programs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Protocol

from agentapi.conversation.document import GAP, Document
from agentapi.conversation.profile import AgentProfile, Reading
from agentapi.model.comparison import letters, squeeze
from agentapi.model.frames import Frame


@dataclass(frozen=True, slots=True)
class Extract:
    """A piece of the conversation: exactly one of the two is set."""

    text: str | None = None
    """The agent's message after the last user message."""
    typed: str | None = None
    """A user message that was not sent through the API (somebody typed at the terminal)."""


class Extractor(Protocol):
    """Extracts the agent's message from the page."""

    @property
    def painting(self) -> bool:
        """Whether the screen is certain to show more."""

    def take(self, frame: Frame, reading: Reading) -> None:
        """Take the next frame. Every frame must be passed, or lines are missed."""

    def startup(self) -> str:
        """Return the start-up screen, as shown before the first user message."""

    def adopt_last(self) -> bool:
        """Treat the last user message of the start-up screen as being answered; return False if
        there is none."""

    def prepare(self) -> None:
        """Prepare for a user message that is about to be typed."""

    def expect(self, text: str) -> None:
        """Expect a user message that is about to be submitted; what follows is its answer."""

    def abandon(self) -> None:
        """Restore the state before `prepare`, as the message was not accepted."""

    def read(self, working: bool, turn_over: bool = False) -> list[Extract]:
        """Return what the page shows now, in order; nothing while that is uncertain. `turn_over`: a
        turn has just ended, and the next one may already be `working`."""

    @property
    def expecting(self) -> bool:
        """Whether the expected message has not appeared yet."""


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
SURE_END = 200
"""Length at which the end of a message identifies it on the screen."""


def joined(lines: Sequence[str]) -> str:
    """Join lines, without blank lines at either end."""
    start, end = 0, len(lines)
    while start < end and not lines[start]:
        start += 1
    while end > start and not lines[end - 1]:
        end -= 1
    return "\n".join(lines[start:end])


def bright_lines(frame: Frame, end: int, count: int = 16) -> dict[str, str]:
    """Map the last `count` lines above `end` to their text without faint characters.

    Blank rows do not count: there may be a screenful of them above the composer."""
    filled = (row for row in range(end - 1, -1, -1) if frame.lines[row])
    return {frame.lines[row]: frame.bright[row] for row in islice(filled, count)}


class MarkedExtractor:
    """For agents that echo user messages with a unique mark.

    A new mark below the last one is a new user message. Messages are matched by their text only
    when the page was torn: Codex 0.158 erases the scrollback and redraws its history in mid-turn.
    """

    painting = False

    def __init__(self, profile: AgentProfile) -> None:
        self._profile = profile
        self._page = Document(
            self._heading, lambda lines: profile.clean(lines, self._bright, working=True)
        )
        self._bright: dict[str, str] = {}
        self._frame = Frame(0, 0, 0, (), (), (0, 0), False)
        """The last frame that showed the conversation."""
        self._anchor: int | None = None
        """The line number where the last user message begins."""
        self._floor = 0
        """Marks above this line are old."""
        self._expected: str | None = None
        self._sent = ""
        """The last expected message, without whitespace."""
        self._above = ""
        """The first line of the previous user message at the time of `expect`."""
        self._begun = False
        """Whether the agent was seen working on the expected message."""
        self._torn = False
        """Whether the page was torn since the last user message."""
        self._resized = False
        """Whether the terminal was resized since then."""
        self._turn_over = True
        """Whether the agent was idle since then."""
        self._answer_begun = False
        """Whether part of its answer was read."""
        self._closed = False
        """Whether its answer was read at the end of the turn."""
        self._seen = Counter[str]()
        """The echoes so far, without whitespace."""
        self._echoed = ""
        """The echo of the last user message, without whitespace."""

    def take(self, frame: Frame, reading: Reading) -> None:
        """Take the next frame. Only one with a composer or a dialog shows the conversation."""
        shown = reading.composer is not None or reading.dialog is not None
        if shown:
            self._page.update(frame, reading.transcript)  # trims with the previous bright lines
            self._bright = bright_lines(frame, reading.transcript)
            self._frame = frame
        else:
            self._page.scroll(frame)
        self._torn = self._torn or self._page.torn
        self._resized = self._resized or self._page.resized
        if shown and self._expected is not None:
            self._adopt_expected()

    def startup(self) -> str:
        """Return the screen without composer and footer."""
        start = self._page.first
        lines = self._page.lines(start)
        marks = [n for n, line in enumerate(lines) if self._profile.starts_echo(line)]
        echoes = (lines[mark:end] for mark, end in pairwise([*marks, len(lines)]))
        self._seen = Counter(squeeze(self._echo_of(echo)) for echo in echoes)
        self._floor = start + marks[-1] + 1 if marks else 0
        self._torn = False
        return self._startup_text()

    def adopt_last(self) -> bool:
        """Go back to the last mark on the screen. The mark of a leftover composer is followed only
        by the faint characters of its placeholder."""
        mark = self._last_mark(self._page.top)
        if mark < 0 or len(self._frame.bright[mark - self._page.top]) <= len("› "):
            return False
        self._floor = mark
        return True

    def prepare(self) -> None:
        """Do nothing: the composer is not part of the page."""

    def abandon(self) -> None:
        """Stop expecting the message: the next mark belongs to another one."""
        self._expected = None

    def expect(self, text: str) -> None:
        """Expect the next mark to be this message's; the present ones are old."""
        self._expected, self._sent, self._begun = text, squeeze(text), False
        self._floor = self._last_mark(self._page.first) + 1
        self._above = self._line(self._floor - 1)
        self._torn = self._resized = False

    @property
    def expecting(self) -> bool:
        """Whether the expected mark has not appeared yet."""
        return self._expected is not None

    def read(self, working: bool, turn_over: bool = False) -> list[Extract]:
        """Return the text below the last mark. A resize does not change a finished message, as less
        of it may be visible."""
        self._begun = self._begun or working
        if self._expected is not None and self._begun and not working:
            self._adopt_screen()
        if self._expected is not None or (self._resized and not working):
            return []
        unknown = turn_over and self._turn_over  # the turn's user message was not read yet
        self._turn_over = self._turn_over or turn_over or not working
        if self._torn and not self._rejoined():
            return self._read_torn(working)
        found: list[Extract] = []
        marks = self._new_marks()
        while marks and (unknown or (working and not turn_over)) and self._echo_ended(marks[0]):
            found += self._adopt_typed(marks.pop(0))
            unknown = False
        if not marks or ((turn_over or not working) and marks[0] > self._page.top):
            found += self._answer(self._below(working, marks), working)
        self._closed = self._closed or turn_over
        return found

    def _heading(self, shown: Sequence[str]) -> list[str]:
        """Return the first row as an echo if it may be one or a pinned prompt, with a gap for the
        line that a pinned prompt covers."""
        line = self._profile.heading(shown[0])
        if self._pinned(shown):
            return [line, GAP]
        return [line] if line and line == shown[0] else []

    def _pinned(self, shown: Sequence[str]) -> bool:
        """Return whether the first row is certainly the pinned last user message: all its words in
        one line, without a mark or without the blank line below an echo."""
        line = self._profile.heading(shown[0])
        like_echo = line == shown[0] and not any(shown[1:2])
        return bool(line) and not like_echo and self._is_whole(self._profile.echo_text([line]))

    def _is_whole(self, shown: str) -> bool:
        """Return whether this is the whole last user message, or its truncated beginning."""
        words = squeeze(shown)
        start = words.removesuffix("…")
        messages = filter(None, (self._echoed, self._sent))
        return any(m == words or (start != words and m.startswith(start)) for m in messages)

    def _rejoined(self) -> bool:
        """Return whether the page shows the last user message again, exactly once."""
        same = [m for m in self._marks(self._page.first) if squeeze(self._echo(m)) == self._echoed]
        if self._seen[self._echoed] != 1 or len(same) != 1:
            return False
        self._adopt(same[0], self._echo(same[0]))
        self._torn = False
        return True

    def _read_torn(self, working: bool) -> list[Extract]:
        """Read a torn page. Only the last mark counts: the history above it may be redrawn."""
        mark = self._last_mark(self._page.first)
        if mark < 0 and self._pinned(self._frame.lines):
            self._adopt_without_mark(self._page.first)
            return [self._below(working, [])]
        if mark < 0:
            return []
        echo = self._echo(mark)
        if self._is_last(echo):
            self._adopt(mark, echo)
        elif squeeze(echo) in self._seen:
            return []  # an older part of the history: the rest is still being drawn
        elif working and self._echo_ended(mark):
            return [*self._adopt_typed(mark), self._below(working, [])]
        elif working:
            return []
        return [self._below(working, [])]

    def _adopt_typed(self, mark: int) -> list[Extract]:
        """Return the next user message, after the last text of the agent before it."""
        echo = self._echo(mark)
        moved = not self._turn_over and squeeze(echo) == self._echoed and not self._anchored
        shown = self._anchor is not None and not self._torn and mark > self._page.top
        before = [Extract(self._text(True, mark))] if shown and not self._closed else []
        self._adopt(mark, echo)
        return [] if moved else [*before, Extract(typed=echo)]

    @property
    def _anchored(self) -> bool:
        """Whether the last user message has not moved."""
        return self._anchor is not None and self._profile.starts_echo(self._line(self._anchor))

    def _line(self, number: int) -> str:
        """Return the line with this number; empty if it does not exist or is no longer kept."""
        known = number >= self._page.first
        return "".join(self._page.lines(number, number + 1)) if known else ""

    def _below(self, working: bool, marks: Sequence[int]) -> Extract:
        """Return the agent's text: everything below the last user message, up to typed words whose
        turn is not known yet."""
        if self._anchor is None:
            return Extract(self._startup_text())
        return Extract(self._text(working or bool(marks), marks[0] if marks else None))

    def _adopt_expected(self) -> None:
        if self._line(self._floor - 1) != self._above:
            self._floor = self._page.first  # another conversation, as after Codex's `/new`
        marks = self._marks(self._page.first if self._torn else self._floor)
        if not marks:
            self._adopt_end()
            return
        # In a redrawn history the last mark counts, else the first that matches.
        candidates = marks[-1:] if self._torn else marks
        matching = [mark for mark in candidates if self._matches_expected(self._echo(mark))]
        if matching:
            self._adopt_as_expected(matching[0])

    def _matches_expected(self, echo: str) -> bool:
        """Return whether an echo may be the expected message. Codex may render its Markdown, and
        the effect of control characters is unpredictable."""
        expected = self._expected or ""
        if squeeze(echo)[:40] == squeeze(expected)[:40]:
            return True
        if self._torn:
            return False
        wanted = letters(expected)[:20]
        return not wanted or bool(_CONTROL.search(expected)) or letters(echo)[:20] == wanted

    def _adopt_as_expected(self, mark: int) -> None:
        self._expected = None
        self._adopt(mark, self._echo(mark))

    def _adopt_end(self) -> None:
        """Adopt a message taller than the alternate screen by its end, as no more may ever show."""
        top, expected = self._page.top, self._expected or ""
        lines = self._page.lines(top)
        length = self._profile.echo_length(lines)
        shown = squeeze("".join(lines[:length])).removeprefix(GAP)
        if len(shown) > SURE_END and length < len(lines) and squeeze(expected).endswith(shown):
            self._adopt_without_mark(top + length)

    def _adopt_screen(self) -> None:
        """Adopt the screen as the answer once the turn is over. Either the answer was taller than
        the screen, too, or the message is displayed in an unexpected way."""
        if self._torn:
            self._adopt_without_mark(self._page.top)
        elif marks := self._marks(self._floor):
            self._adopt_as_expected(marks[-1])

    def _adopt_without_mark(self, start: int) -> None:
        expected, self._expected = self._expected or "", None
        self._adopt(start, expected)
        self._torn = False

    def _is_last(self, echo: str) -> bool:
        """Return whether an echo is the last message. Its end may be hidden, or the beginning of
        the answer still unmarked."""
        shown = squeeze(echo)
        return bool(self._echoed) and (
            shown.startswith(self._echoed) or self._echoed.startswith(shown)
        )

    def _adopt(self, mark: int, echo: str) -> None:
        self._anchor, self._floor = mark, mark + 1
        self._turn_over = self._closed = self._answer_begun = False
        if not (self._torn and self._is_last(echo)):
            self._echoed = squeeze(echo)
            self._seen[self._echoed] += 1
        self._page.discard(mark)

    def _new_marks(self) -> list[int]:
        """Return the user messages not sent through the API. More than two at once are a history
        that was drawn late: only the last of them is new."""
        marks = self._marks(self._floor)
        return marks if len(marks) <= 2 else marks[-1:]

    def _marks(self, start: int) -> list[int]:
        """Return the line numbers, from `start` on, that begin a user message."""
        start = max(start, self._page.first)
        lines = self._page.lines(start)
        return [start + n for n, line in enumerate(lines) if self._profile.starts_echo(line)]

    def _last_mark(self, start: int) -> int:
        start = max(start, self._page.first)
        lines = self._page.lines(start)
        for number in range(len(lines) - 1, -1, -1):
            if self._profile.starts_echo(lines[number]):
                return start + number
        return -1

    def _echo(self, mark: int) -> str:
        return self._echo_of(self._page.lines(mark))

    def _echo_of(self, lines: Sequence[str]) -> str:
        return self._profile.echo_text(lines[: self._profile.echo_length(lines)])

    def _echo_ended(self, mark: int) -> bool:
        """Return whether the end of an echo is known: for a moment the first words of an answer
        follow it without their mark."""
        lines = self._page.lines(mark)
        return self._profile.echo_length(lines) < len(lines)

    def _startup_text(self) -> str:
        lines = self._profile.clean(self._page.lines(self._page.first), self._bright, working=True)
        return joined(self._profile.clean_startup(lines))

    def _answer(self, extract: Extract, working: bool) -> list[Extract]:
        """Return the answer, but nothing while it lacks its mark and looks like part of the echo:
        Codex draws such a frame when the first line wraps."""
        open_echo = self._anchored and not self._echo_ended(self._anchor or 0)
        if working and open_echo and self._answer_begun:
            return []
        self._answer_begun = bool(extract.text)
        return [extract]

    def _text(self, working: bool, end: int | None = None) -> str:
        """Return the agent's text below the last user message, up to line number `end`."""
        lines = self._page.lines(self._anchor or 0, end)
        if lines and self._profile.starts_echo(lines[0]):
            lines = lines[self._profile.echo_length(lines) :]
        bright = self._bright if end is None else bright_lines(self._frame, end - self._page.top)
        return joined(self._profile.clean(lines, bright, working))
