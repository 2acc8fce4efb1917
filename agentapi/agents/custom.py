"""Any other program on a terminal: a shell, a REPL, an unknown agent."""

from __future__ import annotations

from agentapi.agents.agent import LAST, Agent
from agentapi.agents.generic.drive import drive, generic_profile

AGENT = Agent(
    name="custom",
    programs=("custom",),
    profile=generic_profile("custom"),
    driver=drive,
    place=LAST + 1,
)
