"""Drive any agent that speaks the Agent Client Protocol."""

from __future__ import annotations

import os
from pathlib import Path

from agentapi.agents.acp.driver import AcpDriver
from agentapi.agents.offers.parts import Driven
from agentapi.agents.registry import outlives
from agentapi.settings.settings import ServerSettings
from agentapi.terminal import child_environment


def drive(settings: ServerSettings) -> Driven:
    """Run the given command and connect to it."""
    driver = AcpDriver(
        settings.command,
        cwd=Path.cwd(),
        env=child_environment(os.environ),
        permission_timeout=settings.permission_timeout,
        spare=outlives,
    )
    return Driven(driver=driver, outlives=outlives)
