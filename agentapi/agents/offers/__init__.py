"""Types for the optional parts of an agent: server parts, commands, doctor checks."""
