"""What each agent's terminal program looks like: one file an agent, data and pure functions."""

from __future__ import annotations

from agentapi.agents.codex.screen.profile import CODEX
from agentapi.agents.generic import GenericProfile
from agentapi.conversation.profile import AgentProfile

_FULL_SCREEN_QUIET = 1.5
"""Seconds: their spinners stand still for up to a second."""

_PROFILES: tuple[AgentProfile, ...] = (
    CODEX,
    GenericProfile("custom"),
    *(
        GenericProfile(name, quiet=_FULL_SCREEN_QUIET)
        for name in (
            "claude",
            "goose",
            "aider",
            "gemini",
            "copilot",
            "amp",
            "cursor",
            "auggie",
            "amazonq",
            "opencode",
        )
    ),
)


def profile_for(agent_type: str) -> AgentProfile:
    """The profile of an agent type. Raises `KeyError` for a type that does not exist."""
    return {profile.name: profile for profile in _PROFILES}[agent_type]
