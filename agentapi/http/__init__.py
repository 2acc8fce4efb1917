"""The AgentAPI wire: HTTP and server-sent events over one `AgentSession`."""
