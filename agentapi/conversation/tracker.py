"""The conversation as a state machine: frames, signals and sends in; texts and phases out.

It joins the two halves: what the agent says (`extract`) and what it does (`status`). The driver
above it owns the terminal, the clock and the timers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from agentapi.conversation.extract import Extractor, MarkedExtractor
from agentapi.conversation.plain import PlainExtractor, without_scroll_bar
from agentapi.conversation.profile import AgentProfile, Reading
from agentapi.conversation.status import PhaseFusion, Source
from agentapi.conversation.unknown import unknown_dialog, unknown_text
from agentapi.model.comparison import squeeze
from agentapi.model.conversation import Dialog, Phase, PhaseState, dialog_ids
from agentapi.model.frames import AgentState, Frame, Notification, Signal, Title

_OSC_PHASES = {
    "idle": Phase.IDLE,
    "done": Phase.IDLE,
    "error": Phase.IDLE,  # a turn that failed, seen in 0.169: it waits for the user
    "working": Phase.WORKING,
    "blocked": Phase.BLOCKED,
}
PROMPTLESS_QUIET = 10.0
"""Seconds without output after which a program that shows no prompt, or that it works, is believed
to wait."""
ASKING_QUIET = 2.0
"""The same where what stands at the cursor wants an answer."""
BLANK_QUIET = 30.0
"""The same for one that has painted nothing: aider takes 25 s to start from a cold disk."""


@dataclass(frozen=True, slots=True)
class Said:
    """A change of the conversation: a user message that appeared by itself, or the agent's text."""

    text: str
    by_user: bool = False


class Tracker:
    """One conversation on one terminal."""

    def __init__(self, profile: AgentProfile, ids: Iterator[str] | None = None) -> None:
        """`ids`: those of the dialogs on the screen."""
        self.profile = profile
        self.fusion = PhaseFusion()
        self.reading = Reading(transcript=0)
        self._extractor: Extractor = (
            MarkedExtractor(profile) if profile.has_composer else PlainExtractor(profile)
        )
        self._said: str | None = None
        self._ids = ids or dialog_ids()
        self._dialog: Dialog | None = None
        self._asked: Dialog | None = None
        self._decided = False
        """Whether the question of the dialog on the screen is decided: it will go."""
        self.unknown = ""
        """The text of the screen where it shows neither an input box nor a known dialog nor work;
        else empty."""
        self._stands = False
        """Whether that screen stood still: it waits for a person until an input box comes back."""
        self._ready = False
        self._final = False
        """Whether the agent's last message is finished."""
        self._late = False
        """Whether its end was not seen: what is painted late may still lengthen it."""
        self._closed = False
        """Whether its end is sure: only another user message opens a new one. What a TUI command
        works on (`/compact`, `!date`) or asks (`/model`) is no part of it."""
        self._submitted = False
        """Whether a message was submitted whose turn has not been seen to begin."""
        self.typing = ""
        """The message that is being typed; what the screen shows then is ours."""
        self._typed = ""
        """The message that was typed last."""
        self._frame: Frame | None = None
        """The last frame of a program whose looks are not known."""
        self._blocked_by: str | None = None
        """By what the program itself says that it is blocked; None when it does not."""
        self.shaped = False
        """Whether the last frame showed a question that we can read."""
        self._rested = False
        """Whether it has stood still at its prompt."""
        self.prompted = False
        """Whether it ever did: then a screen without one is no end of a turn."""
        self._home = False
        """Whether that was on the alternate screen."""
        self.foreign = False
        """Whether a program that shows a prompt has opened the alternate screen for another one,
        which shows none: an editor in a shell."""
        self._prompts: set[str] = set()
        """What stood before the cursor when messages were typed."""
        self._sent = ""
        """The row in which the end of the last message stood when its Enter was pressed."""
        self._waiting: tuple[Reading, Frame] | None = None
        """The question that only a quiet screen told, and its frame."""

    @property
    def state(self) -> PhaseState:
        """The phase, its reason and its dialog."""
        return self.fusion.state

    @property
    def announces(self) -> bool:
        """Whether the agent told its state by OSC 7501."""
        return Source.OSC in self.fusion.evidence

    def signal(self, signal: Signal) -> None:
        """Take what the agent told the terminal."""
        if isinstance(signal, AgentState):
            self._blocked_by = signal.message if signal.state == "blocked" else None
            if phase := _OSC_PHASES.get(signal.state):
                self.fusion.note(Source.OSC, phase, signal.state)
            else:  # a state that we do not know must not leave the one before it standing
                self.fusion.withdraw(Source.OSC)
            if self._frame is not None:
                self._look(self._frame)
            elif not self.profile.has_composer:
                self._see_shape()
        elif isinstance(signal, Title):
            phase = self.profile.title_phase(signal.text)
            if phase is not None:
                self.fusion.note(Source.TITLE, phase, phase.value)
            elif not self.profile.has_composer:
                self.fusion.withdraw(Source.TITLE)
        elif isinstance(signal, Notification):
            phase = self.profile.notification_phase(signal.text)
            if phase is not None:
                self.fusion.note(Source.NOTIFICATION, phase, phase.value)

    def take(self, frame: Frame) -> None:
        """Take the next frame: what it says of the phase counts at once, what it says of the
        conversation when `read` is called."""
        if not self.profile.has_composer:
            frame = without_scroll_bar(frame)
            self._look(frame)
            self._extractor.take(frame, self.reading)
            return
        self.reading = reading = self.profile.read(frame)
        self._extractor.take(frame, reading)
        self._ready = reading.composer is not None and reading.composer.ready
        if reading.composer is not None and reading.composer.text.startswith("/"):
            self.stand()  # what is painted from now on may be a command's
        self.unknown = unknown_text(frame, reading)
        self._stands = self._stands and bool(self.unknown)
        self._known(unknown_dialog(self.unknown) if self._stands else reading.dialog)
        self._see()
        if reading.working:
            self.fusion.note(Source.SCREEN, Phase.WORKING, "working line")
        elif reading.interrupted and not self._extractor.expecting:
            self.fusion.note(Source.SCREEN, Phase.IDLE, "interrupted")
        elif reading.ended and not self._extractor.expecting:
            self.fusion.note(Source.SCREEN, Phase.IDLE, "end of the turn")
        else:
            self.fusion.withdraw(Source.SCREEN)

    @property
    def asks(self) -> bool:
        """Whether the open question is the agent's own word, and not the screen's alone."""
        return self._asked is not None

    @property
    def lost(self) -> bool:
        """Whether the screen cannot be read and nothing says that the agent works: if it stands
        still, call `stood_still`. Who opened another program's screen waits for that, whatever
        that paints."""
        if not self.profile.has_composer:
            return self.foreign and not self._stands
        return bool(self.unknown) and not self._stands and not self.fusion.says_work

    def stood_still(self) -> None:
        """A screen that cannot be read did not change for some seconds: it is a question."""
        if not self.lost:
            return
        self._stands = True
        if self._frame is not None:
            self._look(self._frame)
            self.dialog_stood()
        else:
            self._known(unknown_dialog(self.unknown))
            self._see()

    @property
    def dialog_text(self) -> str:
        """The open dialog as it stands on the screen; empty when none is open."""
        return self.unknown if self._stands and not self.foreign else self.reading.dialog_text

    def _look(self, frame: Frame) -> None:
        """Read a frame of a program whose looks are not known. What looks like a question counts
        at once where the program says that it is blocked, or asked another one before; else when
        it has stood for a moment (`dialog_stood`): words may look so while they are painted."""
        self._frame = frame
        self.reading = reading = self._by_shape(frame)
        if reading.dialog is None:
            self._known(None)
        elif self._dialog is not None or (self._blocked_by is not None and self.shaped):
            self._known(reading.dialog)
        self._see_shape()

    def _by_shape(self, frame: Frame) -> Reading:
        """The reading, less what only looks like a question because we are typing it; where the
        program says that it asks and no question is to be seen, the screen is the question."""
        reading = self._below_sent(self.profile.read(frame), frame)
        if reading.dialog is not None and self._is_typed(frame):
            reading = replace(reading, dialog=None, dialog_text="", marked="")
        self.shaped = reading.dialog is not None
        if self._blocked_by is not None and not self.shaped:
            return self.profile.unknown_dialog(frame, self._blocked_by)
        self.foreign = self._is_foreign(frame, reading)
        self._stands = self._stands and self.foreign
        if self._stands:
            return self.profile.unknown_dialog(frame, "")
        return reading if self.shaped else self._still_waiting(frame) or reading

    def _is_foreign(self, frame: Frame, reading: Reading) -> bool:
        if not (frame.alternate and self.prompted) or self._home:
            return False
        said = (self.fusion.evidence.get(source) for source in (Source.OSC, Source.TITLE))
        own_word = any(one is not None for one in said)
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
        """The question that a quiet screen told, as long as nothing but its answer changes."""
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

    def _see_shape(self) -> None:
        """A program of no known looks is ready by its own word or by a quiet time. That it is
        blocked counts once the question is known, which must not be missing where it is told."""
        said = self.fusion.evidence.get(Source.OSC)
        self._ready = self._rested or (said is not None and said.phase is not Phase.WORKING)
        self._see()

    @property
    def dialog_waits(self) -> bool:
        """Whether the screen shows what looks like a question and has not stood long enough."""
        return self.reading.dialog is not None and self._dialog is None

    def dialog_stood(self) -> None:
        """It has."""
        self._known(self.reading.dialog)
        self._see()

    def ask(self, dialog: Dialog | None) -> None:
        """The agent's own word on the question that it asks: more exact than what the screen shows
        of it. None when it is decided."""
        self._decided = dialog is None and (self._decided or self._asked is not None)
        self._asked = dialog
        self._see()

    def read(self, open_turn: bool = False, ended: bool = False) -> list[Said]:
        """What the frames so far add to the conversation. `open_turn`: the turn may be over, but
        its end is still being painted; `ended`: now it is."""
        if not self.fusion.started:
            return self._tell(self._extractor.startup())
        if self.state.phase is not Phase.IDLE or ended:  # also a turn that nobody read in time
            self._final = self._late = False
        if self._final:
            return []
        working = open_turn or self.state.phase is not Phase.IDLE  # maybe on the next turn
        extracts = self._extractor.read(working, turn_over=ended)
        said: list[Said] = []
        for extract in extracts:
            if extract.typed is not None:
                self._said, self._closed = None, False
                said.append(Said(extract.typed, by_user=True))
            elif extract.text is not None and not self._submitted and not self._closed:
                said += self._grown(extract.text)
        return said

    def _grown(self, text: str) -> list[Said]:
        """What the agent says now. What comes late may only lengthen it or lay it out anew, by no
        line that tells of the next turn; and before its first words there is no message."""
        longer = squeeze(text).startswith(squeeze(self._said or ""))
        if self._late and (self.reading.working or not longer):
            return []
        return self._tell(text) if text or self._said is not None else []

    @property
    def question(self) -> str:
        """The open question as the screen shows it; empty as long as that shows none, or another
        one than the agent asks."""
        asked, shown = self._asked, self.reading.dialog
        other = asked and shown and not same_question(asked, shown)
        return "" if other or self._decided else self.dialog_text

    @property
    def complete(self) -> bool:
        """Whether the screen shows all that belongs to the phase: the end of the turn that is
        over, the dialog that is open."""
        if self.state.phase is Phase.BLOCKED:
            return self._stands or self.reading.dialog is not None
        if not self.profile.has_composer:  # after a quiet time it does; a signal comes early
            said = self.fusion.deciding
            return said is None or said.source is Source.QUIET
        ended = self.reading.ended or self.reading.interrupted
        return ended and not self._extractor.expecting

    @property
    def needs_quiet(self) -> bool:
        """Whether nothing better than a quiet time would tell the next change of the phase."""
        fusion = self.fusion
        if not self.profile.has_composer:
            return self._needs_quiet_by_shape()
        if self.state.phase is not Phase.WORKING:
            return False
        if (said := fusion.deciding) is not None and said.source is Source.ROLLOUT:
            return fusion.record_alone
        strong = (Source.LINK, Source.OSC, Source.TITLE, Source.NOTIFICATION)
        return not any(source in fusion.evidence for source in strong)

    def _needs_quiet_by_shape(self) -> bool:
        """Not while a question shows, nor where the program speaks for itself."""
        if self.state.phase not in (Phase.STARTING, Phase.WORKING) or self.reading.dialog:
            return False
        said = self.fusion.evidence.get(Source.OSC)
        return said is None or (self.fusion.started and not self.fusion.heard(Source.OSC))

    @property
    def shows_work(self) -> bool:
        """Whether a turn that we believe to be open really may be: the screen of a program whose
        looks are not known must say so, or the program itself."""
        said = self.fusion.deciding
        own_word = said is not None and said.source is Source.OSC
        return self.profile.has_composer or own_word or bool(self.reading.working)

    @property
    def asks_again(self) -> bool:
        """Whether the screen asks for the interrupting key once more."""
        return not self.profile.has_composer and " again " in self.reading.working

    @property
    def patience(self) -> float:
        """Seconds without output after which the agent is believed to wait."""
        if self.profile.has_composer:
            return self.profile.quiet
        if self._frame is None or not any(self._frame.lines):
            return BLANK_QUIET
        composer = self.reading.composer
        if self._may_ask(self._frame):
            return max(ASKING_QUIET, self.profile.quiet)
        if composer is None or "\n" in composer.text or self.reading.working:
            return PROMPTLESS_QUIET
        if not composer.text and self._extractor.painting:
            return PROMPTLESS_QUIET
        return PROMPTLESS_QUIET if Source.TITLE in self.fusion.evidence else self.profile.quiet

    def _may_ask(self, frame: Frame) -> bool:
        working, typing = self.reading.working, self.typing or self._submitted
        return not (working or typing) and self.profile.asks_when_quiet(frame, self._prompts)

    def _asks_when_quiet(self, keys: bool) -> bool:
        """Whether the quiet screen is a question; if so, it is known from now on."""
        frame = self._frame
        if frame is None or self.reading.working or self.typing or self._submitted:
            return False
        keys = keys and not self.prompted
        below = below_row(frame, self._sent, frame.cursor[1]) if self._sent else None
        asked = self.profile.quiet_question(below or frame, self._prompts, keys)
        if asked is None:
            return False
        self._waiting = asked, frame
        self._look(frame)
        self.dialog_stood()
        return True

    def fell_quiet(self, seconds: float, keys: bool = False) -> None:
        """No output for that long. `keys`: the terminal hands over single keys, or shows nothing of
        what is typed, so that where no prompt was ever seen a message would be pressed as keys."""
        if not self.needs_quiet:
            return
        if not self.profile.has_composer:
            if self._asks_when_quiet(keys):
                return
            if self.reading.composer is not None:
                self.prompted, self._home = True, self._frame is not None and self._frame.alternate
            elif self.prompted:
                return
            self._rested = True
            self.fusion.withdraw(Source.TITLE)
            self._see_shape()
        elif self.reading.working or self.reading.composer is None:
            return
        self.fusion.withdraw(Source.ROLLOUT)
        self.fusion.note(Source.QUIET, Phase.IDLE, f"no output for {seconds:g} s")
        self.fusion.settle()

    def saw_output(self) -> None:
        """The screen changed. Of a program whose looks are not known, and that says nothing of
        itself, that means work, unless it stands at its prompt or asks: a clock, a moving picture
        or somebody who types is none."""
        fusion, reading = self.fusion, self.reading
        if self.profile.has_composer or not fusion.started or Source.OSC in fusion.evidence:
            return
        if self.typing or self._submitted:
            return
        prompt = reading.composer is not None and not reading.working
        prompt = prompt and not (self._frame and self._may_ask(self._frame))
        if self.state.phase is not Phase.IDLE or not (prompt or reading.dialog):
            fusion.note(Source.QUIET, Phase.WORKING, "output")

    def settle(self) -> None:
        """The agent was ready, or at work, for the settling time."""
        if self.fusion.ready or (self.fusion.at_work and self._extractor.adopt_last()):
            self.fusion.settle()

    def finish(self) -> list[Said]:
        """A turn is over and painted: its message stands, whatever the screen shows from now on
        (another layout, an older page, a TUI command's answer). One without words is empty."""
        self._final = self.profile.has_composer and self.complete
        self._closed = self._closed or self._final
        self._late = self.profile.has_composer and not self._final
        return self._tell("") if self._said is None else []

    def stand(self) -> None:
        """Nothing comes late any more."""
        self._final = self._final or self._late
        self._closed = self._closed or (self._late and self._told_over)

    @property
    def _told_over(self) -> bool:
        """Whether the agent told the end of the turn by what means nothing else: a title blinks in
        turns, too."""
        said = self.fusion.deciding
        unsure = (Source.TITLE, Source.SCREEN, Source.QUIET)
        return said is not None and said.phase is Phase.IDLE and said.source not in unsure

    @property
    def announced_end(self) -> bool:
        """Whether a notification told the end of a turn since the last message was submitted:
        0.80 has no other signal, and a short turn is over before its working line is painted."""
        said = self.fusion.evidence.get(Source.NOTIFICATION)
        return (
            self.fusion.heard(Source.NOTIFICATION)
            and said is not None
            and (said.phase is Phase.IDLE)
        )

    @property
    def taken(self) -> bool:
        """Whether the submitted message stands in the conversation, of an agent that announces
        nothing: a dialog may open before its working line is painted."""
        strong = (Source.LINK, Source.OSC, Source.TITLE)
        announces = any(source in self.fusion.evidence for source in strong)
        return (
            self._submitted
            and not announces
            and self.profile.has_composer
            and (not self._extractor.expecting)
        )

    @property
    def text(self) -> str:
        """The agent's last message, as far as it was read."""
        return self._said or ""

    @property
    def wordless(self) -> bool:
        """Whether the turn's message has no words yet."""
        return not self._said

    def prepare(self) -> None:
        """A message is about to be typed. Ends with `begin` or `abandon`."""
        self._extractor.prepare()
        if self._frame is not None:
            column, row = self._frame.cursor
            self._prompts.add(self._frame.lines[row][:column].strip())

    def submit(self, text: str) -> None:
        """A message stands in the composer and is about to be submitted."""
        self._submitted, self._typed = True, text
        self._sent = self._frame.lines[self._frame.cursor[1]] if self._frame else ""
        self.fusion.submit()
        self._extractor.expect(text)

    def begin(self, because: str) -> None:
        """The submitted message's turn began."""
        self._submitted = self._late = self._closed = False
        self._said = None
        self.fusion.begin(because)

    def abandon(self) -> None:
        """The message was not taken."""
        self._submitted = False
        self._extractor.abandon()

    def _tell(self, text: str) -> list[Said]:
        if text == self._said:
            return []
        self._said = text
        return [Said(text)]

    def _see(self) -> None:
        """What the screen shows apart from work, and what the agent asks."""
        dialog = self._asked
        shown = None if self._decided else self._dialog
        if dialog and shown:
            dialog = _keyed(dialog, shown)
        self.fusion.see(self._ready, dialog or shown)

    def _known(self, dialog: Dialog | None) -> None:
        """Give a dialog an id of its own; the same dialog keeps it from frame to frame."""
        if dialog is None:
            self._dialog, self._decided = None, False
        elif self._dialog is not None and self._stands:  # one question, whatever is typed there
            self._dialog = replace(dialog, id=self._dialog.id)
        elif self._dialog is None or not self._dialog.asks_the_same(dialog):
            self._dialog = replace(dialog, id=next(self._ids))


def below_row(frame: Frame, line: str, before: int) -> Frame | None:
    """The frame with nothing above the last of the rows before `before` that is `line`, nor that
    row itself; None when there is none."""
    row = next((row for row in range(before - 1, -1, -1) if frame.lines[row] == line), None)
    if row is None:
        return None
    return replace(frame, lines=("",) * (row + 1) + frame.lines[row + 1 :])


def same_question(asked: Dialog, shown: Dialog) -> bool:
    """Whether the agent's own word and its screen mean one question: both have its words, wrapped
    or not."""
    return squeeze(asked.title + asked.command) == squeeze(shown.title + shown.command)


def _keyed(asked: Dialog, shown: Dialog) -> Dialog:
    """A question with the keys of its choices, where the screen shows the same one."""
    if squeeze(asked.title) != squeeze(shown.title):
        return asked
    keys = {squeeze(choice.label): choice.key for choice in shown.choices}
    choices = (replace(one, key=keys.get(squeeze(one.label), "")) for one in asked.choices)
    return replace(asked, choices=tuple(choices))
