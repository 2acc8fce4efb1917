"""Goose."""

from __future__ import annotations

from agentapi.agents.generic.drive import full_screen_agent

AGENT = full_screen_agent("goose", title="Goose", place=20)
