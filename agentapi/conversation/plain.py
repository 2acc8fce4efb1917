"""From the page to what a program said of which nothing is known: what was not there before."""

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

_BEFORE = re.compile(r"[^\w\s]{1,12}")
"""What a program puts before the words that it echoes."""
_BEHIND = re.compile(r"\d?\d:\d\d(?:[AaPp][Mm])?$")
"""What may stand behind them: the time."""
_PASTED = re.compile(r"\[Past\w*\b.*\]")
"""What a program shows of a long paste."""
SIDES = "│┃║|▌▐"
"""What a box has at its sides, and a scroll bar."""
_SCROLL_BAR = "┃█▐"
_EDGES = f"{SIDES}▀▄╹╻▔▁ "
"""What the box of an echo is drawn with."""
_NO_WORDS = re.compile(r"[\W_]*")


class PlainExtractor:
    """For programs of which nothing is known: what was not there before, less the echo."""

    def __init__(self, profile: AgentProfile) -> None:
        self._profile = profile
        self._page = Document()
        self._window = Window()
        self._before: list[str] = []
        self._start = 0
        self._typed: str | None = None
        self._alternate = False
        self._sign = ""
        """The prompt that the last frame without words showed, without blanks; empty where the
        cursor stands in a blank row."""
        self._blank = False
        """Whether the window has lost its words, and gets them again."""
        self._answers = False
        """Whether anything new was seen since the last message."""
        self._torn = False
        """Whether the page was torn since the last message."""
        self._answered: list[str] = []
        """The last question, as it stood on the screen."""
        self._typing = False
        """Whether a message is being typed."""
        self._resized = False
        self._echo_sign = ""
        """The prompt that the last message was typed behind."""
        self._earlier: tuple[int, list[str], str | None, str] = (0, [], None, "")

    def take(self, frame: Frame, reading: Reading) -> None:
        """What stands above the prompt or a question is the conversation."""
        self._update(frame, reading)
        self._alternate = frame.alternate
        self._resized = self._resized or self._page.resized
        left = squeeze(frame.lines[frame.cursor[1]][: frame.cursor[0]])
        if not left or (reading.composer is not None and not reading.composer.text):
            self._sign = left
        if reading.dialog is not None:
            self._answered = _trimmed(reading.dialog_text.split("\n"))
        if self._page.torn:
            self._torn = True
            self._start = self._page.first

    def _update(self, frame: Frame, reading: Reading) -> None:
        """Take the window; of an alternate screen what scrolls in it."""
        self._blank = False
        if not frame.alternate:
            self._page.update(frame, reading.transcript)
            return
        if self._page.is_anew(frame):
            self._window.forget()
        rows = self._window.scrolls(frame.lines[: reading.transcript], bool(reading.working))
        self._blank = rows is None
        if rows is None:
            return
        self._page.correct(self._window.before)
        self._page.update(replace(frame, lines=tuple(rows)), len(rows))

    def startup(self) -> str:
        """All that was shown before the first message, below a question that was answered; of the
        alternate screen what shows now, as nothing leaves it for good (a picture that moves at the
        start would be told many times)."""
        start = self._page.top if self._alternate else self._page.first
        lines = below(self._said(start), self._answered)
        return joined(_trimmed(self._profile.clean_startup(lines)))

    def adopt_last(self) -> bool:
        """Nothing marks a user message."""
        return False

    def prepare(self) -> None:
        """Remember what is there before anything is typed; until `expect`, nothing is read."""
        self._page.forget(self._page.top)
        self._earlier = (self._start, self._before, self._typed, self._echo_sign)
        self._typing, self._echo_sign = True, self._sign
        self._start, self._typed, self._resized = self._page.first, None, False
        self._before = self._window.rows if self._alternate else self._page.lines(self._start)

    def expect(self, text: str) -> None:
        """From now on, what was not there is the answer."""
        self._typed, self._typing, self._torn, self._answers = text, False, False, False

    def abandon(self) -> None:
        """Go back to the message before."""
        self._start, self._before, self._typed, self._echo_sign = self._earlier
        self._typing = False

    def read(self, working: bool, turn_over: bool = False) -> list[Extract]:
        """The lines between those at the top and at the bottom that were there before."""
        if self._typed is None and not self._typing:
            return [Extract(self.startup())]
        if self._typed is None or (self._resized and not working):
            return []
        answer = without_echo(self._fresh(), self._typed, self._echo_sign, again=self._torn)
        return [Extract(joined(_trimmed(self._profile.clean(answer, {}))))]

    @property
    def painting(self) -> bool:
        """Whether a full-screen program has more to show: it is painting, or shows nothing new
        since the last message, not even that."""
        if not self._alternate or self._typed is None:
            return self._blank
        self._answers = self._answers or any(self._fresh())
        return self._blank or not self._answers

    def _fresh(self) -> list[str]:
        """What was not there before the last message."""
        before = self._window.without_pinned(self._before) if self._alternate else self._before
        return added_lines(before, self._said(self._start))

    def _said(self, start: int) -> list[str]:
        """The page from a line on, without what stands at the foot of a tall screen; on the normal
        one nothing does."""
        lines = self._page.lines(start)
        return without_foot(lines) if self._alternate else lines

    @property
    def expecting(self) -> bool:
        """Never: there is nothing to wait for."""
        return False


def _trimmed(lines: Sequence[str]) -> list[str]:
    """Without blanks at the ends of lines; some programs pad with a no-break space (copilot)."""
    return [line.rstrip() for line in lines]


def below(lines: Sequence[str], block: Sequence[str]) -> list[str]:
    """The lines below the last place where the words of `block` stand, or all of them."""
    wanted = [line for line in block if line]
    filled = [(row, line) for row, line in enumerate(_trimmed(lines)) if line]
    for end in range(len(filled), len(wanted) - 1, -1):
        if wanted and [line for _, line in filled[end - len(wanted) : end]] == wanted:
            return list(lines[filled[end - 1][0] + 1 :])
    return list(lines)


def without_scroll_bar(frame: Frame) -> Frame:
    """The frame without what is drawn in its last column beside rows that are in no box."""
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
    """What `now` has between the lines that it shares with `before` at its top and its bottom.

    Where something at the top changed (a program has painted its page anew), what was at the end
    of `before` is looked for: what follows is new."""
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
    return list(fresh[head if head >= len(old) else max(head, _end_of(old, fresh)) :])


def _end_of(old: Sequence[str], now: Sequence[str]) -> int:
    """Where the end of `old` ends in `now`, at the place with the most lines of it above; 0 where
    fewer than two lines with text, and not all that stand there, are of it."""
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
    lines: Sequence[str], typed: str, sign: str = "", again: bool = False
) -> list[str]:
    """Drop what the program shows of the user's words, and what stands above them.

    They stand behind `sign`, the program's prompt, or first of all behind another sign; without
    any only where the program has no prompt. An answer that repeats them is no echo. `again`: the
    program has painted older messages once more, so that the last echo counts."""
    rows = range(len(lines))
    first = next((row for row in rows if not _NO_WORDS.fullmatch(lines[row])), 0)
    ends = [_echo_end(lines, row, squeeze(typed), sign, row <= first) for row in rows]
    found = [end for end in ends if end is not None]
    if not found:
        return list(lines)
    end = found[-1] if again else found[0]
    while end < len(lines) and lines[end] and not lines[end].strip(_EDGES):
        end += 1
    return list(lines[end:])


def _echo_end(
    lines: Sequence[str], start: int, wanted: str, sign: str, anything: bool
) -> int | None:
    """Where the echo that begins in row `start` ends; None when none begins there. `anything`:
    another sign than the program's prompt may stand before it."""
    line = squeeze(lines[start])
    before = _BEFORE.match(line)
    if sign and line.startswith(sign):
        seen = line.removeprefix(sign)
    elif before and anything:
        seen = line[before.end() :]
    elif anything and not sign:
        seen = line
    else:
        return None
    seen = _BEHIND.sub("", seen.strip(SIDES)) or seen
    if not seen:
        return None
    if _PASTED.fullmatch(seen):
        return start + 1
    for row in range(start + 1, len(lines) + 1):
        if seen == wanted:
            return row
        if row == len(lines) or not wanted.startswith(seen):
            return None
        seen = _longer(seen, squeeze(lines[row]), wanted)
    return None


def _longer(seen: str, line: str, wanted: str) -> str:
    """What was seen of the words, with the next row, which may have a sign of its own."""
    rest = wanted[len(seen) :]
    bare = line.strip(SIDES)
    before = _BEFORE.match(bare)
    for text in (line, bare, bare[before.end() :] if before else bare):
        if rest.startswith(text):
            return seen + text
    return seen + line
