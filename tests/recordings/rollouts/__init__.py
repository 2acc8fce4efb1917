"""Rollout files of the real Codex, and how they are made (`record.py`)."""
