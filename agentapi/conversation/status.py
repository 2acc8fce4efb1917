"""Derive the agent's phase from several sources of evidence.

The sources, strongest first: the link to Codex's app-server and OSC 7501 (reports of the agent
itself), the rollout (its session record, `conversation.recorded`), the window title, a desktop
notification, the screen, a quiet period. The strongest source with evidence from the current turn
decides: a weak source never overrides a strong one, and agents without strong sources work, too.
Before the vote, in this order:

| situation                                               | phase                           |
|---------------------------------------------------------|---------------------------------|
| the agent has exited                                    | exited                          |
| a dialog or a still, unreadable screen is displayed,    | blocked                         |
| and no stronger source has reported work since          |                                 |
| it was never ready for a prompt for the settling time   | starting                        |
| a turn is open and no source has reported yet           | working, with the opening's     |
|                                                         | reason                          |
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
        """The name used in reasons."""
        return "osc 7501" if self is Source.OSC else self.name.lower()


@dataclass(frozen=True, slots=True)
class Evidence:
    """The last report of a source."""

    source: Source
    phase: Phase
    detail: str
    order: int
    """A sequence number over all evidence, which orders it without a clock."""
    votes: bool = True
    """Whether it takes part in the vote; otherwise it may only open a turn."""

    @property
    def reason(self) -> str:
        """The reason in a few words."""
        return f"{self.source.label}: {self.detail}"


_ANNOUNCE = (Source.LINK, Source.OSC, Source.TITLE)
"""The agent's own reports, which include questions."""


class PhaseFusion:
    """Evidence in, phase out. Has no clock: the caller measures the settling time."""

    def __init__(self) -> None:
        self.evidence: dict[Source, Evidence] = {}
        self.between_turns: Callable[[], None] = lambda: None
        """Called when the previous turn is over: a source ended it, or a message is submitted."""
        self._order = 0
        self._turn = 0
        """Evidence from this order on belongs to the turn."""
        self._opened = ""
        """Why the turn is open; empty between turns."""
        self._started = False
        self._started_working = False
        self.flickered = False
        """While starting: whether the agent reported work and then idle."""
        self._composer = False
        self._dialog: Dialog | None = None
        self._dialog_order = 0
        self._dialog_over = False
        """Whether the source that announced the dialog has reported its end: the screen will stop
        showing it."""
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
        """While starting: whether a prompt would be accepted now. Call `settle` once this has
        lasted for the settling time."""
        return self._may_settle and not self._works

    @property
    def at_work(self) -> bool:
        """While starting: whether the agent already works, on a prompt from its command line."""
        return self._may_settle and self._works

    def record(self, source: Source, phase: Phase, detail: str, votes: bool = True) -> None:
        """Record a report. A repetition in the same turn is ignored. A report that does not vote
        may only open a turn."""
        before = self.evidence.get(source)
        same = before and (before.phase, before.detail, before.votes) == (phase, detail, votes)
        if same and self.reported(source):
            return
        self._order += 1
        self.evidence[source] = latest = Evidence(source, phase, detail, self._order, votes)
        if source in _ANNOUNCE and phase is Phase.BLOCKED:
            self._dialog_over = False
        elif source in _ANNOUNCE and before is not None and before.phase is Phase.BLOCKED:
            self._dialog_over = self._dialog is not None
        if not self._started and source in _ANNOUNCE:
            self.flickered |= self._started_working and phase is Phase.IDLE
            self._started_working |= phase is Phase.WORKING
        if phase is Phase.WORKING and self._state.phase is Phase.IDLE and self._may_open(source):
            self._turn = self._order
            self._opened = latest.reason
        self._decide()
        if votes and phase is self._state.phase is Phase.IDLE:
            self.between_turns()

    def withdraw(self, source: Source) -> None:
        """Remove the evidence of a source."""
        if self.evidence.pop(source, None) is not None:
            self._decide()

    def update_screen(self, composer: bool, dialog: Dialog | None) -> None:
        """Set whether an input box accepts prompts, and the open dialog."""
        if (composer, dialog) == (self._composer, self._dialog):
            return
        self._composer = composer
        if dialog != self._dialog:
            self._order += 1
            self._dialog_order = self._order
            self._dialog, self._dialog_over = dialog, False
        self._decide()

    def settle(self) -> None:
        """Mark the agent as started, after it was ready or at work for the settling time."""
        if self._may_settle:
            self._opened = "prompt on the command line" if self._works else ""
            self._started = True
            self._decide()

    def submit(self) -> None:
        """Begin a new turn for the message about to be submitted; earlier evidence expires."""
        self._turn = self._order + 1
        self.between_turns()

    def begin(self, reason: str) -> None:
        """Open the turn of an accepted message, until a source reports its end."""
        self._opened = reason
        self._decide()

    def exit(self, detail: str) -> None:
        """Record that the agent has exited."""
        self._exited = detail
        self._decide()

    def reported(self, source: Source) -> bool:
        """Return whether a source has reported in this turn."""
        latest = self.evidence.get(source)
        return latest is not None and latest.order >= self._turn

    @property
    def reports_working(self) -> bool:
        """Whether the deciding source reports work."""
        latest = self.deciding if self._started else self._strongest
        return latest is not None and latest.phase is Phase.WORKING

    @property
    def deciding(self) -> Evidence | None:
        """The evidence that decides whether the agent works."""
        return min(self._votes(), key=lambda vote: vote.source, default=None)

    @property
    def open_only_by_record(self) -> bool:
        """Whether only the rollout keeps the turn open while another source reports its end. The
        end may never be written, for example on a full disk."""
        latest = self.deciding
        if latest is None or (latest.source, latest.phase) != (Source.ROLLOUT, Phase.WORKING):
            return False
        others = [vote.phase for vote in self._votes() if vote is not latest]
        return Phase.IDLE in others and Phase.WORKING not in others

    @property
    def ended_only_by_record(self) -> bool:
        """Whether only the rollout, not yet the terminal, reports the end of the turn."""
        latest = self.deciding
        if latest is None or latest.source is not Source.ROLLOUT or latest.phase is not Phase.IDLE:
            return False
        return all(vote.phase is not Phase.IDLE for vote in self._votes() if vote is not latest)

    @property
    def _may_settle(self) -> bool:
        return not self._started and self._composer and self._dialog is None

    @property
    def _strongest(self) -> Evidence | None:
        """The strongest evidence of any age: before the first turn nothing is old."""
        voting = [latest for latest in self.evidence.values() if latest.votes]
        return min(voting, key=lambda latest: latest.source, default=None)

    @property
    def _works(self) -> bool:
        strongest = self._strongest
        return strongest is not None and strongest.phase is not Phase.IDLE

    def _may_open(self, source: Source) -> bool:
        """Return whether a source may open a turn that was not submitted here: only the strongest
        one that this agent has. The rollout lags behind the title, which need not wait for it, but
        is more reliable than a screen drawn late."""
        better = {Source.LINK, Source.OSC, Source.TITLE}
        record = self.evidence.get(Source.ROLLOUT)
        if record is not None and record.votes and source is Source.SCREEN:
            better.add(Source.ROLLOUT)
        return all(other >= source for other in better if other in self.evidence)

    def _votes(self) -> list[Evidence]:
        """Return the current evidence without that of dialogs, which `_blocked` handles."""
        return [
            latest
            for latest in self.evidence.values()
            if latest.votes and latest.order >= self._turn and latest.phase is not Phase.BLOCKED
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
        if (latest := self.deciding) is not None:
            return PhaseState(latest.phase, latest.reason)
        if self._opened:
            return PhaseState(Phase.WORKING, self._opened)
        return PhaseState(Phase.IDLE, "ready for a prompt")

    def _blocked(self) -> PhaseState | None:
        latest = next((self.evidence[s] for s in _ANNOUNCE if s in self.evidence), None)
        claims = latest is not None and latest.phase is Phase.BLOCKED
        if self._dialog is not None and not self._dialog_over:
            if latest and latest.phase is Phase.WORKING and latest.order > self._dialog_order:
                return None
            reason = latest.reason if latest and claims else f"screen: {self._dialog.kind} dialog"
            return PhaseState(Phase.BLOCKED, reason, self._dialog)
        if latest and claims and (latest.source is Source.LINK or not self._composer):
            return PhaseState(Phase.BLOCKED, latest.reason)
        return None

    def _why_starting(self) -> str:
        if not self._composer:
            return "no input box yet"
        if (strongest := self._strongest) is not None and self._works:
            return strongest.reason
        return "the input box has only just appeared"
