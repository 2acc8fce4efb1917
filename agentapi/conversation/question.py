"""What an agent asks, as text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from agentapi.model.comparison import squeeze
from agentapi.model.conversation import Choice, Dialog
from agentapi.model.items import Item, ToolCall, Turn

PATCH = "apply_patch"
"""The tool that changes files."""
_CHANGED = re.compile(r"^[+-](?!\+\+ |-- )(.*)$", re.MULTILINE)
"""A line that a diff adds or takes away, not the name of a file."""
_FENCE = re.compile(r"`{3,}")
_KEY = re.compile(r"\x1b\[[A-D]|[\x1b\r ]|[^\x1b\r ]+")
_KEY_NAMES = {
    "\x1b": "esc",
    "\r": "enter",
    " ": "space",
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1b[C": "right",
    "\x1b[D": "left",
}


def exact_patch(items: Iterable[Item]) -> str:
    """The patch that waits for leave, as the agent recorded it: a screen shows only as much of one
    as fits. `items`: the newest first. Empty where none is recorded, or which one is not sure."""
    waiting = [call.command for call in _waiting(items) if call.tool == PATCH]
    return waiting[0] if len(waiting) == 1 else ""


def exact_command(items: Iterable[Item], shown: str) -> str:
    """The command that waits for leave, as the agent recorded it: a screen wraps its lines, and
    leaves out the last ones of a long one. `items`: the newest first. What is `shown` where no
    recorded one agrees with that, or several do."""
    agreeing = {
        call.command
        for call in _waiting(items)
        if call.tool != PATCH and shows_command(shown, call.command)
    }
    return agreeing.pop() if len(agreeing) == 1 else shown


def shows_command(shown: str, command: str) -> bool:
    """Whether a screen that shows a command so shows this one: it wraps the lines, and Codex leaves
    out the last ones of a long one and says how many."""
    start, cut, _ = shown.partition("\n[… ")
    if cut:
        return squeeze(command).startswith(squeeze(start))
    return squeeze(command) == squeeze(shown)


def same_question(asked: Dialog, shown: Dialog) -> bool:
    """Whether what an agent asks by its own word is the question that its screen shows."""
    same_title = squeeze(asked.title) == squeeze(shown.title)
    return same_title and shows_command(shown.command, asked.command)


def _waiting(items: Iterable[Item]) -> Iterator[ToolCall]:
    """The tool calls of the last turn that have no end yet."""
    for item in items:
        if isinstance(item, Turn) and item.event == "started":
            return
        if isinstance(item, ToolCall) and item.status == "running":
            yield item


def shows_all(text: str, dialog: Dialog) -> bool:
    """Whether a screen's text holds the dialog's whole command and every changed line of its diff,
    however it wraps them."""
    shown = squeeze(text)
    wanted = [dialog.command, *_CHANGED.findall(dialog.diff)]
    return all(squeeze(part) in shown for part in wanted)


def question_text(dialog: Dialog) -> str:
    """A dialog as Markdown that reads well as plain text, too."""
    choices = (_choice(number, choice) for number, choice in enumerate(dialog.choices, 1))
    parts = (
        dialog.title,
        dialog.reason,
        _fenced(dialog.command),
        _fenced(dialog.diff, "diff"),
        "\n".join(choices),
    )
    return "\n\n".join(part for part in parts if part)


def _choice(number: int, choice: Choice) -> str:
    """One line of the list; the key that picks it, unless that is the number before it."""
    line = f"{number}. {choice.label}"
    if choice.description:
        line += f" – {choice.description}"
    if choice.key and choice.key != str(number):
        line += f" (`{_named(choice.key)}`)"
    return line


def _named(keys: str) -> str:
    """Keys by their names: none of them stands in a text as the character that it sends."""
    return " ".join(_KEY_NAMES.get(key, key) for key in _KEY.findall(keys))


def _fenced(text: str, language: str = "") -> str:
    """A block that its own text cannot end."""
    if not text:
        return ""
    longest = max((len(run) for run in _FENCE.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
