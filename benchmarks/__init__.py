"""Measurements; each module prints a table. Never asserted in tests."""
