"""Recognize the questions of an unknown program by their shape.

Three shapes, seen in five agents and in many tools: a list of choices with a marker before one of
them; a line that ends with the possible answers (`[y/N]`); a line that names keys (`enter to
select`). Each counts only as the last thing on the screen and with the cursor outside a prompt, as
an answer may contain a list, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agentapi.agents.generic.prompt import BLANKS, Prompt, left_of_cursor
from agentapi.conversation.plain import SIDES
from agentapi.model.conversation import Choice, Dialog
from agentapi.model.frames import Frame

_MARKED = re.compile(r"^(?P<indent> *)(?P<mark>[❯›>●→▶►◉➜*])(?P<gap> +)(?P<label>\S.*)$")
_NUMBER = re.compile(r"^(?P<number>\d{1,2})[.):] +(?P<label>\S.*)$")
_ANSWERS = re.compile(
    r"^(?P<asked>.*(?:[\[(]\(?y(?:es|\)es)?\)?\s?[/,|]\s?\(?no?\b(?:[^\s\])]*[\])]){1,2}"
    r"|\(y\)es\s?/\s?\(n\)o.*\[\w+\]"
    r"|[\[(](?:yes|no)[\])])(?:\s?[:?>]+)?)(?P<typed>\s?\S{0,20})$",
    re.IGNORECASE,
)
"""A line that ends with its possible answers: `[Y/n]`, `(yes/no)?`, `(Y)es/(N)o [Yes]:`."""
_WHOLE_WORDS = re.compile(r"\byes\s?[/,|]\s?no\b", re.IGNORECASE)
_KEYS = re.compile(
    r"\b(?:enter|return)\b (?:to )?(?:confirm|con$|continue|select|submit|choose|accept|open"
    r"|proceed|approve)"
    r"|\bpress (?:\W?(?:enter|return|space)\b|any key|a key)"
    r"|\besc(?:ape)?\b (?:to )?(?:cancel|go back|back|exit|quit|skip|close|dismiss|reject|decline)"
    r"|(?:⇆|↑\W?↓|←\W?→|\barrow keys?\b|\btab\b)\W? ?(?:to )?(?:select|navigate|move|choose)",
    re.IGNORECASE,
)
"""A line that names the keys for a question."""
_AT_WORK = re.compile(r"^\W*[⠀-⣿]|\besc\b.*\b\d+ ?s\b|\binterrupt\b", re.IGNORECASE)
"""Beside a spinner or a clock, such a line belongs to a running turn."""
_ENTER = re.compile(r"\bpress \W?(?:enter|return)\b", re.IGNORECASE)
_ESCAPE = re.compile(r"\besc(?:ape)?\b", re.IGNORECASE)
_ROW = re.compile(
    r"^\W*(?P<choices>\w[\w ]*?(?: {3,}\w[\w ]*?)+)(?= {2,}(?:\S+ +\S+ {2,})*⇆ select)"
)
"""Choices side by side, followed by the keys that move between them (opencode)."""
_REFUSAL = re.compile(r"^(?:reject|cancel|deny|no)\b", re.IGNORECASE)
_RULE = re.compile(r"^[─━═╌┄▄▀╭╮╰╯┌┐└┘├┤┬┴┼]{8,}$")
_KINDS = (
    ("trust", "trust"),
    ("log in", "login"),
    ("login", "login"),
    ("sign in", "login"),
    ("authenticat", "login"),
    ("update available", "update"),
    ("command", "command"),
    ("shell", "command"),
    ("permission", "permission"),
    ("allow", "permission"),
)
"""Keywords of a question and its kind; the first match wins."""

RIGHT = "\x1b[C"
ENTER = "enter"
"""The id of the choice that is only Enter."""
FOOT = 8
"""Maximum rows with text below the choices, or below a line of keys."""
HEAD = 30
"""Rows above the choices that may belong to the question."""


@dataclass(frozen=True, slots=True)
class ScreenQuestion:
    """A question on a screen."""

    top: int
    """Its first row; the conversation is above."""
    dialog: Dialog
    text: str
    marked: str = ""
    """The id of the choice that Enter selects."""


@dataclass(frozen=True, slots=True)
class _Option:
    row: int
    number: str
    label: str
    marked: bool


def inline_question(frame: Frame) -> ScreenQuestion | None:
    """Return a question whose line names its answers, with the cursor at its end."""
    row = frame.cursor[1]
    line = left_of_cursor(frame).strip(BLANKS)
    found = _ANSWERS.match(line)
    if found is None or any(frame.lines[row + 1 :]):
        return None
    top = paragraph_top(frame.lines, row, HEAD)
    title = found["asked"].strip()
    above = "\n".join(text.strip() for text in frame.lines[top:row])
    choices = yes_or_no(title)
    typed = found["typed"].strip().lower()
    marked = next((choice.id for choice in choices if choice.key.removesuffix("\r") == typed), "")
    kind = kind_of(f"{above}\n{title}")
    text = "\n".join([*frame.lines[top:row], title])
    return ScreenQuestion(top, Dialog("", kind, title, above, choices=choices), text, marked)


def yes_or_no(line: str) -> tuple[Choice, ...]:
    """Return the two choices of a yes/no line; their keys are words if the line names whole
    words."""
    if _WHOLE_WORDS.search(line):
        return Choice("yes", "Yes", "yes\r"), Choice("no", "No", "no\r")
    return Choice("yes", "Yes", "y"), Choice("no", "No", "n")


def choice_list(frame: Frame, below: int | None) -> ScreenQuestion | None:
    """Return the question of a list with a marker before one of its choices. `below` is the row of
    the prompt at the cursor, which must not be below the list. A prompt above it proves nothing: a
    hidden cursor is wherever something was drawn last."""
    inner = [_inside(line) for line in frame.lines]
    last = _last(inner)
    for row in range(last, max(-1, last - HEAD), -1):
        if _MARKED.match(inner[row]) is None:
            continue
        options = _options(inner, row)
        if not options:
            continue
        end = options[-1].row
        numbered = all(option.number for option in options)
        if below is not None and below > end:
            return None
        if sum(map(bool, inner[end + 1 : last + 1])) > FOOT:
            return None
        if not numbered and _keys_line(inner, last) is None:
            continue
        return _screen_question(frame, inner, options, last)
    return None


def key_question(frame: Frame, prompt: Prompt | None) -> ScreenQuestion | None:
    """Return the question of a screen that ends with a line of keys. Below a prompt that line may
    belong to the prompt, unless it names two keys and the prompt has text."""
    inner = [_inside(line) for line in frame.lines]
    last = _last(inner)
    row = _keys_line(inner, last)
    if row is None:
        return None
    if prompt is not None and (not prompt.text or len(_KEYS.findall(inner[row])) < 2):
        return None
    return _screen_question(frame, inner, [], last, row)


def whole_screen(frame: Frame, why: str) -> ScreenQuestion:
    """Return the end of the screen as the question of a program that reports that it is blocked."""
    last = _last(frame.lines)
    top = max(0, last - HEAD)
    text = "\n".join(frame.lines[top : last + 1]).strip("\n")
    title = why or "The program waits: answer it in the terminal, or send raw keys"
    return ScreenQuestion(top, Dialog("", kind_of(why), title, reason=text), text)


def _last(lines: Sequence[str]) -> int:
    return next((row for row in range(len(lines) - 1, -1, -1) if lines[row]), -1)


def _inside(line: str) -> str:
    """Replace the sides of a box by blanks, to keep the columns."""
    start = len(line) - len(line.lstrip(BLANKS + SIDES))
    return (" " * start + line[start:].rstrip(BLANKS + SIDES)).replace("\xa0", " ").rstrip()


def _options(inner: Sequence[str], row: int) -> list[_Option]:
    """Return the choices of the list with the marked line; empty if it is alone. A choice may
    continue in rows with a deeper indent; a numbered one that wraps may stand one column further
    left (copilot)."""
    marked = _MARKED.match(inner[row])
    assert marked is not None
    column = marked.start("label")
    first = _option(inner[row], row, column, True)
    numbered = bool(first.number)
    left = column - 1 if numbered else column

    def reach(step: int) -> list[_Option]:
        found: list[_Option] = []
        at = row + step
        while 0 <= at < len(inner) and abs(at - row) < HEAD:
            line = inner[at]
            if not line or line[:left].strip() or _RULE.match(line.strip()):
                break
            option = _option(line, at, left if line[left:column].strip() else column, False)
            if line[column : column + 1].strip() or numbered:
                found.append(option)
            else:
                break
            at += step
        return found

    options = [*reversed(reach(-1)), first, *reach(1)]
    if numbered:
        options = _joined(options)
        numbers = [int(option.number) for option in options]
        if numbers != list(range(1, len(numbers) + 1)):
            return []
    return options if len(options) > 1 else []


def _joined(options: Sequence[_Option]) -> list[_Option]:
    """Join numbered choices with their continuation rows; drop the rows above the first."""
    found: list[_Option] = []
    for option in options:
        if option.number:
            found.append(option)
        elif found:
            found[-1] = replace(found[-1], label=f"{found[-1].label} {option.label.strip()}")
    return found


def _option(line: str, row: int, column: int, marked: bool) -> _Option:
    text = line[column:]
    number = _NUMBER.match(text)
    return _Option(
        row, number["number"] if number else "", number["label"] if number else text, marked
    )


def _keys_line(inner: Sequence[str], last: int) -> int | None:
    """Return the row near the end that names keys."""
    seen = 0
    for row in range(last, -1, -1):
        line = inner[row].strip()
        if not line or _RULE.match(line):
            continue
        if _KEYS.search(line):
            return None if _AT_WORK.search(line) else row
        seen += 1
        if seen >= FOOT // 2:
            return None
    return None


def _screen_question(
    frame: Frame, inner: Sequence[str], options: Sequence[_Option], last: int, foot: int = -1
) -> ScreenQuestion:
    first = options[0].row if options else foot
    top = _top(frame.lines, inner, first)
    head = [line for line in inner[top:first] if not _RULE.match(line.strip())]
    while head and not head[-1]:
        head.pop()
    words = [line.strip() for line in head if line.strip()]
    keys = inner[foot] if options == [] else "\n".join(inner[options[-1].row + 1 : last + 1])
    asking = [word for word in words if word.endswith(("?", ":"))]
    chosen = bool(options or _ROW.match(keys))
    nearest = words[:1] if chosen else [keys.strip()]
    title = (asking or nearest or [""])[-1]
    if not chosen and title != keys.strip():
        words.append(keys.strip())
    reason = "\n".join(word for word in words if word != title)
    kind = kind_of("\n".join(words))
    dialog = Dialog("", kind, title or keys.strip(), reason, choices=_choices(options, keys))
    text = "\n".join(line.rstrip() for line in frame.lines[top : last + 1])
    marked = next((str(n) for n, option in enumerate(options, 1) if option.marked), "")
    return ScreenQuestion(top, dialog, text, marked)


def _choices(options: Sequence[_Option], keys: str) -> tuple[Choice, ...]:
    """Return the choices: numbered ones by digit, others by arrows and Enter, Esc if offered."""
    at = next((n for n, option in enumerate(options) if option.marked), 0)
    found = []
    for place, option in enumerate(options):
        steps = place - at
        arrows = ("\x1b[B" if steps > 0 else "\x1b[A") * abs(steps)
        digit = option.number if len(option.number) == 1 else ""
        label, _, more = option.label.partition("   ")
        found.append(Choice(str(place + 1), label.strip(), digit or f"{arrows}\r", more.strip()))
    if not options and (row := _ROW.match(keys)):
        return _in_a_row(re.split(r" {3,}", row["choices"]))
    if not options and _ENTER.search(keys):
        found.append(Choice(ENTER, "Enter", "\r"))
    if _ESCAPE.search(keys) and not any(_ESCAPE.search(choice.label) for choice in found):
        found.append(Choice("esc", "Cancel", "\x1b"))
    return tuple(found)


def _in_a_row(labels: Sequence[str]) -> tuple[Choice, ...]:
    """Return choices side by side. The first one is marked at first, only by its colour, which
    frames do not contain; Esc refuses."""
    refusal = next((label for label in labels if _REFUSAL.match(label)), "")
    others = (
        Choice(str(place), label, f"{RIGHT * (place - 1)}\r")
        for place, label in enumerate(labels, 1)
        if label != refusal
    )
    return *others, Choice("esc", refusal or "Cancel", "\x1b")


def kind_of(words: str) -> str:
    """Return the kind of a question, by its words."""
    lower = words.lower()
    return next((kind for sign, kind in _KINDS if sign in lower), "other")


def numbered(line: str) -> tuple[str, str] | None:
    """Return the number and the label of a row that may be a numbered choice."""
    found = _NUMBER.match(line.strip())
    return (found["number"], found["label"]) if found else None


def top_of(lines: Sequence[str], first: int) -> int:
    """Return the first row of the question whose choices begin in row `first`."""
    return _top(lines, [_inside(line) for line in lines], first)


def paragraph_top(lines: Sequence[str], row: int, most: int | None = None) -> int:
    """Return the first row of the paragraph ending in row `row`, at most `most` rows above it."""
    top = row
    while top > 0 and lines[top - 1].strip() and (most is None or row - top < most):
        top -= 1
    return top


def _top(lines: Sequence[str], inner: Sequence[str], first: int) -> int:
    """Go up to the upper edge of the box, a full-width rule, or two blank lines."""
    column = len(lines[first]) - len(lines[first].lstrip())
    boxed = lines[first].strip()[:1] in SIDES
    top = first
    while top > 0 and first - top < HEAD:
        line = lines[top - 1]
        if boxed and line[column : column + 1] in ("╭", "┌", "╔"):
            return top - 1
        if boxed and line[column : column + 1] not in (*SIDES, "├"):
            break
        if not boxed and not line and (top < 2 or not lines[top - 2]):
            break
        if not boxed and set(line) <= {"─", "━", "═"} and len(line) > 20:
            break
        top -= 1
    while top < first and not inner[top]:
        top += 1
    return top
