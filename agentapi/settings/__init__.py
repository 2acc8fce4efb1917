"""Every option once: flag, variable, default, validation."""
