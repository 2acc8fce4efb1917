"""The agents: drivers and screen profiles, one file or folder per agent."""
