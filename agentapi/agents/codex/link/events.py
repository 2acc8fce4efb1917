"""The link's events for its driver, and the notifications of the app-server that are ignored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agentapi.model.conversation import Dialog, Phase
from agentapi.model.events import ItemChanged, SessionKnown, TurnChanged, UsageChanged

_IGNORED = """
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
IGNORED = frozenset(_IGNORED.split())
"""Known notifications whose content is irrelevant or comes elsewhere, too."""


@dataclass(frozen=True, slots=True)
class PhaseReported:
    """The app-server reported the agent's phase."""

    phase: Phase
    detail: str


@dataclass(frozen=True, slots=True)
class DialogChanged:
    """A dialog was opened; None when it was answered."""

    dialog: Dialog | None


@dataclass(frozen=True, slots=True)
class ErrorReported:
    """Codex reported an error; `retries`: it tries again by itself."""

    message: str
    retries: bool


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The link was lost. This is the last event."""

    reason: str


class EventBuffer:
    """A sink that keeps events, in order, until there is another to forward them to."""

    def __init__(self) -> None:
        self._events: list[LinkEvent] = []
        self._forward: Callable[[LinkEvent], None] = self._events.append

    def __call__(self, event: LinkEvent) -> None:
        """Keep an event, or forward it."""
        self._forward(event)

    @property
    def lost_reason(self) -> str:
        """Why the link was lost so far; empty when it was not."""
        reasons = (event.reason for event in self._events if isinstance(event, LinkLost))
        return next(reasons, "")

    def forward_to(self, sink: Callable[[LinkEvent], None]) -> None:
        """Forward the kept events, and from now on all others."""
        self._forward = sink
        for event in self._events:
            sink(event)


LinkEvent = (
    SessionKnown
    | TurnChanged
    | ItemChanged
    | UsageChanged
    | PhaseReported
    | DialogChanged
    | ErrorReported
    | LinkLost
)
