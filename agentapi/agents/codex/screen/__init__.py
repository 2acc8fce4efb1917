"""Parse Codex's screen."""
