"""Anthropic's Claude Code."""

from __future__ import annotations

from agentapi.agents.generic.drive import full_screen_agent

AGENT = full_screen_agent("claude", title="Claude Code", place=10)
