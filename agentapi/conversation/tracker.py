"""The conversation as a state machine: frames, signals and sends in; messages and phases out.

    ScreenReader    reads frames, by a known layout or by shape
    MessageReader   reads the agent's message, and decides when it is final
    OpenDialog      the open question
    PhaseFusion     derives the phase and its reason from all evidence

The driver owns the terminal, the clock and the timers.
"""

from __future__ import annotations

from collections.abc import Iterator

from agentapi.conversation.known_screen import KnownScreen
from agentapi.conversation.message_reader import MessageReader
from agentapi.conversation.open_dialog import OpenDialog
from agentapi.conversation.profile import AgentProfile, Reading
from agentapi.conversation.screen_reader import ScreenReader
from agentapi.conversation.shape_screen import ShapeScreen
from agentapi.conversation.status import PhaseFusion, Source
from agentapi.model.conversation import Dialog, Phase, PhaseState, dialog_ids
from agentapi.model.frames import AgentState, Frame, Notification, Signal, Title

_OSC_PHASES = {
    "idle": Phase.IDLE,
    "done": Phase.IDLE,
    "error": Phase.IDLE,  # a failed turn, seen in 0.169: it waits for the user
    "working": Phase.WORKING,
    "blocked": Phase.BLOCKED,
}
_ANNOUNCING = (Source.LINK, Source.OSC, Source.TITLE)
"""Sources by which an agent announces that it works."""


class Tracker:
    """One conversation on one terminal."""

    def __init__(self, profile: AgentProfile, ids: Iterator[str] | None = None) -> None:
        """`ids` supplies the ids of displayed dialogs."""
        self.profile = profile
        self.fusion = PhaseFusion()
        self._dialog = OpenDialog(ids or dialog_ids())
        reader = KnownScreen if profile.has_composer else ShapeScreen
        self.screen: ScreenReader = reader(profile, self.fusion, self._dialog)
        """Reads this program's frames."""
        self.message = MessageReader(self.screen, self.fusion)
        """Reads the agent's message."""

    # -- input -----------------------------------------------------------------------------------

    def signal(self, signal: Signal) -> None:
        """Take a signal that the agent sent to the terminal."""
        match signal:
            case AgentState():
                self._announced(signal)
            case Title(text):
                phase = self.profile.title_phase(text)
                if phase is not None:
                    self.fusion.record(Source.TITLE, phase, phase.value)
                else:
                    self.screen.neutral_title()
            case Notification(text):
                phase = self.profile.notification_phase(text)
                if phase is not None:
                    self.fusion.record(Source.NOTIFICATION, phase, phase.value)

    def _announced(self, signal: AgentState) -> None:
        if phase := _OSC_PHASES.get(signal.state):
            self.fusion.record(Source.OSC, phase, signal.state)
        else:  # an unknown state must replace the previous one, too
            self.fusion.withdraw(Source.OSC)
        self.screen.state_announced(signal.message if signal.state == "blocked" else None)

    def take(self, frame: Frame) -> None:
        """Take the next frame. The phase is updated at once, the conversation when `message` is
        read."""
        self.screen.take(frame)
        composer = self.reading.composer
        if composer is not None and composer.text.startswith("/"):
            self.message.freeze()  # later output may be that of a command
        self.screen.report()

    def set_question(self, dialog: Dialog | None) -> None:
        """Set the question that the agent itself reported; None once it is answered."""
        self._dialog.report(dialog)
        self.screen.update()

    def settle(self) -> None:
        """Mark the agent as started, after it was ready or at work for the settling time."""
        adopts = self.screen.extractor.adopt_last
        if self.fusion.ready or (self.fusion.at_work and adopts()):
            self.fusion.settle()

    # -- sending a message -----------------------------------------------------------------------

    @property
    def typing(self) -> str:
        """The message being typed."""
        return self.screen.typing

    @typing.setter
    def typing(self, text: str) -> None:
        self.screen.typing = text

    def prepare(self) -> None:
        """Prepare for a message that is about to be typed. Ends with `begin` or `abandon`."""
        self.screen.prepare()

    def submit(self, text: str) -> None:
        """Prepare for the message in the composer to be submitted."""
        self.screen.submit(text)
        self.fusion.submit()
        self.screen.extractor.expect(text)

    def begin(self, reason: str) -> None:
        """Begin the turn of the submitted message."""
        self.screen.submitted = False
        self.message.begin()
        self.fusion.begin(reason)

    def abandon(self) -> None:
        """Give up the message, as it was not accepted."""
        self.screen.submitted = False
        self.screen.extractor.abandon()

    @property
    def announced_end(self) -> bool:
        """Whether a notification announced the end of a turn since the last message was submitted.
        0.80 has no other signal, and a short turn is over before its working line is drawn."""
        latest = self.fusion.evidence.get(Source.NOTIFICATION)
        heard = self.fusion.reported(Source.NOTIFICATION)
        return heard and latest is not None and latest.phase is Phase.IDLE

    @property
    def taken(self) -> bool:
        """Whether the conversation shows the submitted message of an agent that announces nothing.
        A dialog may open before its working line is drawn."""
        announces = any(source in self.fusion.evidence for source in _ANNOUNCING)
        return self.screen.submitted and not announces and self.screen.shows_message

    # -- state -------------------------------------------------------------------------------------

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
    def question_reported(self) -> bool:
        """Whether the agent itself reported the open question."""
        return self._dialog.is_reported

    @property
    def dialog_text(self) -> str:
        """The open dialog as displayed; empty if none is open."""
        return self.screen.dialog_text

    @property
    def question(self) -> str:
        """The open question as displayed; empty while the screen shows none or a different one."""
        shown = self._dialog.matches_screen(self.reading.dialog)
        return self.dialog_text if shown else ""
