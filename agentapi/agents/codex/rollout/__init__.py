"""Read rollouts, the files in which Codex records sessions."""
