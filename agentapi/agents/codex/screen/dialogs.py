"""Parse the dialogs on Codex's screen.

A dialog replaces the composer: a heading, details, numbered choices with one of them marked, and
usually a last line that names its keys. It is recognized by that shape, not by words: choices end
the screen, and either the keys are named or the cursor, which a composer would have, is hidden. A
form (`Question 1/2` of the model, `Field 1/2` of an MCP server) asks one question after the other;
for free text it has an input line instead of choices.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agentapi.model.conversation import Choice, Dialog

CANCEL = Choice("cancel", "Cancel", "\x1b")
"""Cancels a form whose choices are all answers."""
RULE = "Permission rule: "
"""The label of a command's additional permissions."""

_CHOICE = re.compile(r"^(?:  )?[›❯> ] (?P<number>\d+)\. (?P<label>.*)$")
_CHOSEN = re.compile(r"^(?:  )?[›❯>] (?P<number>\d+)\. ")
_KEYS_LINE = re.compile(
    r"^ .*\b(?:(?:enter|return) (?:to )?(?:confirm|continue|submit|select)"
    r"|esc (?:to )?(?:cancel|go back|back|skip|interrupt))\b",
    re.IGNORECASE,
)
_FORM = re.compile(r"^  (?:Question|Field) (?P<index>\d+)/(?P<total>\d+)(?: \(.*\))?$")
_INPUT_LINE = re.compile(r"^  › ")
_WELCOME = "  Welcome to Codex"
_KEY = re.compile(r" \((\w+)\)$")
_KEYS = {"esc": "\x1b", "enter": "\r", "space": " "}
_HEADINGS = tuple(
    (re.compile(rf"^  {heading}", re.MULTILINE), kind)
    for heading, kind in (
        (r"Would you like to (?:run|send)\b", "command"),
        (r"Would you like to make\b", "patch"),
        (r"Would you like to grant\b", "permission"),
        (r"Do you want to approve network access\b", "permission"),
        (r"Question \d+/\d+", "question"),
        (r"Implement this plan\?", "question"),
        (r"Field \d+/\d+", "mcp"),
        (r"Server: ", "mcp"),
    )
)
"""Lines above the choices, and the kind that they stand for."""
_SIGNS = (
    ("trust", "trust"),
    ("without asking for approval", "trust"),
    ("update available", "update"),
    ("sign in with", "login"),
    ("api key", "login"),
    ("permission", "permission"),
)
"""Otherwise: words of a dialog, and its kind; the first match counts."""
_TEXT_ONLY = ("trust", "update", "login", "question", "other")
"""Kinds that have only text and choices."""
_EDITED = re.compile(r"^• (?:Added|Edited|Deleted|Proposed)\b.*\(\+\d+ -\d+\)")
_COUNTED = re.compile(r"\(\+(\d+) -\d+\)$", re.MULTILINE)
_ADDED = re.compile(r"^ *\d+ \+", re.MULTILINE)
_NO_DIFF = ("Reason: ", "Description: ", "Destination: ", "Environment: ")
_CUT = "… (the screen shows no more)"


@dataclass(frozen=True, slots=True)
class ScreenDialog:
    """A dialog on a screen."""

    above: int
    """The number of conversation rows above it."""
    value: Dialog
    text: str
    marked: str
    """The number of the choice that Enter would select."""


def read_dialog(
    lines: Sequence[str], last: int, cursor_visible: bool = True
) -> ScreenDialog | None:
    """Parse the dialog at the end of a screen whose last non-blank line is `last`; None when none
    is open."""
    foot = _foot(lines, last, cursor_visible)
    if foot is None:
        return None
    first = _first_choice(lines, foot)
    if first is None and foot <= last:
        first = _input_line(lines, foot)
    if first is None:
        return None
    top = _top(lines, first)
    text = "\n".join(lines[top : last + 1])
    dialog = _dialog(lines[:top], lines[top:first], lines[first:foot], text)
    above = 0 if lines[top].startswith(_WELCOME) else top  # an animation, not conversation
    marked = next((m["number"] for m in map(_CHOSEN.match, lines[first:foot]) if m), "")
    return ScreenDialog(above, dialog, text, marked)


def form_reason(index: int, total: int, free_text: bool = False) -> str:
    """Describe a question's position in a form and its input; empty for a single one with
    choices."""
    parts = [f"{index} of {total}"] if total > 1 else []
    if free_text:
        parts.append("wants words: type them in the terminal or send them as raw keys")
    return "; ".join(parts)


def _foot(lines: Sequence[str], last: int, cursor_visible: bool) -> int | None:
    """Find the line that names the keys. It may wrap to a second line, and an error may follow it.

    Without one, a dialog ends with the screen if the cursor is hidden; otherwise there is none."""
    lowest = last if cursor_visible else last - 6
    for row in range(last, max(-1, lowest - 1), -1):
        if _KEYS_LINE.match(lines[row]):
            return row - 1 if row and _KEYS_LINE.match(lines[row - 1]) else row
    return None if cursor_visible else last + 1


def _first_choice(lines: Sequence[str], foot: int) -> int | None:
    """Find the first of the choices above `foot`, if one of them is marked. A list in the
    conversation that looks like choices is followed by other blocks."""
    first = None
    for row in range(foot - 1, max(-1, foot - 40), -1):
        if match := _CHOICE.match(lines[row]):
            first = row
            if match["number"] == "1":
                break
        elif lines[row][:1] not in (" ", "", "↓"):
            return None
    if first is None or not any(_CHOSEN.match(line) for line in lines[first:foot]):
        return None
    return first


def _input_line(lines: Sequence[str], foot: int) -> int | None:
    """Find the input line below the heading of a form."""
    answer = None
    for row in range(foot - 1, max(-1, foot - 40), -1):
        if _FORM.match(lines[row]):
            return answer
        if _INPUT_LINE.match(lines[row]):
            answer = row
    return None


def _top(lines: Sequence[str], first: int) -> int:
    """Find the first row: after two blank lines in a row, after the last block of the transcript,
    or the welcome line below the animation of the first start."""
    top = first
    while top > 0 and not lines[top - 1]:
        top -= 1
    while top > 0:
        above = lines[top - 1]
        if not above and (top < 2 or not lines[top - 2]):
            break
        if above and above[0] not in " >":
            break
        top -= 1
        if above.startswith(_WELCOME):
            break
    while not lines[top]:
        top += 1
    return top


def _dialog(above: Sequence[str], head: Sequence[str], tail: Sequence[str], text: str) -> Dialog:
    """Assign the parts to the fields of a dialog."""
    kind, choices = _kind(head, text), _choices(tail)
    if form := _FORM.match(head[0]) if head else None:
        return _form(kind, form, _paragraphs(head[1:]), choices)
    parts = [part for part in _paragraphs(head) if not part.startswith(_WELCOME.strip())]
    if kind == "mcp":
        return _request(parts, choices)
    title = next((part for part in parts if part.endswith("?")), parts[0] if parts else "")
    if kind in _TEXT_ONLY:
        reason = "\n".join(part for part in parts if part != title)
        return Dialog("", kind, title, reason, choices=choices)
    reason, rule = _after("Reason: ", parts), _after(RULE, parts)
    command = _command(head) or _after("Input: ", parts)
    if kind == "permission":
        command = command or rule
    elif rule:
        reason = f"{reason}\n{RULE}{rule}".lstrip("\n")
    diff = _diff(above, head, title) if kind == "patch" else ""
    return Dialog("", kind, title, reason, command, diff, choices)


def _kind(head: Sequence[str], text: str) -> str:
    above = "\n".join(head)
    for heading, kind in _HEADINGS:
        if heading.search(above):
            return kind
    words = text.lower()
    return next((kind for sign, kind in _SIGNS if sign in words), "other")


def _form(
    kind: str, form: re.Match[str], parts: Sequence[str], choices: tuple[Choice, ...]
) -> Dialog:
    """Parse one question of a form. A tool's approval shows its arguments below the question."""
    title, more = parts[0] if parts else "", parts[1:]
    allows = bool(choices) and choices[0].label == "Allow"
    if kind == "mcp" and not any(choice.label == CANCEL.label for choice in choices):
        choices = (*choices, CANCEL)
    return Dialog(
        "",
        kind,
        title if allows else "\n".join(parts),
        reason=form_reason(int(form["index"]), int(form["total"]), choices in ((), (CANCEL,))),
        command="\n".join(more) if allows else "",
        choices=choices,
    )


def _request(parts: Sequence[str], choices: tuple[Choice, ...]) -> Dialog:
    """Parse an MCP server's request, which may have a page to open."""
    texts = [part for part in parts if "Server: " not in part and "needs your approval" not in part]
    url = _after("URL ", parts)
    return Dialog("", "mcp", texts[0] if texts else "", command=url, choices=choices)


def _paragraphs(lines: Sequence[str]) -> list[str]:
    """Split the lines at blank ones, and unwrap each paragraph."""
    parts = "\n".join(lines).split("\n\n")
    return [" ".join(part.removeprefix("> ").split()) for part in parts if part.strip()]


def _after(label: str, parts: Sequence[str]) -> str:
    return next((part.removeprefix(label) for part in parts if part.startswith(label)), "")


def _command(head: Sequence[str]) -> str:
    """Return the command, the last part. Its line breaks and the terminal's cannot be told apart:
    both indent below the `$`."""
    for row, line in enumerate(head):
        if line.startswith("  $ "):
            return "\n".join([line[4:], *(more[2:] for more in head[row + 1 :])]).rstrip()
    return ""


def _diff(above: Sequence[str], head: Sequence[str], title: str) -> str:
    """Return the visible part of a patch: up to 0.107 in the dialog, later the last block above
    it. An incomplete one is marked."""
    visible = "\n".join(
        line for line in head if line.strip() != title and not line.strip().startswith(_NO_DIFF)
    ).strip("\n")
    if visible:
        added = sum(int(count) for count in _COUNTED.findall(visible))
        return visible if len(_ADDED.findall(visible)) >= added else f"{visible}\n{_CUT}"
    rows = [row for row, line in enumerate(above) if line and line[0] != " "]
    if rows and _EDITED.match(above[rows[-1]]):
        return "\n".join(above[rows[-1] :]).strip("\n")
    visible = "\n".join(above).strip("\n")
    return f"{_CUT}\n{visible}" if visible and not rows else ""


def _choices(lines: Sequence[str]) -> tuple[Choice, ...]:
    found: list[tuple[str, str]] = []
    for line in lines:
        if match := _CHOICE.match(line):
            found.append((match["number"], match["label"].strip()))
        elif found and line.startswith("     "):
            number, label = found[-1]
            found[-1] = (number, f"{label} {line.strip()}")
    return tuple(_choice(number, label) for number, label in found)


def _choice(number: str, text: str) -> Choice:
    """Parse a choice: it ends with its key in parentheses, or has a description in a second column.
    A number of one digit is a key, too."""
    digit = number if len(number) == 1 else ""
    match = _KEY.search(text)
    if match and (key := _KEYS.get(match[1], match[1] if len(match[1]) == 1 else "")):
        return Choice(number, text[: match.start()], key)
    label, _, description = text.partition("  ")
    return Choice(number, label, digit, description.strip())
