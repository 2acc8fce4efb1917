"""Codex's record of a session, the rollout file, read."""
