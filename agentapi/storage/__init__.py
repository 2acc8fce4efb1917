"""What survives a restart, and where it is kept."""
