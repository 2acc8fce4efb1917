"""Sourcegraph's Amp."""

from __future__ import annotations

from agentapi.agents.generic.drive import full_screen_agent

AGENT = full_screen_agent("amp", title="Amp", place=70)
