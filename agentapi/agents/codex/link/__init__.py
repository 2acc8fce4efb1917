"""The connection to Codex's own app-server, beside its terminal."""
