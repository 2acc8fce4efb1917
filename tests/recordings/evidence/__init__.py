"""Codex under the daemon's own driver, with the time of each piece of evidence."""
