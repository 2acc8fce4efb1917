"""Read the screens of an unknown program by conventions that terminal programs share.

Text that looks like a question counts after a moment, as partly drawn text may look like one. It
counts at once if the program reports that it is blocked, or if another question was open.
"""

from __future__ import annotations

from dataclasses import replace

from agentapi.conversation.open_dialog import OpenDialog
from agentapi.conversation.plain import PlainExtractor, without_scroll_bar
from agentapi.conversation.profile import AgentProfile, Reading
from agentapi.conversation.screen_reader import ScreenReader
from agentapi.conversation.status import PhaseFusion, Source
from agentapi.model.conversation import STARTUP_DIALOGS, Dialog, Phase
from agentapi.model.frames import Frame

PROMPTLESS_QUIET = 10.0
"""Seconds without output after which a program without a prompt, or with a working line, is assumed
to wait."""
ASKING_QUIET = 2.0
"""The same if the text at the cursor asks for an answer."""
BLANK_QUIET = 30.0
"""The same for a blank screen: aider takes 25 s to start from a cold disk."""


class ShapeScreen(ScreenReader):
    """Recognizes prompts, questions and work by shape, and readiness by a quiet screen."""

    marks_ends = False
    answers_immediately = True
    heeds_terminal_key = True

    def __init__(self, profile: AgentProfile, fusion: PhaseFusion, dialog: OpenDialog) -> None:
        super().__init__(profile, fusion, dialog, PlainExtractor(profile))
        self._frame: Frame | None = None
        self._typed = ""
        """The last typed message."""
        self._sent = ""
        """The row with its end when Enter was pressed."""
        self._block_reason: str | None = None
        """The reason the program gave for being blocked; None if it is not."""
        self._readable = False
        """Whether the last frame showed a recognizable question."""
        self._rested = False
        """Whether the program has been quiet at its prompt."""
        self._prompted = False
        """Whether it ever was: then a screen without a prompt does not end a turn."""
        self._prompts: set[str] = set()
        """The text left of the cursor when messages were typed."""
        self._prompted_on_alternate = False
        """Whether that was on the alternate screen."""
        self._confirmed = False
        """Whether another program's screen stood still: it waits for a person until it closes."""
        self._quiet_question: tuple[Reading, Frame] | None = None
        """The question recognized only because the screen was quiet, and its frame."""

    # -- input -----------------------------------------------------------------------------------

    def take(self, frame: Frame) -> None:
        """Read the next frame."""
        frame = without_scroll_bar(frame)
        self._inspect(frame)
        self.extractor.take(frame, self.reading)

    def report(self) -> None:
        """Do nothing: a shape does not show work, and `take` has reported questions."""

    def state_announced(self, block_reason: str | None) -> None:
        """Read the screen again, as an announced state may change its meaning."""
        self._block_reason = block_reason
        if self._frame is not None:
            self._inspect(self._frame)
        else:
            self.update()

    def neutral_title(self) -> None:
        """Withdraw the title's evidence: its spinner is gone."""
        self.fusion.withdraw(Source.TITLE)

    def prepare(self) -> None:
        """Remember the prompt before the message."""
        super().prepare()
        if self._frame is not None:
            column, row = self._frame.cursor
            self._prompts.add(self._frame.lines[row][:column].strip())

    def submit(self, text: str) -> None:
        """Remember the row of the message."""
        super().submit(text)
        self._typed = text
        self._sent = self._frame.lines[self._frame.cursor[1]] if self._frame else ""

    @property
    def ready(self) -> bool:
        """Whether the program reported it, or was quiet. Being blocked counts only once the
        question is known, so that the two are published together."""
        latest = self.fusion.evidence.get(Source.OSC)
        return self._rested or (latest is not None and latest.phase is not Phase.WORKING)

    # -- questions -------------------------------------------------------------------------------

    def _inspect(self, frame: Frame) -> None:
        self._frame = frame
        self.reading = reading = self._read(frame)
        if reading.dialog is None:
            self.dialog.show(None)
        elif self.dialog.shown is not None or (self._block_reason is not None and self._readable):
            self.dialog.show(reading.dialog, same=self._confirmed)
        self.update()

    def _read(self, frame: Frame) -> Reading:
        """Read a frame, without a question that is only text we are typing. If the program reports
        a question that is not recognized, the whole screen is the question."""
        reading = self._below_sent(self.profile.read(frame), frame)
        if reading.dialog is not None and self._is_own_text(frame):
            reading = replace(reading, dialog=None, dialog_text="", marked="")
        self._readable = reading.dialog is not None
        if self._block_reason is not None and not self._readable:
            return self.profile.unknown_dialog(frame, self._block_reason)
        self.foreign = self._is_foreign(frame, reading)
        self._confirmed = self._confirmed and self.foreign
        if self._confirmed:
            return self.profile.unknown_dialog(frame, "")
        return reading if self._readable else self._followed_question(frame) or reading

    def _is_foreign(self, frame: Frame, reading: Reading) -> bool:
        if not (frame.alternate and self._prompted) or self._prompted_on_alternate:
            return False
        evidence = self.fusion.evidence
        self_reported = Source.OSC in evidence or Source.TITLE in evidence
        return not (reading.composer or reading.dialog or reading.working or self_reported)

    def _below_sent(self, reading: Reading, frame: Frame) -> Reading:
        """Drop what is above the last sent message from a question."""
        if reading.dialog is None or not self._sent:
            return reading
        below = below_row(frame, self._sent, frame.cursor[1])
        if below is None:
            return reading
        less = self.profile.read(below)
        return less if less.dialog and less.dialog.choices == reading.dialog.choices else reading

    def _followed_question(self, frame: Frame) -> Reading | None:
        """Return the question of a quiet screen while only its answer changes."""
        if self._quiet_question is None:
            return None
        asked = self.profile.follow_question(*self._quiet_question, frame)
        self._quiet_question = self._quiet_question if asked else None
        return asked

    def _is_own_text(self, frame: Frame) -> bool:
        """Return whether the question is only our own text at the cursor: the text being typed, or
        the complete message after its prompt."""
        words, part = self.typing or self._typed, bool(self.typing)
        if not words:
            return False
        bare = self.profile.read(self.profile.without_typed(frame, words, part))
        return bare.dialog is None and (part or bare.composer is not None)

    @property
    def dialog_unconfirmed(self) -> bool:
        """Whether the screen shows what looks like a question, not yet confirmed."""
        return self.reading.dialog is not None and self.dialog.shown is None

    @property
    def dialog_readable(self) -> bool:
        """Whether that question is displayed, and not only announced."""
        return self._readable

    def confirm_dialog(self) -> None:
        """Treat what looks like a question as one."""
        self.dialog.show(self.reading.dialog, same=self._confirmed)
        self.update()

    @property
    def unreadable(self) -> bool:
        """Whether another program has taken over the screen: the agent waits for it."""
        return self.foreign and not self._confirmed

    def confirm_unknown(self) -> None:
        """Treat such a screen as a question after some seconds."""
        if self.unreadable and self._frame is not None:
            self._confirmed = True
            self._inspect(self._frame)
            self.confirm_dialog()

    def dialog_appeared(self, before: Dialog | None) -> bool:
        """Return whether the last frame shows a new dialog, perhaps announced before."""
        now = self.reading.dialog
        return now is not None and (before is None or before.title != now.title)

    def is_still_open(self, asked: Dialog) -> bool:
        """Return whether this question of a turn is the open one."""
        now = self.fusion.state.dialog
        turn = self.fusion.started and asked.kind not in STARTUP_DIALOGS
        return turn and now is not None and now.id == asked.id

    # -- quiet and output ------------------------------------------------------------------------

    @property
    def needs_quiet(self) -> bool:
        """False while a question is displayed or the program reports its own state."""
        fusion = self.fusion
        if fusion.state.phase not in (Phase.STARTING, Phase.WORKING) or self.reading.dialog:
            return False
        latest = fusion.evidence.get(Source.OSC)
        return latest is None or (fusion.started and not fusion.reported(Source.OSC))

    @property
    def patience(self) -> float:
        """Seconds without output after which the program is assumed to wait."""
        if self._frame is None or not any(self._frame.lines):
            return BLANK_QUIET
        composer = self.reading.composer
        if self._may_ask(self._frame):
            return max(ASKING_QUIET, self.profile.quiet)
        if composer is None or "\n" in composer.text or self.reading.working:
            return PROMPTLESS_QUIET
        if not composer.text and self.extractor.painting:
            return PROMPTLESS_QUIET
        return PROMPTLESS_QUIET if Source.TITLE in self.fusion.evidence else self.profile.quiet

    @property
    def may_work_silently(self) -> bool:
        """Whether no prompt is displayed."""
        return self.reading.composer is None

    def is_waiting(self, keys: bool) -> bool:
        """Return whether the quiet screen is not a question, and shows a prompt if one was ever
        seen."""
        if self._confirm_quiet_question(keys):
            return False
        if self.reading.composer is not None:
            self._prompted = True
            self._prompted_on_alternate = self._frame is not None and self._frame.alternate
        elif self._prompted:
            return False
        self._rested = True
        self.fusion.withdraw(Source.TITLE)
        self.update()
        return True

    def _may_ask(self, frame: Frame) -> bool:
        ours = self.typing or self.submitted
        quiet = not (self.reading.working or ours)
        return quiet and self.profile.may_be_question(frame, self._prompts)

    def _confirm_quiet_question(self, keys: bool) -> bool:
        """Return whether the quiet screen is a question, and remember it."""
        frame = self._frame
        if frame is None or self.reading.working or self.typing or self.submitted:
            return False
        below = below_row(frame, self._sent, frame.cursor[1]) if self._sent else None
        single_keys = keys and not self._prompted
        asked = self.profile.quiet_question(below or frame, self._prompts, single_keys)
        if asked is None:
            return False
        self._quiet_question = asked, frame
        self._inspect(frame)
        self.confirm_dialog()
        return True

    def saw_output(self) -> None:
        """Take a change as work, unless the program reports its own state or shows its prompt or a
        question: that may be a clock, an animation or somebody typing."""
        fusion, reading = self.fusion, self.reading
        if not fusion.started or Source.OSC in fusion.evidence:
            return
        if self.typing or self.submitted:
            return
        prompt = reading.composer is not None and not reading.working
        prompt = prompt and not (self._frame and self._may_ask(self._frame))
        if fusion.state.phase is not Phase.IDLE or not (prompt or reading.dialog):
            fusion.record(Source.QUIET, Phase.WORKING, "output")

    # -- state -------------------------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Whether the open dialog is displayed, or the turn ended by a quiet period; signals come
        early."""
        if self.fusion.state.phase is Phase.BLOCKED:
            return self.reading.dialog is not None
        latest = self.fusion.deciding
        return latest is None or latest.source is Source.QUIET

    @property
    def shows_message(self) -> bool:
        """Always False: nothing marks a user message."""
        return False

    @property
    def shows_work(self) -> bool:
        """Whether the screen or the program itself reports work."""
        latest = self.fusion.deciding
        self_reported = latest is not None and latest.source is Source.OSC
        return self_reported or bool(self.reading.working)

    @property
    def wants_second_key(self) -> bool:
        """Whether the screen asks to press the interrupt key again."""
        return " again " in self.reading.working


def below_row(frame: Frame, line: str, before: int) -> Frame | None:
    """Blank the frame down to the last occurrence of `line` before row `before`; None if there is
    none."""
    row = next((row for row in range(before - 1, -1, -1) if frame.lines[row] == line), None)
    if row is None:
        return None
    return replace(frame, lines=("",) * (row + 1) + frame.lines[row + 1 :])
