"""What a driver must know of an agent's screen layout: the interface that each agent implements.

Pure functions of frames. The base class describes an unknown terminal program: no composer, no
dialogs, and ready when the screen is quiet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agentapi.model.comparison import squeeze
from agentapi.model.conversation import Dialog, Phase
from agentapi.model.frames import Frame


@dataclass(frozen=True, slots=True)
class Composer:
    """The input box of an agent."""

    top: int
    """Its first row."""
    text: str
    """Its text, without the placeholder; rows joined by newlines."""
    ready: bool = True
    """Whether a prompt can be typed now."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The parts of one frame."""

    transcript: int
    """Rows before this one hold the conversation (or the whole screen of a plain program)."""
    composer: Composer | None = None
    dialog: Dialog | None = None
    dialog_text: str = ""
    """The open dialog as displayed."""
    marked: str = ""
    """The id of the choice that Enter selects."""
    working: str = ""
    """The working line; empty if none is displayed."""
    popup: bool = False
    """Whether a completion popup is open, which would consume Enter."""
    interrupted: bool = False
    """Whether the conversation ends with the mark of an interrupted turn."""
    ended: bool = False
    """Whether the conversation ends with the mark of a finished turn."""


class Unsendable(ValueError):
    """A prompt that cannot be entered literally in this agent's composer."""


@dataclass(frozen=True)
class AgentProfile:
    """An unknown terminal program."""

    name: str
    quiet: float = 0.5
    """Seconds without output after which the agent is assumed to wait, without better evidence."""
    settle: float = 0.15
    """Seconds for which the agent must be ready before it has started: agents flicker while they
    start. Codex 0.169 is idle, reports 0.01 to 0.35 s later that it works, and is idle again within
    0.1 s."""
    settle_at_most: float = 1.0
    """The upper limit while nothing has flickered and the start is slow: a busy machine."""
    has_composer: bool = False
    """Whether the profile recognizes the input box and user messages. Otherwise they are recognized
    by shape, and readiness by a prompt and a quiet screen."""
    interrupt_key: str = "\x1b"
    report_unfocused: bool = False
    """Whether to report that the terminal has no focus, for agents that announce the end of a turn
    only then."""

    def read(self, frame: Frame) -> Reading:
        """Find the parts of a screen."""
        return Reading(transcript=frame.rows)

    def title_phase(self, title: str) -> Phase | None:
        """Return the phase that the window title indicates, if any."""
        return None

    def notification_phase(self, text: str) -> Phase | None:
        """Return the phase that a desktop notification (OSC 9) indicates, if any."""
        return None

    def unknown_dialog(self, frame: Frame, why: str) -> Reading:
        """Return what to display for a question that was announced (`why`) but is not
        recognized."""
        return self.read(frame)

    def may_be_question(self, frame: Frame, known: Collection[str]) -> bool:
        """Return whether the screen would be a question if it stood still; see `quiet_question`."""
        return False

    def quiet_question(self, frame: Frame, known: Collection[str], keys: bool) -> Reading | None:
        """Return the question of a screen recognized only because it stands still. `known`: the
        prompts at which messages were sent; `keys`: the program takes single keys and never showed
        a prompt."""
        return None

    def follow_question(self, asked: Reading, then: Frame, now: Frame) -> Reading | None:
        """Return that question on a later frame; None if it is gone."""
        return None

    def starts_echo(self, line: str) -> bool:
        """Return whether a line begins the echo of a user message."""
        return False

    def heading(self, line: str) -> str:
        """Return the line as the beginning of an echo, if it may be the one-line prompt that the
        agent pins to the first row of the alternate screen; else an empty string."""
        return ""

    def echo_length(self, lines: Sequence[str]) -> int:
        """Return the number of lines of the echo at the beginning of `lines`."""
        return 1

    def echo_text(self, lines: Sequence[str]) -> str:
        """Return the user's text in an echo, as far as displayed."""
        return "\n".join(lines)

    def clean(
        self, lines: Sequence[str], bright: Mapping[str, str], working: bool = False
    ) -> list[str]:
        """Drop decoration from lines of the conversation.

        `bright` maps the last lines to their text without faint characters. Only while `working`
        is a line that looks like a status line one."""
        return list(lines)

    def clean_startup(self, lines: Sequence[str]) -> list[str]:
        """Drop decoration from the start-up screen."""
        return list(lines)

    def literal(self, text: str, announces: bool = False) -> str:
        """Return the text to paste so that `text` reaches the model unchanged. `announces`: the
        agent sends OSC 7501, as its newer versions do.

        Raises `Unsendable` if there is no such text."""
        return text

    def without_typed(self, frame: Frame, typed: str, part: bool = False) -> Frame:
        """Return the frame without the text typed at the cursor, or (`part`) still being typed."""
        return frame

    def echoed(self, frame: Frame, reading: Reading, typed: str) -> bool:
        """Return whether the composer (or the screen) shows the typed text."""
        wanted = squeeze(typed)[-40:]
        row = frame.cursor[1]
        above = squeeze("".join(frame.lines[max(0, row - 40) : row + 1]))
        return above.endswith(wanted)
