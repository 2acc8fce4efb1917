"""The options of the server: flags, variables, defaults, validation."""
