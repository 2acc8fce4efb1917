"""Everything that knows OpenAI's Codex CLI; nothing outside this package does."""
