"""agentapi: an HTTP and SSE API for coding agents that run in a terminal."""

__version__ = "0.13.0"
