"""What the link tells its driver, and which of the app-server's notifications it passes over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agentapi.model.conversation import Dialog, Phase
from agentapi.model.events import ItemChanged, SessionKnown, TurnChanged, UsageChanged

_QUIET = """
thread/readState/changed thread/name/updated thread/goal/cleared thread/goal/updated
thread/settings/updated thread/closed thread/archived thread/unarchived thread/deleted
thread/queue/changed thread/section/changed thread/compacted thread/prediction/updated
thread/environment/connected thread/environment/disconnected thread/project/updated
skills/changed configWarning deprecationNotice warning remoteControl/status/changed
account/updated app/list/updated mcpServer/startupStatus/updated turn/diff/updated
item/commandExecution/terminalInteraction item/fileChange/outputDelta hook/started
item/fileChange/patchUpdated item/reasoning/summaryPartAdded item/reasoning/textDelta
item/mcpToolCall/progress hook/completed project/changed model/rerouted fs/changed
thread/reverted turn/moderationMetadata model/safetyBuffering/updated model/verification
"""
QUIET = frozenset(_QUIET.split())
"""Notifications that are known and say nothing that is not said elsewhere."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The agent's own word on what it does."""

    phase: Phase
    detail: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The agent asks the user; None when the question was decided, by whomever."""

    dialog: Dialog | None


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that Codex told, and whether it tries again by itself."""

    message: str
    retries: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The link is of no use any more; the last event."""

    why: str


class Early:
    """A sink for what is told before there is somebody to take it: it waits, in order."""

    def __init__(self) -> None:
        self._waiting: list[LinkEvent] = []
        self._take: Callable[[LinkEvent], None] = self._waiting.append

    def __call__(self, event: LinkEvent) -> None:
        """Keep an event, or pass it on."""
        self._take(event)

    @property
    def loss(self) -> str:
        """Why the link was lost already; empty when it was not."""
        lost = (event.why for event in self._waiting if isinstance(event, Lost))
        return next(lost, "")

    def pass_to(self, take: Callable[[LinkEvent], None]) -> None:
        """Pass on what waits, and from now on everything."""
        self._take = take
        for event in self._waiting:
            take(event)


LinkEvent = (
    SessionKnown | TurnChanged | ItemChanged | UsageChanged | Standing | Asked | Failure | Lost
)
