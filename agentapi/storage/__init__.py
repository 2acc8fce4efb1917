"""The saved state: what survives a restart, and its file."""
