"""Parse the screen of OpenAI's Codex CLI, 0.80 to 0.169, inline and on the alternate screen.

Observed on the real program: a user's message is echoed with `›` in column 0. The agent's text
never starts there, because every block is indented by two columns after its bullet. The composer is
the last line with `›`. A dialog replaces the composer and ends with its keys. UI elements are told
from an agent's quote of them by position and faintness, not only by text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from agentapi.agents.codex.screen.dialogs import read_dialog
from agentapi.conversation.profile import AgentProfile, Composer, Reading, Unsendable
from agentapi.model.comparison import visible
from agentapi.model.conversation import Phase
from agentapi.model.frames import Frame

_SPINNER = re.compile(r"^[⠀-⣿]( |$)")
_WORKING = re.compile(r"^[•◦] \S.* \((?:\d+[hms] ?)+ • esc to interrupt\)")
_WORKED = re.compile(
    r"^(?:  Worked for (?:<1s|(?:\d+[dhms] ?)+)(?: • \d?\d:\d\d(?: ?[AaPp][Mm])?)?"
    r"|  \d?\d:\d\d(?: ?[AaPp][Mm])?)$"
)
_PENDING = re.compile(r"^• (?:Messages to be submitted |Queued follow-up )")
_RULE = re.compile(r"^─(?: Worked for [^─]+ )?─+$")
_TIP = re.compile(r"^  └ Tip: ")
_BACKGROUND = re.compile(r"^  \d+ background terminals? running")
_COMMANDS = re.compile(r"^[› ] /\w[\w-]*  +\w")
_MENTIONS = re.compile(r"^  .*\binsert · esc close · |^  no matches$|^  loading\.\.\.$")
_PASTED = re.compile(r"\[Pasted Content (\d+) chars\](?: #\d+)?")
_SUBMITS = re.compile(r"^ .*\b[Ee]nter (?:to )?(?:submit|save|confirm)\b")
_LOGO = re.compile(r"^[ ⠀-⣿]*[⠁-⣿][ ⠀-⣿]*$")
_MESSAGE_SIGNS = "!/@?#$"


class CodexProfile(AgentProfile):
    """OpenAI's Codex CLI."""

    def read(self, frame: Frame) -> Reading:
        """Parse transcript, composer, dialog and working line of a screen."""
        last = _last_nonblank(frame.lines, frame.rows)
        if dialog := read_dialog(frame.lines, last, frame.cursor_visible):
            above = dialog.above
            return Reading(
                above,
                dialog=dialog.value,
                dialog_text=dialog.text,
                marked=dialog.marked,
                working=_working(frame.lines, _last_nonblank(frame.lines, above)),
            )
        row = _composer_top(frame, last)
        if row is None:
            return Reading(last + 1, working=_working(frame.lines, last))
        bottom = max(row, min(frame.cursor[1], last))
        typed = _typed(frame.bright[row : bottom + 1])
        end = _above_pending(frame.lines, _last_nonblank(frame.lines, row))
        return Reading(
            row,
            composer=Composer(row, typed, ready=_configured(frame.lines, bottom, last)),
            working=_working(frame.lines, end),
            popup=bool(typed) and _popup_open(frame, row, last),
            interrupted=_ends_interrupted(frame.lines, _above_background(frame, end)),
            ended=_ends_worked(frame, _above_background(frame, end)),
        )

    def title_phase(self, title: str) -> Phase | None:
        """Parse the title, from Codex 0.125 on: a braille spinner while working, `[ ! ]` while
        blocked, else plain."""
        if title.startswith(("[ ! ]", "[ . ]")):
            return Phase.BLOCKED
        return Phase.WORKING if _SPINNER.match(title) else Phase.IDLE

    def notification_phase(self, text: str) -> Phase | None:
        """Parse an OSC 9 notification, which Codex 0.80 sends for an approval and for the end of a
        turn (with the answer) while its terminal has no focus."""
        if text.startswith(("Approval requested", "Codex wants to edit")):
            return Phase.BLOCKED
        return Phase.IDLE

    def starts_echo(self, line: str) -> bool:
        """Return whether a user's message starts here: with `›` in column 0."""
        return line.startswith("› ") or line == "›"

    def heading(self, line: str) -> str:
        """Return the echo that a pinned prompt stands for. 0.158 pins it in column 0, where
        otherwise only bullets and a few notices are, 0.169 adds a marker; both cut it with `…`."""
        if self.starts_echo(line):
            return line
        return f"› {line}" if line and line[0] != " " else ""

    def echo_length(self, lines: Sequence[str]) -> int:
        """Return the length of an echo: up to the next line with text in column 0."""
        for number, line in enumerate(lines[1:], 1):
            if line and not line.startswith(" "):
                return number
        return len(lines)

    def echo_text(self, lines: Sequence[str]) -> str:
        """Return an echo's text without `› ` and indentation."""
        return "\n".join(line[2:] for line in lines).strip("\n")

    def clean(
        self, lines: Sequence[str], bright: Mapping[str, str], working: bool = False
    ) -> list[str]:
        """Drop rules (0.80), and at the end the status line, tips and the mark of a turn's end."""
        kept = [line for line in lines if not (line[:1] == "─" and _RULE.match(line))]
        if working:
            kept = kept[: _above_pending(kept, len(kept) - 1) + 1]
        while kept and _is_tail_decoration(kept, bright, working):
            kept.pop()
        return kept

    def clean_startup(self, lines: Sequence[str]) -> list[str]:
        """Keep banner and tips; drop the logo and the composers of earlier screens."""
        kept: list[str] = []
        skip_footer = False
        for line in lines:
            if self.starts_echo(line):
                skip_footer = True
                continue
            if skip_footer and (not line or line.startswith("  ")):
                skip_footer = bool(not line) or "shortcuts" not in line
                continue
            skip_footer = False
            if not _LOGO.match(line):
                kept.append(line)
        return squeeze_blank(kept)

    def literal(self, text: str, announces: bool = False) -> str:
        """Pad a prompt so that Codex takes it literally. Codex trims it, and interprets `!`, `/`
        and the like only in the first column and a mention only at the cursor: a space before and
        after prevents both.

        Up to 0.158 it trims first, and runs text that starts with `!` in a shell."""
        if text.startswith("!") and not announces:
            raise Unsendable(
                "this version of Codex runs what begins with ! as a shell command: put another"
                " word first, or send keystrokes as type raw"
            )
        before = " " if text.startswith(tuple(_MESSAGE_SIGNS)) else ""
        last_word = text.rsplit(maxsplit=1)[-1] if text.strip() else ""
        after = " " if any(sign in last_word for sign in _MESSAGE_SIGNS) else ""
        return f"{before}{text}{after}"

    def echoed(self, frame: Frame, reading: Reading, typed: str) -> bool:
        """Return whether the composer holds just the typed text, or the placeholder of a long
        paste. A text too long for the screen shows only its end."""
        if reading.composer is None:
            return False
        text = reading.composer.text
        if (placeholder := _PASTED.fullmatch(text)) and int(placeholder[1]) == len(typed):
            return True
        text, expected = visible(text), visible(typed)
        return len(text) <= len(expected) and text.endswith(expected[-40:])


CODEX = CodexProfile(
    name="codex",
    quiet=3.0,
    has_composer=True,
    report_unfocused=True,
)


def squeeze_blank(lines: Sequence[str]) -> list[str]:
    """Reduce blank lines to at most one in a row."""
    return [line for number, line in enumerate(lines) if line or (number and lines[number - 1])]


def _last_nonblank(lines: Sequence[str], end: int) -> int:
    for row in range(end - 1, -1, -1):
        if lines[row]:
            return row
    return -1


def _composer_top(frame: Frame, last: int) -> int | None:
    """Find the last line with text in column 0, if that is `›`: below the composer everything is
    indented. In shell mode it is `!`, in the cursor's row. Without a cursor such a line belongs to
    a list of choices, and with a line of keys below to another input field."""
    if not frame.cursor_visible or (last >= 0 and _SUBMITS.match(frame.lines[last])):
        return None
    for row in range(last, -1, -1):
        line = frame.lines[row]
        if line and line[0] != " " and not line.startswith("> "):  # a popup's marked row (0.142)
            if line[0] == "›" and line[1:2] in ("", " "):
                return row
            return row if line[0] == "!" and row == frame.cursor[1] else None
    return None


def _typed(bright: Sequence[str]) -> str:
    return "\n".join(line[2:] for line in bright).strip()


def _configured(lines: Sequence[str], bottom: int, last: int) -> bool:
    """Return whether Codex accepts a prompt. It renders the composer earlier; the footer has the
    model (or, up to 0.107, the context left) only once the session is configured."""
    footer = " ".join(line.strip() for line in lines[bottom + 1 : last + 1] if line)
    return footer not in ("", "? for shortcuts")


def _popup_open(frame: Frame, top: int, last: int) -> bool:
    """Return whether a popup is open, below the composer or above it with one blank line between.
    A list of commands appears only while the composer starts with `/`."""
    lines = frame.lines
    start = max(0, top - 12) if top > 1 and lines[top - 2] and not lines[top - 1] else top
    near = [*lines[start:top], *lines[top + 1 : last + 1]]
    if frame.bright[top].startswith("› /") and any(_COMMANDS.match(line) for line in near):
        return True
    return any(_MENTIONS.match(line) for line in near)


def _working(lines: Sequence[str], end: int) -> str:
    """Find the status line: the last of the transcript, except for its details."""
    for row in range(end, -1, -1):
        if _WORKING.match(lines[row]):
            return lines[row]
        if not lines[row].startswith("  "):
            break
    return ""


def _above_pending(lines: Sequence[str], end: int) -> int:
    """Skip the list of pending messages, for this turn and later ones, below the status line."""
    above = end
    for row in range(end, -1, -1):
        if _PENDING.match(lines[row]):
            above = _last_nonblank(lines, row)
        elif lines[row] and not lines[row].startswith("  "):
            break
    return above if above < end and _working(lines, above) else end


def _above_background(frame: Frame, end: int) -> int:
    """Skip the line of background commands below the mark of a turn's end."""
    if end >= 0 and not frame.bright[end] and _BACKGROUND.match(frame.lines[end]):
        return _last_nonblank(frame.lines, end)
    return end


def _ends_interrupted(lines: Sequence[str], end: int) -> bool:
    """Find the mark of an interrupt, whose text wraps to an indent, or to column 0 (0.80)."""
    row = end
    while row >= 0 and lines[row] and lines[row][0] not in "■•›":
        row -= 1
    return row >= 0 and lines[row].startswith("■ ")


def _ends_worked(frame: Frame, end: int) -> bool:
    return end >= 0 and not frame.bright[end] and bool(_WORKED.match(frame.lines[end]))


def _is_tail_decoration(kept: Sequence[str], bright: Mapping[str, str], working: bool) -> bool:
    """Return whether the last line is blank, a turn's end mark, or part of a status line or tip."""
    line = kept[-1]
    if not line or _is_end_mark(line, bright):
        return True
    for above in reversed(kept[-8:]):
        if working and _WORKING.match(above):
            return True
        if _TIP.match(above):
            return not bright.get(above, above).startswith("  └")
        if not above.startswith("  "):
            return False
    return False


def _is_end_mark(line: str, bright: Mapping[str, str]) -> bool:
    faint = not bright.get(line, line)
    return faint and bool(_WORKED.match(line) or _BACKGROUND.match(line))
