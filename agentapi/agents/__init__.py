"""What each agent's terminal program looks like: one file an agent, data and pure functions."""
