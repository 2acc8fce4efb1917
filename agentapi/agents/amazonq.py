"""Amazon Q's command line."""

from __future__ import annotations

from agentapi.agents.generic.drive import full_screen_agent

AGENT = full_screen_agent("amazonq", "q", title="Amazon Q", place=92)
