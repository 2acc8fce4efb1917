"""Find and resume Codex sessions."""
