"""Augment's Auggie."""

from __future__ import annotations

from agentapi.agents.generic.drive import full_screen_agent

AGENT = full_screen_agent("auggie", title="Auggie", place=90)
