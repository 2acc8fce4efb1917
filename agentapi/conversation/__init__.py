"""The pure core: frames and signals in, messages and phases out. No clock, no file, no task."""
