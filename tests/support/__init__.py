"""What the tests share: the real Codex in a home of its own, terminals, recordings."""
