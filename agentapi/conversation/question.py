"""Format an agent's question as text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from agentapi.model.comparison import squeeze
from agentapi.model.conversation import Choice, Dialog
from agentapi.model.items import Item, ToolCall, Turn

PATCH = "apply_patch"
"""The tool that changes files."""
_CHANGED = re.compile(r"^[+-](?!\+\+ |-- )(.*)$", re.MULTILINE)
"""A line that a diff adds or removes, not a file name."""
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


def recorded_patch(items: Iterable[Item]) -> str:
    """Return the recorded patch that awaits approval; the screen shows only as much as fits.

    `items`: newest first. Empty if none is recorded or several are."""
    waiting = [call.command for call in _waiting(items) if call.tool == PATCH]
    return waiting[0] if len(waiting) == 1 else ""


def recorded_command(items: Iterable[Item], shown: str) -> str:
    """Return the recorded command that awaits approval; the screen wraps and truncates it.

    `items`: newest first. Returns `shown` unless exactly one recorded command matches it."""
    matching = {
        call.command
        for call in _waiting(items)
        if call.tool != PATCH and shows_command(shown, call.command)
    }
    return matching.pop() if len(matching) == 1 else shown


def shows_command(shown: str, command: str) -> bool:
    """Return whether `shown` is this command as displayed: with wrapped lines, and truncated by
    Codex with a count of the omitted lines."""
    start, cut, _ = shown.partition("\n[… ")
    if cut:
        return squeeze(command).startswith(squeeze(start))
    return squeeze(command) == squeeze(shown)


def same_question(reported: Dialog, shown: Dialog) -> bool:
    """Return whether the reported and the displayed question are the same."""
    same_title = squeeze(reported.title) == squeeze(shown.title)
    return same_title and shows_command(shown.command, reported.command)


def _waiting(items: Iterable[Item]) -> Iterator[ToolCall]:
    """Yield the running tool calls of the last turn."""
    for item in items:
        if isinstance(item, Turn) and item.event == "started":
            return
        if isinstance(item, ToolCall) and item.status == "running":
            yield item


def shows_all(text: str, dialog: Dialog) -> bool:
    """Return whether the text contains the whole command and every changed line of the diff,
    however wrapped."""
    shown = squeeze(text)
    wanted = [dialog.command, *_CHANGED.findall(dialog.diff)]
    return all(squeeze(part) in shown for part in wanted)


def question_text(dialog: Dialog) -> str:
    """Format a dialog as Markdown that is also readable as plain text."""
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
    """Format a choice, with its key unless that is its number."""
    line = f"{number}. {choice.label}"
    if choice.description:
        line += f" – {choice.description}"
    if choice.key and choice.key != str(number):
        line += f" (`{_named(choice.key)}`)"
    return line


def _named(keys: str) -> str:
    """Replace control characters by key names."""
    return " ".join(_KEY_NAMES.get(key, key) for key in _KEY.findall(keys))


def _fenced(text: str, language: str = "") -> str:
    """Fence a block so that its text cannot end it."""
    if not text:
        return ""
    longest = max((len(run) for run in _FENCE.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
