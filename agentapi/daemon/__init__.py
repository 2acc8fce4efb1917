"""What makes the server a daemon: its pid file."""
