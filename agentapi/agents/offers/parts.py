"""The parts of a server: the agent and its history."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from agentapi.agents.driver import Driver
from agentapi.storage.state import RestoredState
from agentapi.storage.state_file import StateStore
from agentapi.transcript.transcript import TranscriptSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """A driver that can be started, with related information."""

    driver: Driver
    transcript: TranscriptSource | None = None
    """Source of the transcript, besides the screen."""
    outlives: Callable[[int], bool] = lambda pid: False
    """Whether the process with this id stays running when the server ends."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """Additional facts for `GET /session`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The agent and its history, as chosen by a command."""

    driver: Driver
    store: StateStore | None
    history: RestoredState
    initial_prompt: str | Awaitable[str | None] | None
    about: Callable[[], dict[str, object]]
    """Returns additional facts for `GET /session`."""
    transcript: TranscriptSource | None = None
    """Source of the transcript, besides the screen."""
    outlives: Callable[[int], bool] = lambda pid: False
    """Whether the process with this id stays running when the server ends."""
    close: Callable[[], Awaitable[None]] | None = None
    """Called after the agent has exited."""


StdinPrompt = Callable[[], Awaitable[str | None] | None]
"""Returns the prompt from standard input, to be awaited while the server runs."""
Compose = Callable[[StdinPrompt], Parts]
