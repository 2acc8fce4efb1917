"""Cursor's agent."""

from __future__ import annotations

from agentapi.agents.generic.drive import full_screen_agent

AGENT = full_screen_agent("cursor", "cursor-agent", title="Cursor", place=80)
