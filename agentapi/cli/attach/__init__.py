"""`agentapi attach`: the agent's own terminal in yours."""
