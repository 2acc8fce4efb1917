"""Delays on the event loop: a timer, and a limit for how often something is done."""
