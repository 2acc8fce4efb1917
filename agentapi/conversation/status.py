"""What the agent does, fused from everything that tells of it.

The sources, strongest first: the link to Codex's app-server and OSC 7501 (the agent's own words),
the rollout (its record of the session, `conversation.recorded`), the window title, a desktop
notification, the screen, a quiet time. A source votes with what it said since the turn began; the
strongest that said anything decides, so that a weak source never overrides a strong one, and an
agent without the strong ones is still understood. Before the vote, in this order:

| situation                                               | phase                           |
|---------------------------------------------------------|---------------------------------|
| the agent has exited                                    | exited                          |
| a dialog shows, or a screen that nobody knows stands    | blocked                         |
| still, and no stronger source has said since that the   |                                 |
| work goes on                                            |                                 |
| it was never ready for a prompt for the settling time   | starting                        |
| a turn is open and nobody has said anything yet         | working, because it was opened  |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from agentapi.model.conversation import Dialog, Phase, PhaseState


class Source(IntEnum):
    """Where evidence comes from, the strongest first."""

    LINK = 0
    OSC = 1
    ROLLOUT = 2
    TITLE = 3
    NOTIFICATION = 4
    SCREEN = 5
    QUIET = 6

    @property
    def label(self) -> str:
        """How a reason names it."""
        return "osc 7501" if self is Source.OSC else self.name.lower()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a source said last."""

    source: Source
    phase: Phase
    detail: str
    order: int
    """Counts all evidence, so that "since" can be asked without a clock."""
    votes: bool = True
    """Whether it is weighed against the others; else it may only open a turn."""

    @property
    def because(self) -> str:
        """The reason in a few words."""
        return f"{self.source.label}: {self.detail}"


_ANNOUNCE = (Source.LINK, Source.OSC, Source.TITLE)
"""The agent's own words, by which it also tells that it asks."""


class PhaseFusion:
    """Evidence in, phase out. Holds no clock: the caller tells when the settling time is over."""

    def __init__(self) -> None:
        self.evidence: dict[Source, Evidence] = {}
        self.between_turns: Callable[[], None] = lambda: None
        """Called when a turn of before is over: a source ended it, or a message is submitted."""
        self._order = 0
        self._turn = 0
        """Evidence of this order and later belongs to the turn."""
        self._opened = ""
        """Why the turn is open; empty between turns."""
        self._started = False
        self._started_working = False
        self.blinked = False
        """While starting: whether the agent said that it works, and then that it does not."""
        self._composer = False
        self._dialog: Dialog | None = None
        self._dialog_order = 0
        self._dialog_over = False
        """Whether a source that announced the dialog has said that it is over: what the screen
        still shows of it will go."""
        self._exited = ""
        self._state = PhaseState(Phase.STARTING, "not started yet")

    @property
    def state(self) -> PhaseState:
        """The phase as of the last evidence."""
        return self._state

    @property
    def started(self) -> bool:
        """Whether the agent was ready once."""
        return self._started

    @property
    def ready(self) -> bool:
        """While starting: whether everything says that a prompt would be taken now. When this
        has lasted for the settling time, call `settle`."""
        return self._may_settle and not self._works

    @property
    def at_work(self) -> bool:
        """While starting: whether the agent works already, on a prompt of its command line."""
        return self._may_settle and self._works

    def note(self, source: Source, phase: Phase, detail: str, votes: bool = True) -> None:
        """A source speaks; to say the same again in the same turn is no news. What does not vote
        may open a turn, and nothing else."""
        before = self.evidence.get(source)
        same = before and (before.phase, before.detail, before.votes) == (phase, detail, votes)
        if same and self.heard(source):
            return
        self._order += 1
        self.evidence[source] = said = Evidence(source, phase, detail, self._order, votes)
        if source in _ANNOUNCE and phase is Phase.BLOCKED:
            self._dialog_over = False
        elif source in _ANNOUNCE and before is not None and before.phase is Phase.BLOCKED:
            self._dialog_over = self._dialog is not None
        if not self._started and source in _ANNOUNCE:
            self.blinked |= self._started_working and phase is Phase.IDLE
            self._started_working |= phase is Phase.WORKING
        if phase is Phase.WORKING and self._state.phase is Phase.IDLE and self._may_open(source):
            self._turn = self._order
            self._opened = said.because
        self._decide()
        if votes and phase is self._state.phase is Phase.IDLE:
            self.between_turns()

    def withdraw(self, source: Source) -> None:
        """A source no longer says anything."""
        if self.evidence.pop(source, None) is not None:
            self._decide()

    def see(self, composer: bool, dialog: Dialog | None) -> None:
        """What the screen shows apart from work: an input box that takes prompts, a dialog."""
        if (composer, dialog) == (self._composer, self._dialog):
            return
        self._composer = composer
        if dialog != self._dialog:
            self._order += 1
            self._dialog_order = self._order
            self._dialog, self._dialog_over = dialog, False
        self._decide()

    def settle(self) -> None:
        """The agent was ready (or at work) for the settling time: it has started."""
        if self._may_settle:
            self._opened = "prompt on the command line" if self._works else ""
            self._started = True
            self._decide()

    def submit(self) -> None:
        """A message is about to be submitted: what sources said before no longer counts."""
        self._turn = self._order + 1
        self.between_turns()

    def begin(self, because: str) -> None:
        """The message was taken: a turn is open until a source says that it is over."""
        self._opened = because
        self._decide()

    def exit(self, detail: str) -> None:
        """The agent ended."""
        self._exited = detail
        self._decide()

    def heard(self, source: Source) -> bool:
        """Whether a source has spoken in this turn."""
        said = self.evidence.get(source)
        return said is not None and said.order >= self._turn

    @property
    def says_work(self) -> bool:
        """Whether a source says that the agent works now."""
        said = self.deciding if self._started else self._strongest
        return said is not None and said.phase is Phase.WORKING

    @property
    def deciding(self) -> Evidence | None:
        """The evidence that decides whether the agent works."""
        return min(self._votes(), key=lambda vote: vote.source, default=None)

    @property
    def record_alone(self) -> bool:
        """Whether the turn goes on by the rollout's word alone, and another source says that it is
        over: the end may never be written, on a full disk for example."""
        said = self.deciding
        if said is None or said.source is not Source.ROLLOUT or said.phase is not Phase.WORKING:
            return False
        others = [vote.phase for vote in self._votes() if vote is not said]
        return Phase.IDLE in others and Phase.WORKING not in others

    @property
    def ended_by_record_alone(self) -> bool:
        """Whether the rollout says that the turn is over, and the agent's terminal does not yet."""
        said = self.deciding
        if said is None or said.source is not Source.ROLLOUT or said.phase is not Phase.IDLE:
            return False
        return all(vote.phase is not Phase.IDLE for vote in self._votes() if vote is not said)

    @property
    def _may_settle(self) -> bool:
        return not self._started and self._composer and self._dialog is None

    @property
    def _strongest(self) -> Evidence | None:
        """Of all evidence, whenever it was given: before the first turn nothing is old."""
        voting = [said for said in self.evidence.values() if said.votes]
        return min(voting, key=lambda said: said.source, default=None)

    @property
    def _works(self) -> bool:
        strongest = self._strongest
        return strongest is not None and strongest.phase is not Phase.IDLE

    def _may_open(self, source: Source) -> bool:
        """A turn that nobody submitted here is opened only by the strongest source that this
        agent has for the beginning of turns. The rollout is later than the title, which need not
        wait for it, but it knows better than a screen that is painted late."""
        better = {Source.LINK, Source.OSC, Source.TITLE}
        record = self.evidence.get(Source.ROLLOUT)
        if record is not None and record.votes and source is Source.SCREEN:
            better.add(Source.ROLLOUT)
        return all(other >= source for other in better if other in self.evidence)

    def _votes(self) -> list[Evidence]:
        """A dialog's evidence is no vote: `_blocked` has weighed it."""
        return [
            said
            for said in self.evidence.values()
            if said.votes and said.order >= self._turn and said.phase is not Phase.BLOCKED
        ]

    def _decide(self) -> None:
        before, self._state = self._state, self._fused()
        if self._state.phase is Phase.IDLE:
            self._opened = ""
            if before.phase is not Phase.IDLE:
                self.between_turns()

    def _fused(self) -> PhaseState:
        if self._exited:
            return PhaseState(Phase.EXITED, self._exited)
        if (blocked := self._blocked()) is not None:
            return blocked
        if not self._started:
            return PhaseState(Phase.STARTING, self._why_starting())
        if (said := self.deciding) is not None:
            return PhaseState(said.phase, said.because)
        if self._opened:
            return PhaseState(Phase.WORKING, self._opened)
        return PhaseState(Phase.IDLE, "ready for a prompt")

    def _blocked(self) -> PhaseState | None:
        said = next((self.evidence[s] for s in _ANNOUNCE if s in self.evidence), None)
        claims = said is not None and said.phase is Phase.BLOCKED
        if self._dialog is not None and not self._dialog_over:
            if said and said.phase is Phase.WORKING and said.order > self._dialog_order:
                return None
            because = said.because if said and claims else f"screen: {self._dialog.kind} dialog"
            return PhaseState(Phase.BLOCKED, because, self._dialog)
        if said and claims and (said.source is Source.LINK or not self._composer):
            return PhaseState(Phase.BLOCKED, said.because)
        return None

    def _why_starting(self) -> str:
        if not self._composer:
            return "no input box yet"
        if (strongest := self._strongest) is not None and self._works:
            return strongest.because
        return "the input box has only just appeared"
