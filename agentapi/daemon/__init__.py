"""What makes the server a daemon: pid file, sockets, signals, logs, the service manager."""
