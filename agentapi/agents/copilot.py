"""GitHub's Copilot CLI."""

from __future__ import annotations

from agentapi.agents.generic.drive import full_screen_agent

AGENT = full_screen_agent("copilot", title="Copilot", place=60)
