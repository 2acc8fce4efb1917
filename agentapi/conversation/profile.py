"""What a driver must know of an agent's looks: the face that each agent's file fills in.

Pure functions over frames. The base class describes any program on a terminal, of which nothing
is known: no composer, no dialogs, and "ready" only by a quiet screen.
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
    """What stands in it, without the placeholder; rows joined by newlines."""
    ready: bool = True
    """Whether a prompt typed now would be taken as one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a profile read off one frame."""

    transcript: int
    """Rows below this number hold the conversation (or the whole of a plain program's screen)."""
    composer: Composer | None = None
    dialog: Dialog | None = None
    dialog_text: str = ""
    """The open dialog as it stands on the screen."""
    marked: str = ""
    """The id of the dialog's choice that Enter would take."""
    working: str = ""
    """The line that says that the agent works; empty when none is shown."""
    popup: bool = False
    """Whether a completion popup is open, which would eat the Enter."""
    interrupted: bool = False
    """Whether the conversation ends with the mark of an interrupted turn."""
    ended: bool = False
    """Whether the conversation ends with the mark of a finished turn."""


class Unsendable(ValueError):
    """A prompt that this agent's composer cannot take literally."""


@dataclass(frozen=True)
class AgentProfile:
    """A program on a terminal of which nothing is known."""

    name: str
    quiet: float = 0.5
    """Seconds without output after which the agent is believed to wait, where nothing better
    tells."""
    settle: float = 0.15
    """Seconds for which the first readiness must last: agents blink while they start. Codex 0.169
    is idle, says 0.01 to 0.35 s later that it works, and is idle again within 0.1 s."""
    settle_at_most: float = 1.0
    """The same where the start takes long and nothing has blinked yet: a busy machine."""
    has_composer: bool = False
    """Whether the input box and the user's messages are known by their looks; without, they are
    told by shape, and readiness by a prompt and a quiet screen."""
    interrupt_key: str = "\x1b"
    report_unfocused: bool = False
    """Whether to tell the program that its terminal has no focus, for agents that announce the
    end of a turn only then."""

    def read(self, frame: Frame) -> Reading:
        """Find the parts of a screen."""
        return Reading(transcript=frame.rows)

    def title_phase(self, title: str) -> Phase | None:
        """What the window title says of the phase; None when it says nothing."""
        return None

    def notification_phase(self, text: str) -> Phase | None:
        """What a desktop notification (OSC 9) says of the phase; None when it says nothing."""
        return None

    def unknown_dialog(self, frame: Frame, why: str) -> Reading:
        """What to show of a question that the agent only speaks of (`why`)."""
        return self.read(frame)

    def asks_when_quiet(self, frame: Frame, known: Collection[str]) -> bool:
        """Whether the screen would be a question if it stood still; see `quiet_question`."""
        return False

    def quiet_question(self, frame: Frame, known: Collection[str], keys: bool) -> Reading | None:
        """The question of a screen that stands still, where nothing but that tells it. `known`:
        the prompts at which messages were sent; `keys`: the program takes single keys, and never
        showed a prompt."""
        return None

    def still_asked(self, asked: Reading, then: Frame, now: Frame) -> Reading | None:
        """That question on a later frame; None when it is gone."""
        return None

    def starts_echo(self, line: str) -> bool:
        """Whether a transcript line begins the echo of a user's message."""
        return False

    def heading(self, line: str) -> str:
        """A line as the beginning of an echo, if it may be the prompt in one line that the agent
        pins to the first row of the alternate screen; empty when it cannot be."""
        return ""

    def echo_length(self, lines: Sequence[str]) -> int:
        """How many of `lines`, the first of which begins an echo, belong to it."""
        return 1

    def echo_text(self, lines: Sequence[str]) -> str:
        """The user's words in an echo, as far as the screen shows them."""
        return "\n".join(lines)

    def clean(
        self, lines: Sequence[str], bright: Mapping[str, str], working: bool = False
    ) -> list[str]:
        """Drop what is furniture from lines of the conversation.

        `bright` gives the last lines without their faint characters; `working` tells whether a
        turn is open, as only then a line that looks like a status line is one."""
        return list(lines)

    def clean_startup(self, lines: Sequence[str]) -> list[str]:
        """Drop what is furniture from the start-up screen."""
        return list(lines)

    def literal(self, text: str, announces: bool = False) -> str:
        """The text to paste so that `text` reaches the model as it is. `announces` tells whether
        this agent speaks OSC 7501, by which its newer versions are known.

        Raises `Unsendable` when there is no such text."""
        return text

    def without_typed(self, frame: Frame, typed: str, part: bool = False) -> Frame:
        """The frame without the text that was typed at its cursor, or (`part`) is being typed."""
        return frame

    def echoed(self, frame: Frame, reading: Reading, typed: str) -> bool:
        """Whether the composer (or the screen) shows what was typed."""
        wanted = squeeze(typed)[-40:]
        row = frame.cursor[1]
        above = squeeze("".join(frame.lines[max(0, row - 40) : row + 1]))
        return above.endswith(wanted)
