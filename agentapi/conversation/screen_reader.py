"""What a frame says of the phase and of the open question: the face of the two ways to read one.

`KnownScreen` reads the screens of an agent whose looks its profile knows, `ShapeScreen` those of
any other program, by what terminal programs have in common. The tracker chooses one of them, once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from agentapi.conversation.extract import Extractor
from agentapi.conversation.open_dialog import OpenDialog
from agentapi.conversation.profile import AgentProfile, Reading
from agentapi.conversation.status import PhaseFusion, Source
from agentapi.model.conversation import Dialog, Phase
from agentapi.model.frames import Frame


class ScreenReader(ABC):
    """Reads the frames of one terminal. What it sees goes to the fusion and to the open dialog."""

    marks_ends: bool
    """Whether the end of a turn can be seen, so that its message is known to be finished."""
    answers_at_once: bool
    """Whether an answer may be on the screen before its turn is known to have begun."""
    heeds_terminal_key: bool
    """Whether the terminal's own key (`^C`) interrupts, where the terminal has one."""

    def __init__(
        self,
        profile: AgentProfile,
        fusion: PhaseFusion,
        dialog: OpenDialog,
        extractor: Extractor,
    ) -> None:
        self.profile, self.fusion, self.dialog = profile, fusion, dialog
        self.extractor = extractor
        """Reads the conversation off the same frames."""
        self.reading = Reading(transcript=0)
        """The parts of the last frame."""
        self.unknown = ""
        """The text of the screen where it cannot be read; else empty."""
        self.foreign = False
        """Whether a program that shows a prompt has opened the alternate screen for another one,
        which shows none: an editor in a shell."""
        self.typing = ""
        """The message that is being typed; what the screen shows then is ours."""
        self.submitted = False
        """Whether a message was submitted whose turn has not been seen to begin."""

    # -- what comes in ---------------------------------------------------------------------------

    @abstractmethod
    def take(self, frame: Frame) -> None:
        """Read the next frame."""

    @abstractmethod
    def weigh(self) -> None:
        """Tell what the frame says of the phase and of the open question."""

    @abstractmethod
    def announced(self, blocked_by: str | None) -> None:
        """The program announced its state by OSC 7501; `blocked_by` is its question, if any."""

    @abstractmethod
    def other_title(self) -> None:
        """The program set a title that says nothing of the phase."""

    def prepare(self) -> None:
        """A message is about to be typed."""
        self.extractor.prepare()

    def submit(self, text: str) -> None:
        """A message stands in the input box and is about to be submitted."""
        self.submitted = True

    def update(self) -> None:
        """Tell the fusion what the screen shows apart from work, and what the agent asks."""
        self.fusion.see(self.ready, self.dialog.open)

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether a prompt would be taken, as far as the screen shows."""

    # -- time that passed: each is called when its condition has held for long enough ------------

    @property
    def lost(self) -> bool:
        """Whether the screen cannot be read and nothing says that the agent works: when it has
        stood still, call `stood_still`."""
        return False

    @abstractmethod
    def stood_still(self) -> None:
        """A screen that cannot be read did not change for some seconds: it is a question."""

    @property
    def dialog_waits(self) -> bool:
        """Whether the screen shows what looks like a question: when it has stood for a moment, call
        `dialog_stood`."""
        return False

    @property
    def question_readable(self) -> bool:
        """Whether that question can be read, and is not only spoken of."""
        return True

    @abstractmethod
    def dialog_stood(self) -> None:
        """What looks like a question has stood: it is one."""

    @property
    @abstractmethod
    def needs_quiet(self) -> bool:
        """Whether nothing better than a quiet time would show the next change of the phase: when
        nothing came for `patience` seconds, call `fell_quiet`."""

    @property
    @abstractmethod
    def patience(self) -> float:
        """Seconds without output after which the agent is believed to wait."""

    @property
    def may_work_silently(self) -> bool:
        """Whether a quiet screen proves nothing, as it shows no prompt."""
        return False

    def fell_quiet(self, seconds: float, keys: bool = False) -> None:
        """No output for that long. `keys`: the terminal hands over single keys, or shows nothing of
        what is typed, so that where no prompt was ever seen a message would be pressed as keys."""
        if self.needs_quiet and self.at_rest(keys):
            self.fusion.withdraw(Source.ROLLOUT)
            self.fusion.note(Source.QUIET, Phase.IDLE, f"no output for {seconds:g} s")
            self.fusion.settle()

    @abstractmethod
    def at_rest(self, keys: bool) -> bool:
        """Whether the quiet screen is that of an agent that waits for a message."""

    @abstractmethod
    def saw_output(self) -> None:
        """The screen changed."""

    # -- what it shows -----------------------------------------------------------------------------

    @property
    def dialog_text(self) -> str:
        """The open dialog as it stands on the screen; empty when none is open."""
        return self.reading.dialog_text

    def newly_asked(self, before: Dialog | None) -> bool:
        """Whether the last frame painted a dialog, where there was `before`."""
        return self.reading.dialog is not None and before is None

    def still_asks(self, asked: Dialog) -> bool:
        """Whether it is sure that this question of a turn is still open."""
        return False

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether the screen shows all that belongs to the phase: the end of the turn that is
        over, the dialog that is open."""

    @property
    @abstractmethod
    def shows_message(self) -> bool:
        """Whether the submitted message is seen in the conversation."""

    @property
    def shows_work(self) -> bool:
        """Whether a turn that is believed to be open really may be."""
        return True

    @property
    def asks_again(self) -> bool:
        """Whether the screen asks for the interrupting key once more."""
        return False
