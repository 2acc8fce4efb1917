"""Finding a Codex session again and going on with it."""
