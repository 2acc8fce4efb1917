"""Support for Coder's module."""
