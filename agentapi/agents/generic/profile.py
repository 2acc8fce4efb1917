"""The generic profile, for terminal programs without a profile of their own."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from agentapi.agents.generic.asking import (
    answer_begun,
    may_ask,
    quiet_question_of,
)
from agentapi.agents.generic.dialog import (
    ScreenQuestion,
    choice_list,
    inline_question,
    key_question,
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
"""A title that begins with a spinner character."""
_WORKING = re.compile(
    r"\besc\b(?: esc| again)? (?:to )?(?:interrupt|stop\b|edit prompt)"
    r"|\(esc to cancel, |\bworking\b.*\besc\b|\bctrl.c to (?:interrupt|stop|cancel)",
    re.IGNORECASE,
)
"""A line that offers to interrupt the work."""
NEAR = 8
"""Rows with text above the prompt that are searched for a working line."""
_EDGE = re.compile(r"^[ \xa0]*(?:[│┃║▌▐]+|[╻╭┌╔]?[▄─━═]*[▄╮┐╗]|)[ \xa0]*$")
"""The upper edge of a box, or an empty row of it."""
_EDGE_OR_RULE = re.compile(rf"{_EDGE.pattern}|^[ \xa0]*[─━═▀]+[ \xa0]*$")
_WIDE_RULE = re.compile(r"^[─━═▀]{60,}$")
_WIDE_EDGE = re.compile(r"^.?[▄─━═▀]{60,}.?$")
ASIDE = " " * 40
GAP = 5
"""More blank rows than a conversation contains."""
BOX_ROWS = 6
"""Maximum rows of an input box above its prompt, up to a blank row."""
STATUS_ROWS = 3
"""Rows of a status line above an input box."""


class GenericProfile(AgentProfile):
    """An otherwise unknown program on a terminal."""

    def read(self, frame: Frame) -> Reading:
        """Find the prompt at the cursor, or the question at the end of the screen."""
        prompt = prompt_at(frame)
        if asked := _screen_question(frame, prompt):
            return Reading(asked.top, None, asked.dialog, asked.text, asked.marked)
        working = _working_line(frame, prompt)
        if prompt is None:
            return Reading(frame.rows, working=working)
        composer = Composer(prompt.row, prompt.text)
        return Reading(box_top(frame.lines, prompt.row), composer=composer, working=working)

    def title_phase(self, title: str) -> Phase | None:
        """Return WORKING for a spinner in the title."""
        return Phase.WORKING if _SPINNER.match(title) else None

    def unknown_dialog(self, frame: Frame, why: str) -> Reading:
        """Return the whole screen as the announced question."""
        asked = whole_screen(frame, why)
        return Reading(asked.top, None, asked.dialog, asked.text)

    def may_be_question(self, frame: Frame, known: Collection[str]) -> bool:
        """Return whether the text at the cursor asks for an answer."""
        return may_ask(frame, known)

    def quiet_question(self, frame: Frame, known: Collection[str], keys: bool) -> Reading | None:
        """Return the question of a screen that stands still; see `asking`."""
        asked = quiet_question_of(frame, known, keys)
        return Reading(asked.top, None, asked.dialog, asked.text) if asked else None

    def follow_question(self, asked: Reading, then: Frame, now: Frame) -> Reading | None:
        """Return the question with the typed answer; None if the question is gone."""
        typed = answer_begun(then, now)
        if typed is None or asked.dialog is None:
            return None
        keys = {
            choice.key.removesuffix("\r"): choice.id
            for choice in asked.dialog.choices
            if choice.key
        }
        return replace(asked, marked=keys.get(typed, ""))

    def clean(
        self, lines: Sequence[str], bright: Mapping[str, str], working: bool = False
    ) -> list[str]:
        """Drop the upper edge of an input box, and runs of blank rows."""
        return without_decoration(lines, _EDGE)

    def clean_startup(self, lines: Sequence[str]) -> list[str]:
        """Drop also a status line below a full-width rule, or far to the right: an answer may end
        with these, a greeting does not."""
        kept = without_decoration(lines, _EDGE_OR_RULE)
        for row in range(len(kept) - STATUS_ROWS, len(kept)):
            if row >= 0 and _WIDE_RULE.match(kept[row]):
                kept = without_decoration(kept[:row], _EDGE_OR_RULE)
                break
        while kept and (not kept[-1] or kept[-1].startswith(ASIDE)):
            kept.pop()
        return kept

    def without_typed(self, frame: Frame, typed: str, part: bool = False) -> Frame:
        """Return the frame without the typed text at the cursor."""
        return without_typed(frame, typed, part)

    def echoed(self, frame: Frame, reading: Reading, typed: str) -> bool:
        """Return whether the typed text is at the cursor."""
        return ends_at_cursor(frame, typed)


def box_top(lines: Sequence[str], prompt: int) -> int:
    """Return the first row of the input box with its prompt in row `prompt`.

    Only a box with a full-width edge includes more than its prompt: the edge, and directly above it
    a rule or a right-aligned hint, with at most one line of text below it (claude, gemini)."""
    top = prompt
    for row in range(prompt - 1, max(-1, prompt - 1 - BOX_ROWS), -1):
        line = lines[row]
        if not line or (top == prompt and not _WIDE_EDGE.match(line)):
            break
        if _WIDE_EDGE.match(line) or line.startswith(ASIDE):
            top = row
    return top


def without_decoration(lines: Sequence[str], edge: re.Pattern[str]) -> list[str]:
    """Drop the edge of a box at the end, and shorten gaps of blank rows. The text below a gap
    belongs to the answer."""
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


def _screen_question(frame: Frame, prompt: Prompt | None) -> ScreenQuestion | None:
    if (asked := inline_question(frame)) is not None:
        return asked
    if (asked := choice_list(frame, prompt.row if prompt else None)) is not None:
        return asked
    return key_question(frame, prompt)


def _working_line(frame: Frame, prompt: Prompt | None) -> str:
    """Find the working line: below the prompt, or just above it or the end of the screen."""
    row = prompt.row if prompt else frame.rows
    below = frame.lines[row + 1 :]
    above = [line for line in frame.lines[max(0, row - 40) : row] if line][-NEAR:]
    return next((line.strip() for line in (*below, *above) if _WORKING.search(line)), "")
