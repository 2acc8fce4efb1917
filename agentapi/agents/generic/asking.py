"""Recognize questions of a quiet screen, by the text at the cursor.

That text is a line that a person would answer (`Select [1-2]: `, `Remove it? `), the line of a
pager, or a numbered list. A program that reads single keys and never showed a prompt waits for a
key on any screen. A screen that continues to change is no question.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from agentapi.agents.generic.dialog import (
    ScreenQuestion,
    kind_of,
    numbered,
    paragraph_top,
    top_of,
    whole_screen,
    yes_or_no,
)
from agentapi.agents.generic.prompt import BLANKS, Prompt, left_of_cursor, prompt_at
from agentapi.model.conversation import Choice, Dialog
from agentapi.model.frames import Frame

_ASKS = re.compile(
    r".*(?:\?|:[ \xa0]|\by(?:es)?\s?/\s?no?\b\W{0,4}"
    r"|-- ?more ?--.{0,40}|\(END\)|\bq to quit\)?)\s*|:",
    re.IGNORECASE,
)
"""The text left of a cursor that waits for an answer or for a pager key."""
_YES_NO = re.compile(r"\by(?:es)?\s?/\s?no?\b\W{0,4}\s*$", re.IGNORECASE)
PAUSE = 1
"""Blank rows allowed between a list and the line that asks for a choice."""


def line_asks(frame: Frame) -> bool:
    """Return whether the text left of the cursor asks for an answer, with nothing below it."""
    left = left_of_cursor(frame)
    below = frame.lines[frame.cursor[1] + 1 :]
    return bool(left.strip(BLANKS)) and not any(below) and bool(_ASKS.fullmatch(left))


def may_ask(frame: Frame, known: Collection[str]) -> bool:
    """Return whether the text at the cursor asks for an answer. At a prompt only a menu does
    (`known`: see `_is_menu`), as other text may be a draft."""
    prompt = prompt_at(frame)
    return line_asks(frame) if prompt is None else _is_menu(frame, prompt, known)


def quiet_question_of(frame: Frame, known: Collection[str], keys: bool) -> ScreenQuestion | None:
    """Return the question at the end of a quiet screen. `keys`: the program takes single keys and
    never showed a prompt."""
    options = _list_above(frame)
    if may_ask(frame, known):
        return _question(frame, options)
    if prompt_at(frame) is not None:
        return None
    if len(options) > 1 and not any(frame.lines[frame.cursor[1] + 1 :]):
        return _question(frame, options)
    return whole_screen(frame, "") if keys and any(frame.lines) else None


def answer_begun(then: Frame, now: Frame) -> str | None:
    """Return the answer typed since the question was found; None if the screen has changed."""
    row, before = then.cursor[1], left_of_cursor(then)
    if now.cursor[1] != row or len(now.lines) != len(then.lines):
        return None
    if now.lines[:row] != then.lines[:row] or now.lines[row + 1 :] != then.lines[row + 1 :]:
        return None
    if prompt_at(then) is None and prompt_at(now) is not None:
        return None
    left = left_of_cursor(now)
    return left[len(before) :].strip() if left.startswith(before) else None


def _is_menu(frame: Frame, prompt: Prompt, known: Collection[str]) -> bool:
    """Return whether the prompt is empty and directly below a numbered list. `known` holds the
    prompts at which messages were sent; a list above one of those may be an answer."""
    if prompt.text or any(frame.lines[prompt.row + 1 :]):
        return False
    return left_of_cursor(frame).strip() not in known and len(_list_above(frame)) > 1


def _list_above(frame: Frame) -> list[tuple[int, str, str]]:
    """Return the numbered rows directly above the cursor as (row, number, label), counted from
    1."""
    row = frame.cursor[1] - 1
    left = left_of_cursor(frame)
    blank = 0
    while row >= 0 and not frame.lines[row].strip() and blank < PAUSE:
        row, blank = row - 1, blank + 1
    found: list[tuple[int, str, str]] = []
    at = frame.cursor[1] if numbered(left) else row
    while at >= 0 and (option := numbered(frame.lines[at])) is not None:
        found.insert(0, (at, *option))
        at -= 1
        if option[0] == "1":
            break
    counted = [number for _, number, _ in found] == [str(n + 1) for n in range(len(found))]
    return found if counted else []


def _question(frame: Frame, options: Sequence[tuple[int, str, str]]) -> ScreenQuestion:
    row = frame.cursor[1]
    line = left_of_cursor(frame).strip()
    first = options[0][0] if options else row
    top = top_of(frame.lines, first) if options else paragraph_top(frame.lines, row)
    words = [text.strip() for text in frame.lines[top:first] if text.strip()]
    if options:
        asking = [word for word in words if word.endswith(("?", ":"))] or words[-1:] or [line]
        title = asking[-1]
    else:
        title = line
    choices = tuple(
        Choice(number, label, number if len(number) == 1 else f"{number}\r")
        for _, number, label in options
    )
    if not choices and _YES_NO.search(line):
        choices = yes_or_no(line)
    reason = "\n".join(word for word in words if word != title)
    text = "\n".join([*frame.lines[top:row], frame.lines[row]]).strip("\n")
    kind = kind_of("\n".join((*words, line)))
    return ScreenQuestion(top, Dialog("", kind, title, reason, choices=choices), text)
