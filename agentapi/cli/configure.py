"""`agentapi configure AGENT`: runs the agent's own command, imported on demand."""

from __future__ import annotations

import click

from agentapi.agents.registry import agents


class _AgentsGroup(click.Group):
    """The group of agents whose configuration can be written."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the agents."""
        return [agent.name for agent in agents() if agent.configure is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return an agent's command; None if it has none."""
        for agent in agents():
            if agent.name == cmd_name and agent.configure is not None:
                return agent.configure()
        return None


@click.command("configure", cls=_AgentsGroup)
def command() -> None:
    """Write an agent's configuration."""
