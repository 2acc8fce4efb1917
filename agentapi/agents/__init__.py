"""The agents: how each is driven and what its terminal program looks like, one file an agent."""
