"""The looks that terminal programs have in common, for all that have no profile of their own."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from agentapi.agents.generic.asking import (
    answer_begun,
    asked_when_quiet,
    may_ask,
)
from agentapi.agents.generic.dialog import (
    ScreenQuestion,
    answers_in_line,
    list_of_choices,
    named_keys,
    whole_screen,
)
from agentapi.agents.generic.prompt import (
    Prompt,
    ends_at_cursor,
    prompt_at,
    without_typed,
)
from agentapi.conversation.profile import AgentProfile, Composer, Reading
from agentapi.model.conversation import Phase
from agentapi.model.frames import Frame

_SPINNER = re.compile(r"^\s?[⠁-⣿◐-◓◜-◟⏳]")
"""A title that begins with a spinner's glyph."""
_WORKING = re.compile(
    r"\besc\b(?: esc| again)? (?:to )?(?:interrupt|stop\b|edit prompt)"
    r"|\(esc to cancel, |\bworking\b.*\besc\b|\bctrl.c to (?:interrupt|stop|cancel)",
    re.IGNORECASE,
)
"""A line that offers to interrupt what is going on."""
NEAR = 8
"""Rows with text above the prompt among which the line of a running turn is looked for."""
_EDGE = re.compile(r"^[ \xa0]*(?:[│┃║▌▐]+|[╻╭┌╔]?[▄─━═]*[▄╮┐╗]|)[ \xa0]*$")
"""The upper edge of a box, or a row of it without words."""
_EDGE_OR_RULE = re.compile(rf"{_EDGE.pattern}|^[ \xa0]*[─━═▀]+[ \xa0]*$")
_WIDE_RULE = re.compile(r"^[─━═▀]{60,}$")
_WIDE_EDGE = re.compile(r"^.?[▄─━═▀]{60,}.?$")
ASIDE = " " * 40
GAP = 5
"""Blank rows that no conversation has in its middle."""
BOX_ROWS = 6
"""Rows without a blank one that an input box may have above its prompt."""
STATUS_ROWS = 3
"""Rows of a status line above an input box."""


class GenericProfile(AgentProfile):
    """A program on a terminal of which nothing else is known."""

    def read(self, frame: Frame) -> Reading:
        """Find the prompt at the cursor, or the question that the screen ends with."""
        prompt = prompt_at(frame)
        if asked := _asked(frame, prompt):
            return Reading(asked.top, None, asked.dialog, asked.text, asked.marked)
        working = _working_line(frame, prompt)
        if prompt is None:
            return Reading(frame.rows, working=working)
        composer = Composer(prompt.row, prompt.text)
        return Reading(box_top(frame.lines, prompt.row), composer=composer, working=working)

    def title_phase(self, title: str) -> Phase | None:
        """A spinner in the title means work; another title means nothing."""
        return Phase.WORKING if _SPINNER.match(title) else None

    def unknown_dialog(self, frame: Frame, why: str) -> Reading:
        """A question that the program speaks of and whose shape is not known."""
        asked = whole_screen(frame, why)
        return Reading(asked.top, None, asked.dialog, asked.text)

    def may_be_question(self, frame: Frame, known: Collection[str]) -> bool:
        """Whether what stands at the cursor wants an answer, if the screen goes no further."""
        return may_ask(frame, known)

    def quiet_question(self, frame: Frame, known: Collection[str], keys: bool) -> Reading | None:
        """The question of a screen that stands still; see `asking`."""
        asked = asked_when_quiet(frame, known, keys)
        return Reading(asked.top, None, asked.dialog, asked.text) if asked else None

    def follow_question(self, asked: Reading, then: Frame, now: Frame) -> Reading | None:
        """The same question with what was typed behind it; None when it is gone."""
        typed = answer_begun(then, now)
        if typed is None or asked.dialog is None:
            return None
        keys = {one.key.removesuffix("\r"): one.id for one in asked.dialog.choices if one.key}
        return replace(asked, marked=keys.get(typed, ""))

    def clean(
        self, lines: Sequence[str], bright: Mapping[str, str], working: bool = False
    ) -> list[str]:
        """Drop the upper edge of an input box, and runs of blank rows."""
        return without_furniture(lines, _EDGE)

    def clean_startup(self, lines: Sequence[str]) -> list[str]:
        """The same, and what stands below a rule as wide as the screen, or far to the right: an
        answer may end with such, a greeting does not."""
        kept = without_furniture(lines, _EDGE_OR_RULE)
        for row in range(len(kept) - STATUS_ROWS, len(kept)):
            if row >= 0 and _WIDE_RULE.match(kept[row]):
                kept = without_furniture(kept[:row], _EDGE_OR_RULE)
                break
        while kept and (not kept[-1] or kept[-1].startswith(ASIDE)):
            kept.pop()
        return kept

    def without_typed(self, frame: Frame, typed: str, part: bool = False) -> Frame:
        """Without the words at the cursor."""
        return without_typed(frame, typed, part)

    def echoed(self, frame: Frame, reading: Reading, typed: str) -> bool:
        """Whether what was typed stands at the cursor."""
        return ends_at_cursor(frame, typed)


def box_top(lines: Sequence[str], prompt: int) -> int:
    """The first row of what belongs to the input box whose prompt stands in row `prompt`.

    Only a box with an edge as wide as the screen has more than its prompt: the edge, and right
    above it a rule, or a hint far to the right, with at most a line of words below it (claude,
    gemini)."""
    top = prompt
    for row in range(prompt - 1, max(-1, prompt - 1 - BOX_ROWS), -1):
        line = lines[row]
        if not line or (top == prompt and not _WIDE_EDGE.match(line)):
            break
        if _WIDE_EDGE.match(line) or line.startswith(ASIDE):
            top = row
    return top


def without_furniture(lines: Sequence[str], edge: re.Pattern[str]) -> list[str]:
    """Lines without the edge of a box at their end, and without gaps of blank rows: the words below
    one are the answer's."""
    kept = list(lines)
    while kept and edge.match(kept[-1]):
        kept.pop()
    found: list[str] = []
    blank = 0
    for line in kept:
        blank = 0 if line else blank + 1
        if blank <= GAP:
            found.append(line)
    return found


def _asked(frame: Frame, prompt: Prompt | None) -> ScreenQuestion | None:
    if (asked := answers_in_line(frame)) is not None:
        return asked
    if (asked := list_of_choices(frame, prompt.row if prompt else None)) is not None:
        return asked
    return named_keys(frame, prompt)


def _working_line(frame: Frame, prompt: Prompt | None) -> str:
    """The line of a running turn: below the prompt, or near above it or the screen's end."""
    row = prompt.row if prompt else frame.rows
    below = frame.lines[row + 1 :]
    above = [line for line in frame.lines[max(0, row - 40) : row] if line][-NEAR:]
    return next((line.strip() for line in (*below, *above) if _WORKING.search(line)), "")
