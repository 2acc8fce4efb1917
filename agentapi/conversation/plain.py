"""Extract the message of an unknown program: the lines that were not there before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agentapi.conversation.document import Document
from agentapi.conversation.extract import Extract, joined
from agentapi.conversation.profile import AgentProfile, Reading
from agentapi.conversation.window import Window, without_foot
from agentapi.model.comparison import squeeze
from agentapi.model.frames import Frame

_PREFIX = re.compile(r"[^\w\s]{1,12}")
"""What a program puts before an echo."""
_SUFFIX = re.compile(r"\d?\d:\d\d(?:[AaPp][Mm])?$")
"""What may follow an echo: the time."""
_PASTED = re.compile(r"\[Past\w*\b.*\]")
"""Placeholder that a program displays for a long paste."""
SIDES = "│┃║|▌▐"
"""Characters at the sides of a box, and of a scroll bar."""
_SCROLL_BAR = "┃█▐"
_EDGES = f"{SIDES}▀▄╹╻▔▁ "
"""Characters that draw the box of an echo."""
_NO_TEXT = re.compile(r"[\W_]*")


class PlainExtractor:
    """For unknown programs: the new lines, without the echo."""

    def __init__(self, profile: AgentProfile) -> None:
        self._profile = profile
        self._page = Document()
        self._window = Window()
        self._before: list[str] = []
        self._start = 0
        self._typed: str | None = None
        self._alternate = False
        self._prompt = ""
        """The prompt in the last frame without typed text, without whitespace; empty if the
        cursor is in a blank row."""
        self._blank = False
        """Whether the window was cleared and is being redrawn."""
        self._answers = False
        """Whether anything new appeared since the last message."""
        self._torn = False
        """Whether the page was torn since the last message."""
        self._answered: list[str] = []
        """The last question, as displayed."""
        self._typing = False
        """Whether a message is being typed."""
        self._resized = False
        self._echo_prompt = ""
        """The prompt before the last typed message."""
        self._earlier: tuple[int, list[str], str | None, str] = (0, [], None, "")

    def take(self, frame: Frame, reading: Reading) -> None:
        """Take the next frame: the conversation is above the prompt or question."""
        self._update(frame, reading)
        self._alternate = frame.alternate
        self._resized = self._resized or self._page.resized
        left = squeeze(frame.lines[frame.cursor[1]][: frame.cursor[0]])
        if not left or (reading.composer is not None and not reading.composer.text):
            self._prompt = left
        if reading.dialog is not None:
            self._answered = _trimmed(reading.dialog_text.split("\n"))
        if self._page.torn:
            self._torn = True
            self._start = self._page.first

    def _update(self, frame: Frame, reading: Reading) -> None:
        """Update the page; on the alternate screen, from the scrolling rows."""
        self._blank = False
        if not frame.alternate:
            self._page.update(frame, reading.transcript)
            return
        if self._page.is_discontinuous(frame):
            self._window.reset()
        rows = self._window.scrolled_rows(frame.lines[: reading.transcript], bool(reading.working))
        self._blank = rows is None
        if rows is None:
            return
        self._page.correct(self._window.before)
        self._page.update(replace(frame, lines=tuple(rows)), len(rows))

    def startup(self) -> str:
        """Return what was displayed before the first message, below an answered question. On the
        alternate screen that is the current content, or a startup animation would repeat."""
        start = self._page.top if self._alternate else self._page.first
        lines = lines_below(self._content(start), self._answered)
        return joined(_trimmed(self._profile.clean_startup(lines)))

    def adopt_last(self) -> bool:
        """Return False: nothing marks a user message."""
        return False

    def prepare(self) -> None:
        """Remember the page before anything is typed; nothing is read until `expect`."""
        self._page.discard(self._page.top)
        self._earlier = (self._start, self._before, self._typed, self._echo_prompt)
        self._typing, self._echo_prompt = True, self._prompt
        self._start, self._typed, self._resized = self._page.first, None, False
        self._before = self._window.rows if self._alternate else self._page.lines(self._start)

    def expect(self, text: str) -> None:
        """Treat everything new from now on as the answer."""
        self._typed, self._typing, self._torn, self._answers = text, False, False, False

    def abandon(self) -> None:
        """Go back to the previous message."""
        self._start, self._before, self._typed, self._echo_prompt = self._earlier
        self._typing = False

    def read(self, working: bool, turn_over: bool = False) -> list[Extract]:
        """Return the new lines, without the echo."""
        if self._typed is None and not self._typing:
            return [Extract(self.startup())]
        if self._typed is None or (self._resized and not working):
            return []
        answer = without_echo(self._fresh(), self._typed, self._echo_prompt, again=self._torn)
        return [Extract(joined(_trimmed(self._profile.clean(answer, {}))))]

    @property
    def painting(self) -> bool:
        """Whether a full-screen program is redrawing, or has shown nothing new since the last
        message."""
        if not self._alternate or self._typed is None:
            return self._blank
        self._answers = self._answers or any(self._fresh())
        return self._blank or not self._answers

    def _fresh(self) -> list[str]:
        """Return the lines added since the last message."""
        before = self._window.without_pinned(self._before) if self._alternate else self._before
        return added_lines(before, self._content(self._start))

    def _content(self, start: int) -> list[str]:
        """Return the page from a line on, without the footer of a tall alternate screen."""
        lines = self._page.lines(start)
        return without_foot(lines) if self._alternate else lines

    @property
    def expecting(self) -> bool:
        """Always False: no message is awaited."""
        return False


def _trimmed(lines: Sequence[str]) -> list[str]:
    """Strip trailing whitespace; some programs pad with a no-break space (copilot)."""
    return [line.rstrip() for line in lines]


def lines_below(lines: Sequence[str], block: Sequence[str]) -> list[str]:
    """Return the lines below the last occurrence of `block`, or all of them."""
    wanted = [line for line in block if line]
    filled = [(row, line) for row, line in enumerate(_trimmed(lines)) if line]
    for end in range(len(filled), len(wanted) - 1, -1):
        if wanted and [line for _, line in filled[end - len(wanted) : end]] == wanted:
            return list(lines[filled[end - 1][0] + 1 :])
    return list(lines)


def without_scroll_bar(frame: Frame) -> Frame:
    """Remove a scroll bar in the last column, beside rows that are not part of a box."""
    last = frame.columns - 1
    if not any(line[last:] and line[last:] in _SCROLL_BAR for line in frame.lines):
        return frame
    lines = tuple(
        line[:last].rstrip() if _has_scroll_bar(line, last) else line for line in frame.lines
    )
    return replace(frame, lines=lines)


def _has_scroll_bar(line: str, last: int) -> bool:
    bar = line[last:]
    if not bar or bar not in _SCROLL_BAR:
        return False
    rest = line[:last].strip()
    return not rest or rest[0] != bar


def added_lines(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """Return the lines of `now` between the common prefix and suffix of the two.

    If the top changed (a program has redrawn its page), everything after the end of `before` is
    new."""
    shortest = min(len(before), len(now))
    head = 0
    while head < shortest and before[head] == now[head]:
        head += 1
    tail = 0
    while tail < shortest - head and before[-1 - tail] == now[-1 - tail]:
        tail += 1
    old = list(before[: len(before) - tail])
    while old and not old[-1]:
        old.pop()
    fresh = now[: len(now) - tail]
    return list(fresh[head if head >= len(old) else max(head, _old_end(old, fresh)) :])


def _old_end(old: Sequence[str], now: Sequence[str]) -> int:
    """Return the end of `old` in `now`, at the place with the longest match above it. 0 if fewer
    than two lines with text match, unless these are all lines there."""
    best, place = 0, 0
    for end in range(1, len(now) + 1):
        if now[end - 1] != old[-1]:
            continue
        length, words = 0, 0
        while length < min(end, len(old)) and now[end - 1 - length] == old[-1 - length]:
            words += bool(now[end - 1 - length])
            length += 1
        if words > best and (words > 1 or length in (end, len(old))):
            best, place = words, end
    return place


def without_echo(
    lines: Sequence[str], typed: str, prompt: str = "", again: bool = False
) -> list[str]:
    """Drop the echo of the user's message and everything above it.

    An echo follows `prompt`, or another prefix if it comes first; it has no prefix only if the
    program has no prompt. An answer that repeats the message is not an echo. `again`: the program
    has redrawn older messages, so the last echo counts."""
    rows = range(len(lines))
    first = next((row for row in rows if not _NO_TEXT.fullmatch(lines[row])), 0)
    ends = [_echo_end(lines, row, squeeze(typed), prompt, row <= first) for row in rows]
    found = [end for end in ends if end is not None]
    if not found:
        return list(lines)
    end = found[-1] if again else found[0]
    while end < len(lines) and lines[end] and not lines[end].strip(_EDGES):
        end += 1
    return list(lines[end:])


def _echo_end(
    lines: Sequence[str], start: int, wanted: str, prompt: str, anything: bool
) -> int | None:
    """Return where the echo that begins in row `start` ends; None if there is none. `anything`: any
    prefix may precede it."""
    line = squeeze(lines[start])
    before = _PREFIX.match(line)
    if prompt and line.startswith(prompt):
        seen = line.removeprefix(prompt)
    elif before and anything:
        seen = line[before.end() :]
    elif anything and not prompt:
        seen = line
    else:
        return None
    seen = _SUFFIX.sub("", seen.strip(SIDES)) or seen
    if not seen:
        return None
    if _PASTED.fullmatch(seen):
        return start + 1
    for row in range(start + 1, len(lines) + 1):
        if seen == wanted:
            return row
        if row == len(lines) or not wanted.startswith(seen):
            return None
        seen = _extended(seen, squeeze(lines[row]), wanted)
    return None


def _extended(seen: str, line: str, wanted: str) -> str:
    """Append the next row, which may have its own prefix, to the text seen so far."""
    rest = wanted[len(seen) :]
    bare = line.strip(SIDES)
    before = _PREFIX.match(bare)
    for text in (line, bare, bare[before.end() :] if before else bare):
        if rest.startswith(text):
            return seen + text
    return seen + line
