"""`agentapi configure AGENT`: each agent's own command, imported when it is called."""

from __future__ import annotations

import click

from agentapi.agents.registry import agents


class _AgentsGroup(click.Group):
    """The agents whose configuration we can write."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return [agent.name for agent in agents() if agent.configure is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of one; None when there is none."""
        for agent in agents():
            if agent.name == cmd_name and agent.configure is not None:
                return agent.configure()
        return None


@click.command("configure", cls=_AgentsGroup)
def command() -> None:
    """Write an agent's configuration."""
