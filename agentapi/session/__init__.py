"""One live agent for its clients: the order of sends, the queue, the history, its events."""
