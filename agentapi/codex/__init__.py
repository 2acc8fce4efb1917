"""Codex's own files and channels: rollouts, sessions, configuration, app-server."""
