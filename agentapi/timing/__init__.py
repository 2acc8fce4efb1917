"""Delays on the event loop: a timer and a throttle."""
