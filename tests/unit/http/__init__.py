"""The HTTP side beyond the AgentAPI contract."""
