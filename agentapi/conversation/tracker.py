"""The conversation as a state machine: frames, signals and sends in; texts and phases out.

    ScreenReader   what a frame says: by known looks, or by shape
    Spoken         what the agent said, and whether it may still change
    OpenDialog     the question that waits
    PhaseFusion    all evidence together: the phase and its reason

The driver above it owns the terminal, the clock and the timers.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentapi.conversation.known_screen import KnownScreen
from agentapi.conversation.open_dialog import OpenDialog
from agentapi.conversation.profile import AgentProfile, Reading
from agentapi.conversation.screen_reader import ScreenReader
from agentapi.conversation.shape_screen import ShapeScreen
from agentapi.conversation.spoken import Spoken
from agentapi.conversation.status import PhaseFusion, Source
from agentapi.model.conversation import Dialog, Phase, PhaseState, dialog_ids
from agentapi.model.frames import AgentState, Frame, Notification, Signal, Title

_OSC_PHASES = {
    "idle": Phase.IDLE,
    "done": Phase.IDLE,
    "error": Phase.IDLE,  # a turn that failed, seen in 0.169: it waits for the user
    "working": Phase.WORKING,
    "blocked": Phase.BLOCKED,
}
_ANNOUNCING = (Source.LINK, Source.OSC, Source.TITLE)
"""Sources by which an agent announces that it works."""


class Tracker:
    """One conversation on one terminal."""

    def __init__(self, profile: AgentProfile, ids: Iterator[str] | None = None) -> None:
        """`ids`: those of the dialogs on the screen."""
        self.profile = profile
        self.fusion = PhaseFusion()
        self._dialog = OpenDialog(ids or dialog_ids())
        reader = KnownScreen if profile.has_composer else ShapeScreen
        self.screen: ScreenReader = reader(profile, self.fusion, self._dialog)
        """How this program's frames are read."""
        self.spoken = Spoken(self.screen, self.fusion)
        """What the agent said."""

    # -- what comes in ---------------------------------------------------------------------------

    def signal(self, signal: Signal) -> None:
        """Take a signal that the agent sent to the terminal."""
        match signal:
            case AgentState():
                self._announced(signal)
            case Title(text):
                phase = self.profile.title_phase(text)
                if phase is not None:
                    self.fusion.note(Source.TITLE, phase, phase.value)
                else:
                    self.screen.other_title()
            case Notification(text):
                phase = self.profile.notification_phase(text)
                if phase is not None:
                    self.fusion.note(Source.NOTIFICATION, phase, phase.value)

    def _announced(self, signal: AgentState) -> None:
        if phase := _OSC_PHASES.get(signal.state):
            self.fusion.note(Source.OSC, phase, signal.state)
        else:  # a state that we do not know must not leave the one before it standing
            self.fusion.withdraw(Source.OSC)
        self.screen.announced(signal.message if signal.state == "blocked" else None)

    def take(self, frame: Frame) -> None:
        """Take the next frame: what it says of the phase counts at once, what it says of the
        conversation when `spoken` is read."""
        self.screen.take(frame)
        composer = self.reading.composer
        if composer is not None and composer.text.startswith("/"):
            self.spoken.stand()  # what is painted from now on may be a command's
        self.screen.weigh()

    def ask(self, dialog: Dialog | None) -> None:
        """The agent's own word on the question that it asks; None when it is decided."""
        self._dialog.ask(dialog)
        self.screen.update()

    def settle(self) -> None:
        """The agent was ready, or at work, for the settling time."""
        adopts = self.screen.extractor.adopt_last
        if self.fusion.ready or (self.fusion.at_work and adopts()):
            self.fusion.settle()

    # -- a message of ours -----------------------------------------------------------------------

    @property
    def typing(self) -> str:
        """The message that is being typed."""
        return self.screen.typing

    @typing.setter
    def typing(self, text: str) -> None:
        self.screen.typing = text

    def prepare(self) -> None:
        """A message is about to be typed. Ends with `begin` or `abandon`."""
        self.screen.prepare()

    def submit(self, text: str) -> None:
        """A message stands in the composer and is about to be submitted."""
        self.screen.submit(text)
        self.fusion.submit()
        self.screen.extractor.expect(text)

    def begin(self, because: str) -> None:
        """The submitted message's turn began."""
        self.screen.submitted = False
        self.spoken.begin()
        self.fusion.begin(because)

    def abandon(self) -> None:
        """The message was not taken."""
        self.screen.submitted = False
        self.screen.extractor.abandon()

    @property
    def announced_end(self) -> bool:
        """Whether a notification announced the end of a turn since the last message was submitted:
        0.80 has no other signal, and a short turn is over before its working line is painted."""
        said = self.fusion.evidence.get(Source.NOTIFICATION)
        heard = self.fusion.heard(Source.NOTIFICATION)
        return heard and said is not None and said.phase is Phase.IDLE

    @property
    def taken(self) -> bool:
        """Whether the submitted message stands in the conversation, of an agent that announces
        nothing: a dialog may open before its working line is painted."""
        announces = any(source in self.fusion.evidence for source in _ANNOUNCING)
        return self.screen.submitted and not announces and self.screen.shows_message

    # -- what it knows -----------------------------------------------------------------------------

    @property
    def state(self) -> PhaseState:
        """The phase, its reason and its dialog."""
        return self.fusion.state

    @property
    def reading(self) -> Reading:
        """The parts of the last frame."""
        return self.screen.reading

    @property
    def announces(self) -> bool:
        """Whether the agent announced its state by OSC 7501."""
        return Source.OSC in self.fusion.evidence

    @property
    def asks(self) -> bool:
        """Whether the open question is the agent's own word, and not the screen's alone."""
        return self._dialog.asks

    @property
    def dialog_text(self) -> str:
        """The open dialog as it stands on the screen; empty when none is open."""
        return self.screen.dialog_text

    @property
    def question(self) -> str:
        """The open question as the screen shows it; empty as long as that shows none, or another
        one than the agent asks."""
        shown = self._dialog.is_painted_by(self.reading.dialog)
        return self.dialog_text if shown else ""
