"""Any other program on a terminal: a shell, a REPL, an agent of which nothing is known."""

from __future__ import annotations

from agentapi.agents.agent import LAST, Agent
from agentapi.agents.generic.drive import drive, looks

AGENT = Agent(
    name="custom",
    programs=("custom",),
    profile=looks("custom"),
    driver=drive,
    place=LAST + 1,
)
