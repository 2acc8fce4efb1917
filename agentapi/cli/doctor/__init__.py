"""`agentapi doctor`: what is fine on this machine and what is not."""
