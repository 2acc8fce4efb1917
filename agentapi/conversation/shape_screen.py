"""Screens of a program whose looks are not known: read by what terminal programs have in common.

What looks like a question counts when it has stood for a moment, or at once where the program says
that it is blocked, or asked another one before: words may look so while they are painted.
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
"""Seconds without output after which a program that shows no prompt, or that it works, is believed
to wait."""
ASKING_QUIET = 2.0
"""The same where what stands at the cursor wants an answer."""
BLANK_QUIET = 30.0
"""The same for one that has painted nothing: aider takes 25 s to start from a cold disk."""


class ShapeScreen(ScreenReader):
    """A prompt, a question and work are known by their shape, and readiness by a quiet screen."""

    marks_ends = False
    answers_at_once = True
    heeds_terminal_key = True

    def __init__(self, profile: AgentProfile, fusion: PhaseFusion, dialog: OpenDialog) -> None:
        super().__init__(profile, fusion, dialog, PlainExtractor(profile))
        self._frame: Frame | None = None
        self._typed = ""
        """The message that was typed last."""
        self._sent = ""
        """The row in which its end stood when its Enter was pressed."""
        self._blocked_by: str | None = None
        """By what the program itself says that it is blocked; None when it does not."""
        self._readable = False
        """Whether the last frame showed a question that we can read."""
        self._rested = False
        """Whether the program has stood still at its prompt."""
        self._prompted = False
        """Whether it ever did: then a screen without one is no end of a turn."""
        self._prompts: set[str] = set()
        """What stood before the cursor when messages were typed."""
        self._prompted_on_alternate = False
        """Whether that was on the alternate screen."""
        self._stands = False
        """Whether another program's screen stood still: it waits for a person until it goes."""
        self._waiting: tuple[Reading, Frame] | None = None
        """The question that only a quiet screen showed, and its frame."""

    # -- what comes in ---------------------------------------------------------------------------

    def take(self, frame: Frame) -> None:
        """Read the next frame."""
        frame = without_scroll_bar(frame)
        self._look(frame)
        self.extractor.take(frame, self.reading)

    def weigh(self) -> None:
        """A shape says nothing of work; a question was seen when it was read."""

    def announced(self, blocked_by: str | None) -> None:
        """The program announced its state: the screen may mean something else now."""
        self._blocked_by = blocked_by
        if self._frame is not None:
            self._look(self._frame)
        else:
            self.update()

    def other_title(self) -> None:
        """A spinner that is gone says nothing any more."""
        self.fusion.withdraw(Source.TITLE)

    def prepare(self) -> None:
        """Remember the prompt that the message is typed behind."""
        super().prepare()
        if self._frame is not None:
            column, row = self._frame.cursor
            self._prompts.add(self._frame.lines[row][:column].strip())

    def submit(self, text: str) -> None:
        """Remember where the message stood."""
        super().submit(text)
        self._typed = text
        self._sent = self._frame.lines[self._frame.cursor[1]] if self._frame else ""

    @property
    def ready(self) -> bool:
        """Whether the program said so, or was quiet. That it is blocked counts once the question is
        known, so that it is never published without."""
        said = self.fusion.evidence.get(Source.OSC)
        return self._rested or (said is not None and said.phase is not Phase.WORKING)

    # -- questions -------------------------------------------------------------------------------

    def _look(self, frame: Frame) -> None:
        self._frame = frame
        self.reading = reading = self._read(frame)
        if reading.dialog is None:
            self.dialog.show(None)
        elif self.dialog.shown is not None or (self._blocked_by is not None and self._readable):
            self.dialog.show(reading.dialog, same=self._stands)
        self.update()

    def _read(self, frame: Frame) -> Reading:
        """The reading, less what only looks like a question because we are typing it; where the
        program says that it asks and no question is to be seen, the screen is the question."""
        reading = self._below_sent(self.profile.read(frame), frame)
        if reading.dialog is not None and self._is_typed(frame):
            reading = replace(reading, dialog=None, dialog_text="", marked="")
        self._readable = reading.dialog is not None
        if self._blocked_by is not None and not self._readable:
            return self.profile.unknown_dialog(frame, self._blocked_by)
        self.foreign = self._is_foreign(frame, reading)
        self._stands = self._stands and self.foreign
        if self._stands:
            return self.profile.unknown_dialog(frame, "")
        return reading if self._readable else self._still_waiting(frame) or reading

    def _is_foreign(self, frame: Frame, reading: Reading) -> bool:
        if not (frame.alternate and self._prompted) or self._prompted_on_alternate:
            return False
        evidence = self.fusion.evidence
        own_word = Source.OSC in evidence or Source.TITLE in evidence
        return not (reading.composer or reading.dialog or reading.working or own_word)

    def _below_sent(self, reading: Reading, frame: Frame) -> Reading:
        """A question without what stands above the last message that was sent."""
        if reading.dialog is None or not self._sent:
            return reading
        below = below_row(frame, self._sent, frame.cursor[1])
        if below is None:
            return reading
        less = self.profile.read(below)
        return less if less.dialog and less.dialog.choices == reading.dialog.choices else reading

    def _still_waiting(self, frame: Frame) -> Reading | None:
        """The question that a quiet screen showed, as long as nothing but its answer changes."""
        if self._waiting is None:
            return None
        asked = self.profile.still_asked(*self._waiting, frame)
        self._waiting = self._waiting if asked else None
        return asked

    def _is_typed(self, frame: Frame) -> bool:
        """Whether the question is gone without the words of ours that stand at the cursor: those
        that are being typed, or the whole message that was, behind its prompt."""
        words, part = self.typing or self._typed, bool(self.typing)
        if not words:
            return False
        bare = self.profile.read(self.profile.without_typed(frame, words, part))
        return bare.dialog is None and (part or bare.composer is not None)

    @property
    def dialog_waits(self) -> bool:
        """Whether the screen shows what looks like a question and has not stood long enough."""
        return self.reading.dialog is not None and self.dialog.shown is None

    @property
    def question_readable(self) -> bool:
        """Whether that question can be read, and is not only spoken of."""
        return self._readable

    def dialog_stood(self) -> None:
        """What looks like a question has stood: it is one."""
        self.dialog.show(self.reading.dialog, same=self._stands)
        self.update()

    @property
    def lost(self) -> bool:
        """Whether another program has the screen: who opened it waits for that, whatever it
        paints."""
        return self.foreign and not self._stands

    def stood_still(self) -> None:
        """Such a screen has been open for some seconds: it is a question."""
        if self.lost and self._frame is not None:
            self._stands = True
            self._look(self._frame)
            self.dialog_stood()

    def newly_asked(self, before: Dialog | None) -> bool:
        """Whether the last frame painted a dialog; a program may first only speak of it."""
        now = self.reading.dialog
        return now is not None and (before is None or before.title != now.title)

    def still_asks(self, asked: Dialog) -> bool:
        """Whether this question, in a turn, is the open one."""
        now = self.fusion.state.dialog
        turn = self.fusion.started and asked.kind not in STARTUP_DIALOGS
        return turn and now is not None and now.id == asked.id

    # -- quiet and output ------------------------------------------------------------------------

    @property
    def needs_quiet(self) -> bool:
        """Not while a question shows, nor where the program speaks for itself."""
        fusion = self.fusion
        if fusion.state.phase not in (Phase.STARTING, Phase.WORKING) or self.reading.dialog:
            return False
        said = fusion.evidence.get(Source.OSC)
        return said is None or (fusion.started and not fusion.heard(Source.OSC))

    @property
    def patience(self) -> float:
        """Seconds without output after which the program is believed to wait."""
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
        """Whether no prompt shows."""
        return self.reading.composer is None

    def at_rest(self, keys: bool) -> bool:
        """Whether the quiet screen is no question, and shows a prompt where one was ever seen."""
        if self._asks_when_quiet(keys):
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
        return quiet and self.profile.asks_when_quiet(frame, self._prompts)

    def _asks_when_quiet(self, keys: bool) -> bool:
        """Whether the quiet screen is a question; if so, it is known from now on."""
        frame = self._frame
        if frame is None or self.reading.working or self.typing or self.submitted:
            return False
        below = below_row(frame, self._sent, frame.cursor[1]) if self._sent else None
        single_keys = keys and not self._prompted
        asked = self.profile.quiet_question(below or frame, self._prompts, single_keys)
        if asked is None:
            return False
        self._waiting = asked, frame
        self._look(frame)
        self.dialog_stood()
        return True

    def saw_output(self) -> None:
        """A changed screen means work, unless the program speaks for itself, or stands at its
        prompt or asks: a clock, a moving picture or somebody who types is none."""
        fusion, reading = self.fusion, self.reading
        if not fusion.started or Source.OSC in fusion.evidence:
            return
        if self.typing or self.submitted:
            return
        prompt = reading.composer is not None and not reading.working
        prompt = prompt and not (self._frame and self._may_ask(self._frame))
        if fusion.state.phase is not Phase.IDLE or not (prompt or reading.dialog):
            fusion.note(Source.QUIET, Phase.WORKING, "output")

    # -- what it shows -----------------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Whether the open dialog shows; a turn's end is complete after a quiet time, while a
        signal comes early."""
        if self.fusion.state.phase is Phase.BLOCKED:
            return self.reading.dialog is not None
        said = self.fusion.deciding
        return said is None or said.source is Source.QUIET

    @property
    def shows_message(self) -> bool:
        """Never for sure: nothing marks a user message."""
        return False

    @property
    def shows_work(self) -> bool:
        """Whether the screen says so, or the program itself."""
        said = self.fusion.deciding
        own_word = said is not None and said.source is Source.OSC
        return own_word or bool(self.reading.working)

    @property
    def asks_again(self) -> bool:
        """Whether the screen asks for the interrupting key once more."""
        return " again " in self.reading.working


def below_row(frame: Frame, line: str, before: int) -> Frame | None:
    """The frame with nothing above the last of the rows before `before` that is `line`, nor that
    row itself; None when there is none."""
    row = next((row for row in range(before - 1, -1, -1) if frame.lines[row] == line), None)
    if row is None:
        return None
    return replace(frame, lines=("",) * (row + 1) + frame.lines[row + 1 :])
