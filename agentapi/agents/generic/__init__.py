"""Any program on a terminal: what all have in common, told by shape."""

from agentapi.agents.generic.profile import GenericProfile

__all__ = ["GenericProfile"]
