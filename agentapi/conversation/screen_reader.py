"""Interface of the screen readers, which derive the phase and the open question from frames.

`KnownScreen` reads agents whose profile knows their layout. `ShapeScreen` reads any other program
by conventions that terminal programs share. The tracker chooses one of them, once.
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
    """Reads the frames of one terminal; updates the fusion and the open dialog."""

    marks_ends: bool
    """Whether the end of a turn is visible, so that its message is known to be complete."""
    answers_immediately: bool
    """Whether an answer may be displayed before its turn is known to have begun."""
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
        """Extracts the conversation from the same frames."""
        self.reading = Reading(transcript=0)
        """The parts of the last frame."""
        self.unknown = ""
        """The text of an unreadable screen; else empty."""
        self.foreign = False
        """Whether another program, without a prompt, has taken over the alternate screen: an editor
        in a shell."""
        self.typing = ""
        """The message being typed; its text on the screen is ours."""
        self.submitted = False
        """Whether the turn of a submitted message has not been seen to begin."""

    # -- input -----------------------------------------------------------------------------------

    @abstractmethod
    def take(self, frame: Frame) -> None:
        """Read the next frame."""

    @abstractmethod
    def report(self) -> None:
        """Report the phase and the open question that the frame shows."""

    @abstractmethod
    def state_announced(self, block_reason: str | None) -> None:
        """Handle a state announced by OSC 7501; `block_reason` is the question, if any."""

    @abstractmethod
    def neutral_title(self) -> None:
        """Handle a title that does not indicate a phase."""

    def prepare(self) -> None:
        """Prepare for a message that is about to be typed."""
        self.extractor.prepare()

    def submit(self, text: str) -> None:
        """Prepare for the message in the input box to be submitted."""
        self.submitted = True

    def update(self) -> None:
        """Update the fusion with readiness and the open question."""
        self.fusion.update_screen(self.ready, self.dialog.open)

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether a prompt would be accepted, as far as the screen shows."""

    # -- timeouts: each is called when its condition has held for long enough --------------------

    @property
    def unreadable(self) -> bool:
        """Whether the screen is unreadable and no source reports work: call `confirm_unknown` once
        it has stood still."""
        return False

    @abstractmethod
    def confirm_unknown(self) -> None:
        """Treat an unreadable screen that did not change for some seconds as a question."""

    @property
    def dialog_unconfirmed(self) -> bool:
        """Whether the screen shows what looks like a question: call `confirm_dialog` after a
        moment."""
        return False

    @property
    def dialog_readable(self) -> bool:
        """Whether that question is displayed, and not only announced."""
        return True

    @abstractmethod
    def confirm_dialog(self) -> None:
        """Treat what looks like a question as one."""

    @property
    @abstractmethod
    def needs_quiet(self) -> bool:
        """Whether only a quiet period would show the next phase change: call `handle_quiet` after
        `patience` seconds without output."""

    @property
    @abstractmethod
    def patience(self) -> float:
        """Seconds without output after which the agent is assumed to wait."""

    @property
    def may_work_silently(self) -> bool:
        """Whether a quiet screen proves nothing, for lack of a prompt."""
        return False

    def handle_quiet(self, seconds: float, keys: bool = False) -> None:
        """Handle a quiet period. `keys`: the terminal is in single-key mode or without echo; unless
        a prompt was seen before, a message would be read as single keys."""
        if self.needs_quiet and self.is_waiting(keys):
            self.fusion.withdraw(Source.ROLLOUT)
            self.fusion.record(Source.QUIET, Phase.IDLE, f"no output for {seconds:g} s")
            self.fusion.settle()

    @abstractmethod
    def is_waiting(self, keys: bool) -> bool:
        """Return whether the quiet agent waits for a message."""

    @abstractmethod
    def saw_output(self) -> None:
        """Handle a change of the screen."""

    # -- state -------------------------------------------------------------------------------------

    @property
    def dialog_text(self) -> str:
        """The open dialog as displayed; empty if none is open."""
        return self.reading.dialog_text

    def dialog_appeared(self, before: Dialog | None) -> bool:
        """Return whether the last frame shows a new dialog, compared to `before`."""
        return self.reading.dialog is not None and before is None

    def is_still_open(self, asked: Dialog) -> bool:
        """Return whether this question of a turn is certainly still open."""
        return False

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether the screen shows everything that belongs to the phase: the end of the finished
        turn, or the open dialog."""

    @property
    @abstractmethod
    def shows_message(self) -> bool:
        """Whether the conversation shows the submitted message."""

    @property
    def shows_work(self) -> bool:
        """Whether a turn assumed to be open may really be."""
        return True

    @property
    def wants_second_key(self) -> bool:
        """Whether the screen asks to press the interrupt key again."""
        return False
