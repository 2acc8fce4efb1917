"""What `agentapi doctor` looks at where the agent is Codex."""
