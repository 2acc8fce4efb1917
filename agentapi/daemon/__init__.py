"""The daemon: pid file, sockets, signals, logs, service manager."""
