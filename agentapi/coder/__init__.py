"""What only Coder's module needs."""
