"""What must survive the daemon, and where it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from agentapi.model.conversation import Message


@dataclass(frozen=True, slots=True)
class SavedState:
    """What must survive."""

    messages: Sequence[Message] = ()
    initial_prompt: str = ""
    initial_prompt_sent: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    """JSON values that upstream's file has no place for, by name."""


@dataclass(frozen=True, slots=True)
class RestoredState(SavedState):
    """The state that an earlier run left."""

    warnings: tuple[str, ...] = ()
    """What was wrong with it, for the clients."""


class Store(Protocol):
    """Where the state is kept."""

    def save(self, state: SavedState) -> None:
        """Keep the state: written, though perhaps not yet synced, when this returns.

        Never raises: who cannot write says so by a notice, and the agent goes on."""

    def set_aside(self) -> Path | None:
        """Keep what was saved under another name, as another conversation begins; where, if there
        is anything. Raises `OSError`."""


def set_aside(store: Store) -> str:
    """Keep the conversation so far under another name; how that went, as the end of a sentence."""
    try:
        aside = store.set_aside()
    except OSError as error:
        return f", and the conversation so far could not be kept: {error}"
    return f": the conversation so far is kept in {aside}" if aside is not None else ""


class NullStore:
    """Keeps nothing."""

    def save(self, state: SavedState) -> None:
        """Do nothing."""

    def set_aside(self) -> Path | None:
        """Nothing was kept."""
        return None
