"""The transcript: the items of a conversation, with stable ids."""
