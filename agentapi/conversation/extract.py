"""From the page to what the agent said, for agents that mark the user's words.

For programs of which nothing is known, `plain.py` answers the same calls, so that the tracker need
not know which one it has.
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
    """A piece of the conversation as a frame shows it: either of the two."""

    text: str | None = None
    """The agent's message after the last user message."""
    typed: str | None = None
    """A user message that appeared without our sending it (somebody typed at the terminal)."""


class Extractor(Protocol):
    """Reads the agent's words off the page."""

    @property
    def painting(self) -> bool:
        """Whether the screen will surely show more."""

    def take(self, frame: Frame, reading: Reading) -> None:
        """The next frame: every one, so that no line is missed."""

    def startup(self) -> str:
        """The start-up screen, as it stands before the first user message."""

    def adopt_last(self) -> bool:
        """Take the last user message of the start-up screen for one whose answer is under way;
        False when there is none."""

    def prepare(self) -> None:
        """A user message is about to be typed."""

    def expect(self, text: str) -> None:
        """A user message is about to be submitted: what comes next answers it."""

    def abandon(self) -> None:
        """The message was not taken: go on as before `prepare`."""

    def read(self, working: bool, turn_over: bool = False) -> list[Extract]:
        """What stands on the page now, in order; nothing while that cannot be known. `turn_over`:
        a turn has just ended, and the next one may be `working` already."""

    @property
    def expecting(self) -> bool:
        """Whether the message last expected has not shown yet."""


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
SURE_END = 200
"""Characters of a message's end that nothing else on the screen ends with."""


def joined(lines: Sequence[str]) -> str:
    """Lines as text, without blank lines at either end."""
    start, end = 0, len(lines)
    while start < end and not lines[start]:
        start += 1
    while end > start and not lines[end - 1]:
        end -= 1
    return "\n".join(lines[start:end])


def bright_lines(frame: Frame, end: int, count: int = 16) -> dict[str, str]:
    """The last `count` lines above `end`, by their text, without their faint characters.

    Blank rows do not count: between a turn's end and what stands above the composer there may be
    a whole screen of them."""
    filled = (row for row in range(end - 1, -1, -1) if frame.lines[row])
    return {frame.lines[row]: frame.bright[row] for row in islice(filled, count)}


class MarkedExtractor:
    """For agents that echo a user's message with a mark that nothing else bears.

    A new mark below the last one is a new user message. Only when the page was torn (the agent
    erased the scrollback and painted its history again: Codex 0.158 does so in mid-turn) are the
    messages known by their words.
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
        """The number of the line that begins the last user message."""
        self._floor = 0
        """Marks above this line are old."""
        self._expected: str | None = None
        self._sent = ""
        """The message last expected, without blanks."""
        self._above = ""
        """The first line of the user message that stood last when it was expected."""
        self._begun = False
        """Whether the agent was seen to work on the message that is expected."""
        self._torn = False
        """Whether the page was torn since the last user message."""
        self._resized = False
        """Whether the terminal got another size since then."""
        self._turn_over = True
        """Whether the agent was idle since then."""
        self._begun_to_say = False
        """Whether something was read of the answer to it."""
        self._closed = False
        """Whether what the agent said to it was read at the end of the turn."""
        self._seen = Counter[str]()
        """The echoes so far, without blanks."""
        self._echoed = ""
        """The echo of the last user message, without blanks."""

    def take(self, frame: Frame, reading: Reading) -> None:
        """Only a screen with a composer or a dialog shows the conversation."""
        shown = reading.composer is not None or reading.dialog is not None
        if shown:
            self._page.update(frame, reading.transcript)  # trims with what was bright before
            self._bright = bright_lines(frame, reading.transcript)
            self._frame = frame
        else:
            self._page.scroll(frame)
        self._torn = self._torn or self._page.torn
        self._resized = self._resized or self._page.resized
        if shown and self._expected is not None:
            self._adopt_expected()

    def startup(self) -> str:
        """The screen without composer and footer."""
        start = self._page.first
        lines = self._page.lines(start)
        marks = [n for n, line in enumerate(lines) if self._profile.starts_echo(line)]
        echoes = (lines[mark:end] for mark, end in pairwise([*marks, len(lines)]))
        self._seen = Counter(squeeze(self._echo_of(echo)) for echo in echoes)
        self._floor = start + marks[-1] + 1 if marks else 0
        self._torn = False
        return self._startup_text()

    def adopt_last(self) -> bool:
        """Go back to the last mark on the screen. Behind the mark of a composer that was left
        standing there are only the faint characters of its placeholder."""
        mark = self._last_mark(self._page.top)
        if mark < 0 or len(self._frame.bright[mark - self._page.top]) <= len("› "):
            return False
        self._floor = mark
        return True

    def prepare(self) -> None:
        """The composer is not part of the page: nothing to do."""

    def abandon(self) -> None:
        """The next mark is somebody else's."""
        self._expected = None

    def expect(self, text: str) -> None:
        """Adopt the next mark as this message's: those that show now are old."""
        self._expected, self._sent, self._begun = text, squeeze(text), False
        self._floor = self._last_mark(self._page.first) + 1
        self._above = self._line(self._floor - 1)
        self._torn = self._resized = False

    @property
    def expecting(self) -> bool:
        """Whether the next mark has not shown yet."""
        return self._expected is not None

    def read(self, working: bool, turn_over: bool = False) -> list[Extract]:
        """The text below the last mark. A finished message stays as it is when the terminal gets
        another size, which may show less of it."""
        self._begun = self._begun or working
        if self._expected is not None and self._begun and not working:
            self._adopt_screen()
        if self._expected is not None or (self._resized and not working):
            return []
        unknown = turn_over and self._turn_over  # the turn's user message was not read yet
        self._turn_over = self._turn_over or turn_over or not working
        if self._torn and not self._mended():
            return self._read_torn(working)
        found: list[Extract] = []
        marks = self._new_marks()
        while marks and (unknown or (working and not turn_over)) and self._ends(marks[0]):
            found += self._adopt_typed(marks.pop(0))
            unknown = False
        if not marks or ((turn_over or not working) and marks[0] > self._page.top):
            found += self._told(self._below(working, marks), working)
        self._closed = self._closed or turn_over
        return found

    def _heading(self, shown: Sequence[str]) -> list[str]:
        """The first row as an echo, where it may be one or the pinned prompt; what that covers is
        not known."""
        line = self._profile.heading(shown[0])
        if self._pinned(shown):
            return [line, GAP]
        return [line] if line and line == shown[0] else []

    def _pinned(self, shown: Sequence[str]) -> bool:
        """Whether the first row surely has the last user message pinned to it: all of its words in
        one line, without a mark or without the blank line that an echo has below it."""
        line = self._profile.heading(shown[0])
        like_echo = line == shown[0] and not any(shown[1:2])
        return bool(line) and not like_echo and self._is_whole(self._profile.echo_text([line]))

    def _is_whole(self, shown: str) -> bool:
        """Whether these are all words of the last user message, or its first ones, cut."""
        words = squeeze(shown)
        start = words.removesuffix("…")
        messages = filter(None, (self._echoed, self._sent))
        return any(m == words or (start != words and m.startswith(start)) for m in messages)

    def _mended(self) -> bool:
        """Whether the page shows the last user message again, and no other one is the same."""
        same = [m for m in self._marks(self._page.first) if squeeze(self._echo(m)) == self._echoed]
        if self._seen[self._echoed] != 1 or len(same) != 1:
            return False
        self._adopt(same[0], self._echo(same[0]))
        self._torn = False
        return True

    def _read_torn(self, working: bool) -> list[Extract]:
        """Only the last mark counts: above it the history may be painted again."""
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
            return []  # an older part of the history: the rest is still being painted
        elif working and self._ends(mark):
            return [*self._adopt_typed(mark), self._below(working, [])]
        elif working:
            return []
        return [self._below(working, [])]

    def _adopt_typed(self, mark: int) -> list[Extract]:
        """The next user message, behind what the agent said last before it."""
        echo = self._echo(mark)
        moved = not self._turn_over and squeeze(echo) == self._echoed and not self._anchored
        shown = self._anchor is not None and not self._torn and mark > self._page.top
        before = [Extract(self._text(True, mark))] if shown and not self._closed else []
        self._adopt(mark, echo)
        return [] if moved else [*before, Extract(typed=echo)]

    @property
    def _anchored(self) -> bool:
        """Whether the last user message stands where it stood."""
        return self._anchor is not None and self._profile.starts_echo(self._line(self._anchor))

    def _line(self, number: int) -> str:
        """The line of this number; empty where it is none, or not known any more."""
        known = number >= self._page.first
        return "".join(self._page.lines(number, number + 1)) if known else ""

    def _below(self, working: bool, marks: Sequence[int]) -> Extract:
        """What the agent says: all below the last user message, up to words that were typed but
        whose turn is not known yet."""
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
        # Of a history that is painted again the last one counts, else the first that fits.
        candidates = marks[-1:] if self._torn else marks
        fitting = [mark for mark in candidates if self._fits(self._echo(mark))]
        if fitting:
            self._adopt_as_expected(fitting[0])

    def _fits(self, echo: str) -> bool:
        """Whether an echo may be the expected message's: Codex may show its Markdown as such, and
        what control characters make of it nobody knows."""
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
        """Of a message that is higher than the alternate screen only the end may ever show."""
        top, expected = self._page.top, self._expected or ""
        lines = self._page.lines(top)
        length = self._profile.echo_length(lines)
        shown = squeeze("".join(lines[:length])).removeprefix(GAP)
        if len(shown) > SURE_END and length < len(lines) and squeeze(expected).endswith(shown):
            self._adopt_without_mark(top + length)

    def _adopt_screen(self) -> None:
        """Its answer is over and was higher than the screen, too: what shows is the answer's; or it
        is shown as nobody would think."""
        if self._torn:
            self._adopt_without_mark(self._page.top)
        elif marks := self._marks(self._floor):
            self._adopt_as_expected(marks[-1])

    def _adopt_without_mark(self, start: int) -> None:
        expected, self._expected = self._expected or "", None
        self._adopt(start, expected)
        self._torn = False

    def _is_last(self, echo: str) -> bool:
        """Whether an echo is the last message's; its end may be hidden, or the answer's beginning
        still unmarked."""
        shown = squeeze(echo)
        return bool(self._echoed) and (
            shown.startswith(self._echoed) or self._echoed.startswith(shown)
        )

    def _adopt(self, mark: int, echo: str) -> None:
        self._anchor, self._floor = mark, mark + 1
        self._turn_over = self._closed = self._begun_to_say = False
        if not (self._torn and self._is_last(echo)):
            self._echoed = squeeze(echo)
            self._seen[self._echoed] += 1
        self._page.forget(mark)

    def _new_marks(self) -> list[int]:
        """The user messages that were not sent by us. More than two at once are a history that
        was painted late: only the last of them is new."""
        marks = self._marks(self._floor)
        return marks if len(marks) <= 2 else marks[-1:]

    def _marks(self, start: int) -> list[int]:
        """The lines from number `start` on that begin a user message."""
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

    def _ends(self, mark: int) -> bool:
        """Whether the end of an echo is known: the first words of an answer stand below it
        without a mark of their own for a moment."""
        lines = self._page.lines(mark)
        return self._profile.echo_length(lines) < len(lines)

    def _startup_text(self) -> str:
        lines = self._profile.clean(self._page.lines(self._page.first), self._bright, working=True)
        return joined(self._profile.clean_startup(lines))

    def _told(self, said: Extract, working: bool) -> list[Extract]:
        """Nothing while an answer that was read already lacks its mark, so that it seems to be the
        echo's: Codex paints such a frame when the first line wraps."""
        open_echo = self._anchored and not self._ends(self._anchor or 0)
        if working and open_echo and self._begun_to_say:
            return []
        self._begun_to_say = bool(said.text)
        return [said]

    def _text(self, working: bool, end: int | None = None) -> str:
        """What the agent says below the last user message, up to line number `end`."""
        lines = self._page.lines(self._anchor or 0, end)
        if lines and self._profile.starts_echo(lines[0]):
            lines = lines[self._profile.echo_length(lines) :]
        bright = self._bright if end is None else bright_lines(self._frame, end - self._page.top)
        return joined(self._profile.clean(lines, bright, working))
