"""Everything that knows OpenAI's Codex CLI; nothing outside this package does."""

from agentapi.agents.codex.agent import AGENT

__all__ = ["AGENT"]
