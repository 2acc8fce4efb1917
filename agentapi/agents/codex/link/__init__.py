"""Connect to the app-server of Codex's TUI."""
