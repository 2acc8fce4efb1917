"""What Codex's terminal shows, and how to read it."""
