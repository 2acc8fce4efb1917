"""The state that survives the daemon, and the interface of its store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from agentapi.model.conversation import Message


@dataclass(frozen=True, slots=True)
class SavedState:
    """The state to save."""

    messages: Sequence[Message] = ()
    initial_prompt: str = ""
    initial_prompt_sent: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    """JSON values by name, for which upstream's file has no member."""


@dataclass(frozen=True, slots=True)
class RestoredState(SavedState):
    """The state of an earlier run."""

    warnings: tuple[str, ...] = ()
    """What could not be restored, for the clients."""


class Store(Protocol):
    """Stores the state."""

    def save(self, state: SavedState) -> None:
        """Write the state; it need not be synced when this returns.

        Never raises: a failure becomes a notice, and the agent goes on."""

    def set_aside(self) -> Path | None:
        """Keep the saved state under another name, because another conversation begins. Return
        its path, if there is any state. Raises `OSError`."""


def set_aside(store: Store) -> str:
    """Keep the conversation under another name; return the outcome as the end of a sentence."""
    try:
        aside = store.set_aside()
    except OSError as error:
        return f", and the conversation so far could not be kept: {error}"
    return f": the conversation so far is kept in {aside}" if aside is not None else ""


class NullStore:
    """Stores nothing."""

    def save(self, state: SavedState) -> None:
        """Do nothing."""

    def set_aside(self) -> Path | None:
        """Do nothing."""
        return None
