"""The exact conversation: items with ids that stay."""
