"""OpenAI's Codex CLI. Nothing outside this package depends on it."""

from agentapi.agents.codex.agent import AGENT

__all__ = ["AGENT"]
