"""What a server is made of: the agent and its past."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from agentapi.agents.driver import Driver
from agentapi.storage.state import RestoredState
from agentapi.storage.state_file import StateStore
from agentapi.transcript.transcript import TranscriptSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """An agent that can be started, and what is known of it."""

    driver: Driver
    transcript: TranscriptSource | None = None
    """What tells the transcript beside the screen."""
    outlives: Callable[[int], bool] = lambda pid: False
    """Whether a process, by its id, is left to others when the server ends."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What `GET /session` shows of it besides what the driver and the transcript know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The agent and its past: what a command may choose."""

    driver: Driver
    store: StateStore | None
    history: RestoredState
    initial_prompt: str | Awaitable[str | None] | None
    about: Callable[[], dict[str, object]]
    """What `GET /session` shows besides the session's own."""
    transcript: TranscriptSource | None = None
    """What tells the transcript beside the screen."""
    outlives: Callable[[int], bool] = lambda pid: False
    """Whether a process, by its id, is left to others when the server ends."""
    close: Callable[[], Awaitable[None]] | None = None
    """Called when the agent has ended."""


StdinPrompt = Callable[[], Awaitable[str | None] | None]
"""Gives the prompt that standard input may hold, to be waited for while the server serves."""
Compose = Callable[[StdinPrompt], Parts]
