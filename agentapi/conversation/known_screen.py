"""Read the screens of an agent whose profile knows its layout."""

from __future__ import annotations

from agentapi.conversation.extract import MarkedExtractor
from agentapi.conversation.open_dialog import OpenDialog
from agentapi.conversation.profile import AgentProfile
from agentapi.conversation.screen_reader import ScreenReader
from agentapi.conversation.status import PhaseFusion, Source
from agentapi.conversation.unknown import unknown_dialog, unknown_text
from agentapi.model.conversation import Phase
from agentapi.model.frames import Frame

_STRONG = (Source.LINK, Source.OSC, Source.TITLE, Source.NOTIFICATION)
"""Sources that report the end of a turn sooner than a quiet period."""


class KnownScreen(ScreenReader):
    """Recognizes the input box, dialogs, the working line and the end of a turn."""

    marks_ends = True
    answers_immediately = False
    heeds_terminal_key = False

    def __init__(self, profile: AgentProfile, fusion: PhaseFusion, dialog: OpenDialog) -> None:
        super().__init__(profile, fusion, dialog, MarkedExtractor(profile))
        self._confirmed = False
        """Whether an unreadable screen stood still: it waits for a person until an input box
        appears."""

    @property
    def ready(self) -> bool:
        """Whether the input box takes prompts."""
        composer = self.reading.composer
        return composer is not None and composer.ready

    def take(self, frame: Frame) -> None:
        """Read the next frame."""
        self.reading = reading = self.profile.read(frame)
        self.extractor.take(frame, reading)
        self.unknown = unknown_text(frame, reading)

    def report(self) -> None:
        """Report the phase and the open question that the frame shows."""
        reading = self.reading
        self._confirmed = self._confirmed and bool(self.unknown)
        shown = unknown_dialog(self.unknown) if self._confirmed else reading.dialog
        self.dialog.show(shown, same=self._confirmed)
        self.update()
        expecting = self.extractor.expecting
        if reading.working:
            self.fusion.record(Source.SCREEN, Phase.WORKING, "working line")
        elif reading.interrupted and not expecting:
            self.fusion.record(Source.SCREEN, Phase.IDLE, "interrupted")
        elif reading.ended and not expecting:
            self.fusion.record(Source.SCREEN, Phase.IDLE, "end of the turn")
        else:
            self.fusion.withdraw(Source.SCREEN)

    def state_announced(self, block_reason: str | None) -> None:
        """Do nothing: the screen is read the same way whatever the agent announces."""

    def neutral_title(self) -> None:
        """Do nothing: the evidence of an earlier title still holds."""

    @property
    def unreadable(self) -> bool:
        """Whether nothing on the screen is recognized and no source reports work."""
        return bool(self.unknown) and not self._confirmed and not self.fusion.reports_working

    def confirm_unknown(self) -> None:
        """Treat the unreadable screen as a question."""
        if self.unreadable:
            self._confirmed = True
            self.dialog.show(unknown_dialog(self.unknown), same=True)
            self.update()

    def confirm_dialog(self) -> None:
        """Do nothing: a recognized dialog counts at once."""

    def saw_output(self) -> None:
        """Do nothing: only the working line shows work."""

    @property
    def dialog_text(self) -> str:
        """The open dialog as displayed; empty if none is open."""
        return self.unknown if self._confirmed else self.reading.dialog_text

    @property
    def complete(self) -> bool:
        """Whether the screen shows the open dialog, or the mark at the end of the turn."""
        reading = self.reading
        if self.fusion.state.phase is Phase.BLOCKED:
            return self._confirmed or reading.dialog is not None
        return (reading.ended or reading.interrupted) and not self.extractor.expecting

    @property
    def shows_message(self) -> bool:
        """Whether the conversation shows the submitted message."""
        return not self.extractor.expecting

    @property
    def needs_quiet(self) -> bool:
        """Whether the agent works, and only the disappearing working line would show the end."""
        fusion = self.fusion
        if fusion.state.phase is not Phase.WORKING:
            return False
        if (latest := fusion.deciding) is not None and latest.source is Source.ROLLOUT:
            return fusion.open_only_by_record
        return not any(source in fusion.evidence for source in _STRONG)

    @property
    def patience(self) -> float:
        """Seconds without output after which the agent is assumed to wait."""
        return self.profile.quiet

    def is_waiting(self, keys: bool) -> bool:
        """Whether the screen shows an input box and no work."""
        return self.reading.composer is not None and not self.reading.working
