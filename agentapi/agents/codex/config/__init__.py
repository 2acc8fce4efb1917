"""Read, merge, check and write Codex's configuration."""
