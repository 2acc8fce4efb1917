"""Codex's configuration: read, merged, checked and written."""
