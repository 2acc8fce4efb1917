"""Screens of an agent whose looks its profile knows."""

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
"""Sources that show the end of a turn sooner than a quiet time."""


class KnownScreen(ScreenReader):
    """Input box, dialogs, the line of work and the end of a turn are seen as such."""

    marks_ends = True
    answers_at_once = False
    heeds_terminal_key = False

    def __init__(self, profile: AgentProfile, fusion: PhaseFusion, dialog: OpenDialog) -> None:
        super().__init__(profile, fusion, dialog, MarkedExtractor(profile))
        self._stands = False
        """Whether a screen that cannot be read stood still: it waits for a person until an input
        box comes back."""

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

    def weigh(self) -> None:
        """What the frame says of the phase and of the open question."""
        reading = self.reading
        self._stands = self._stands and bool(self.unknown)
        shown = unknown_dialog(self.unknown) if self._stands else reading.dialog
        self.dialog.show(shown, same=self._stands)
        self.update()
        expecting = self.extractor.expecting
        if reading.working:
            self.fusion.note(Source.SCREEN, Phase.WORKING, "working line")
        elif reading.interrupted and not expecting:
            self.fusion.note(Source.SCREEN, Phase.IDLE, "interrupted")
        elif reading.ended and not expecting:
            self.fusion.note(Source.SCREEN, Phase.IDLE, "end of the turn")
        else:
            self.fusion.withdraw(Source.SCREEN)

    def announced(self, blocked_by: str | None) -> None:
        """The screen shows the same dialog, whatever the agent says of it."""

    def other_title(self) -> None:
        """What an earlier title said still holds."""

    @property
    def lost(self) -> bool:
        """Whether no part of the screen is known, while nothing says that the agent works."""
        return bool(self.unknown) and not self._stands and not self.fusion.says_work

    def stood_still(self) -> None:
        """Such a screen did not change for some seconds: it is a question."""
        if self.lost:
            self._stands = True
            self.dialog.show(unknown_dialog(self.unknown), same=True)
            self.update()

    def dialog_stood(self) -> None:
        """A dialog that is known by its looks counts at once."""

    def saw_output(self) -> None:
        """Output alone says nothing: work has a line of its own."""

    @property
    def dialog_text(self) -> str:
        """The open dialog as it stands on the screen; empty when none is open."""
        return self.unknown if self._stands else self.reading.dialog_text

    @property
    def complete(self) -> bool:
        """Whether the mark of the turn's end, or the open dialog, is on the screen."""
        reading = self.reading
        if self.fusion.state.phase is Phase.BLOCKED:
            return self._stands or reading.dialog is not None
        return (reading.ended or reading.interrupted) and not self.extractor.expecting

    @property
    def shows_message(self) -> bool:
        """Whether the submitted message is seen in the conversation."""
        return not self.extractor.expecting

    @property
    def needs_quiet(self) -> bool:
        """Whether the agent works, and only a working line that goes would show its end."""
        fusion = self.fusion
        if fusion.state.phase is not Phase.WORKING:
            return False
        if (said := fusion.deciding) is not None and said.source is Source.ROLLOUT:
            return fusion.record_alone
        return not any(source in fusion.evidence for source in _STRONG)

    @property
    def patience(self) -> float:
        """Seconds without output after which the agent is believed to wait."""
        return self.profile.quiet

    def at_rest(self, keys: bool) -> bool:
        """Whether the screen shows an input box and no work."""
        return self.reading.composer is not None and not self.reading.working
